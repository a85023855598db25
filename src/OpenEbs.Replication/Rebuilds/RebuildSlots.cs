namespace OpenEbs.Replication.Rebuilds;

/// <summary>Bounds how many rebuilds the coordinators of one process run at the same time; whoever has waited longest is next. Thread-safe.</summary>
/// <param name="count">How many may run; at least 1.</param>
public sealed class RebuildSlots(int count)
{
    private readonly Lock _lock = new();
    private readonly LinkedList<TaskCompletionSource> _waiting = new();
    private int _free = count;

    /// <summary>For tests and tools: no bound.</summary>
    public static RebuildSlots Unbounded { get; } = new(int.MaxValue);

    /// <summary>Takes a slot if one is free and nobody waits for one.</summary>
    public bool TryEnter()
    {
        lock (_lock)
        {
            if (_free == 0) return false;
            _free--;
            return true;
        }
    }

    /// <summary>Waits for a slot.</summary>
    /// <exception cref="OperationCanceledException">Nothing was taken.</exception>
    public async ValueTask EnterAsync(CancellationToken cancellationToken)
    {
        LinkedListNode<TaskCompletionSource> turn;
        lock (_lock)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (_free > 0)
            {
                _free--;
                return;
            }

            turn = _waiting.AddLast(new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        }

        using var cancelled = cancellationToken.Register(() =>
        {
            lock (_lock)
            {
                // Not when it was this one's turn in the same moment: then it has the slot, and leaves it.
                if (turn.List is null) return;
                _waiting.Remove(turn);
            }

            turn.Value.TrySetCanceled(cancellationToken);
        });
        await turn.Value.Task;
    }

    /// <summary>Gives a slot back, to whoever has waited longest.</summary>
    public void Leave()
    {
        TaskCompletionSource? next;
        lock (_lock)
        {
            next = _waiting.First?.Value;
            if (next is null) _free++;
            else _waiting.RemoveFirst();
        }

        next?.TrySetResult();
    }
}
