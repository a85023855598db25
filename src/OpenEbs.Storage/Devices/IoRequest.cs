using System.Collections.Concurrent;
using System.Threading.Tasks.Sources;

namespace OpenEbs.Storage.Devices;

/// <summary>One blocking call that runs on an <see cref="IoThreads"/> thread, and the awaitable that tells of its end. Pooled: the awaiter's GetResult
/// gives it back, so it is awaited exactly once. Continuations go to the scheduler or context that awaited, never onto the I/O thread.</summary>
internal sealed class IoRequest : IValueTaskSource
{
    private const int MaxPooled = 256;
    private static readonly ConcurrentQueue<IoRequest> Pool = new();
    private ManualResetValueTaskSourceCore<bool> _core = new() { RunContinuationsAsynchronously = true };
    private Action<IoRequest> _work = null!;

    /// <summary>Link of the list that it waits in; owned by that list.</summary>
    public IoRequest? Next { get; set; }

    public object Target { get; private set; } = null!;

    public long OffsetBytes { get; private set; }

    public long LengthBytes { get; private set; }

    public Memory<byte> Memory { get; private set; }

    public ValueTask Completion => new(this, _core.Version);

    /// <param name="target">For <paramref name="work"/>.</param>
    /// <param name="work">Runs on the I/O thread; ends with <see cref="Complete"/> or, when nobody awaits, <see cref="Return"/>.</param>
    public static IoRequest Rent(object target, Action<IoRequest> work, long offsetBytes = 0, long lengthBytes = 0, Memory<byte> memory = default)
    {
        if (!Pool.TryDequeue(out var request)) request = new IoRequest();
        request.Target = target;
        request._work = work;
        request.OffsetBytes = offsetBytes;
        request.LengthBytes = lengthBytes;
        request.Memory = memory;
        return request;
    }

    public void Run() => _work(this);

    public void Complete(Exception? failure)
    {
        if (failure is null) _core.SetResult(true);
        else _core.SetException(failure);
    }

    public void Return()
    {
        Target = null!;
        _work = null!;
        Memory = default;
        Next = null;
        _core.Reset();
        if (Pool.Count < MaxPooled) Pool.Enqueue(this);
    }

    void IValueTaskSource.GetResult(short token)
    {
        try
        {
            _core.GetResult(token);
        }
        finally
        {
            if (token == _core.Version) Return();
        }
    }

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _core.GetStatus(token);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);
}
