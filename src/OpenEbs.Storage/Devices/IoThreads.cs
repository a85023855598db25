namespace OpenEbs.Storage.Devices;

/// <summary>A bounded set of background threads for calls that block in the kernel, so that neither a grain's turn nor the thread pool does. One set for
/// the process: threads begin when they are needed and stay.</summary>
internal sealed class IoThreads(string name, int maxThreads)
{
    private const int StackBytes = 256 * 1024;
    private readonly object _gate = new();
    private IoRequest? _first;
    private IoRequest? _last;
    private int _idleThreads;
    private int _threads;

    /// <summary>Reads that miss the page cache. As many as a fast disk serves well at a time.</summary>
    public static IoThreads Reads { get; } = new("openebs-read", 16);

    /// <summary>Flushes; apart from reads, because one of them may take seconds. One for each file that is being flushed.</summary>
    public static IoThreads Flushes { get; } = new("openebs-flush", 16);

    public void Enqueue(IoRequest request)
    {
        bool start;
        lock (_gate)
        {
            request.Next = null;
            if (_last is null) _first = request;
            else _last.Next = request;
            _last = request;
            start = _idleThreads == 0 && _threads < maxThreads;
            if (start) _threads++;
            else if (_idleThreads > 0)
            {
                _idleThreads--;
                Monitor.Pulse(_gate);
            }
        }

        if (start) new Thread(Run, StackBytes) { IsBackground = true, Name = name }.UnsafeStart();
    }

    private void Run()
    {
        while (true) Take().Run();
    }

    private IoRequest Take()
    {
        lock (_gate)
        {
            while (_first is null)
            {
                _idleThreads++;
                Monitor.Wait(_gate);
            }

            var request = _first;
            _first = request.Next;
            if (_first is null) _last = null;
            request.Next = null;
            return request;
        }
    }
}
