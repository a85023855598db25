namespace OpenEbs.Server.Metadata;

/// <summary>A few threads for calls that block in SQLite: a store that is locked, or on a slow disk, then holds up only who waits for it. On the thread pool of a small machine a handful
/// of such calls leaves no thread to answer membership probes with, and the node is declared dead.</summary>
internal sealed class MetadataThreads(int maxThreads)
{
    private readonly object _gate = new();
    private readonly Queue<Action> _waiting = new();
    private int _idleThreads;
    private int _threads;

    /// <summary>Those of the process. SQLite lets one write at a time; more threads only let reads pass writers that wait.</summary>
    public static MetadataThreads Shared { get; } = new(8);

    /// <summary>Runs a call on one of the threads. What awaits the result without a context of its own goes on there, too, up to its next await.</summary>
    public ValueTask<T> RunAsync<T>(Func<T> call, CancellationToken cancellationToken)
    {
        var completion = new TaskCompletionSource<T>();
        Enqueue(() =>
        {
            if (cancellationToken.IsCancellationRequested)
            {
                completion.TrySetCanceled(cancellationToken);
                return;
            }

            T result;
            try
            {
                result = call();
            }
            catch (Exception failure)
            {
                completion.SetException(failure);
                return;
            }

            completion.SetResult(result);
        });
        return new ValueTask<T>(completion.Task);
    }

    private void Enqueue(Action work)
    {
        bool start;
        lock (_gate)
        {
            _waiting.Enqueue(work);
            start = _idleThreads < _waiting.Count && _threads < maxThreads;
            if (start) _threads++;
            else Monitor.Pulse(_gate);
        }

        if (start) new Thread(Run) { IsBackground = true, Name = "openebs-metadata" }.UnsafeStart();
    }

    private void Run()
    {
        while (true) Take()();
    }

    private Action Take()
    {
        lock (_gate)
        {
            while (_waiting.Count == 0)
            {
                _idleThreads++;
                Monitor.Wait(_gate);
                _idleThreads--;
            }

            return _waiting.Dequeue();
        }
    }
}
