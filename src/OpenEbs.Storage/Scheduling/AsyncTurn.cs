namespace OpenEbs.Storage.Scheduling;

/// <summary>Lets one caller at a time through, in order of arrival, within one scheduling context (not thread-safe). Passing a free one costs nothing.</summary>
public sealed class AsyncTurn
{
    private readonly Queue<TaskCompletionSource> _waiting = new();
    private bool _taken;

    public ValueTask EnterAsync()
    {
        if (!_taken)
        {
            _taken = true;
            return ValueTask.CompletedTask;
        }

        var turn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _waiting.Enqueue(turn);
        return new ValueTask(turn.Task);
    }

    /// <summary>Passes the turn on; the next one already owns it when this returns.</summary>
    public void Leave()
    {
        if (_waiting.TryDequeue(out var next)) next.SetResult();
        else _taken = false;
    }
}
