using System.Buffers;
using System.Diagnostics;
using System.Threading.Tasks.Sources;
using OpenEbs.Storage.Store;

namespace OpenEbs.Replication.Volumes;

/// <summary>An operation that has its place in the volume's order: kept until it is durable on all in-sync replicas, so that it can be sent again to one that came back without it.
/// Its data is shared with the requests that carry it, hence the count of references.</summary>
internal sealed class PendingOperation : IValueTaskSource<VolumeIoResult>, IDisposable
{
    private readonly IMemoryOwner<byte>? _owner;
    private ManualResetValueTaskSourceCore<VolumeIoResult> _answer = new() { RunContinuationsAsynchronously = true };
    private int _references = 1;

    public PendingOperation(StoreOperation operation, IMemoryOwner<byte>? owner, bool durable, RangeLock? range, IoDeadline deadline)
    {
        Operation = operation;
        Durable = durable;
        Range = range;
        Deadline = deadline;
        _owner = owner;
    }

    public StoreOperation Operation { get; }

    public long Seq { get; set; }

    /// <summary>Answered only when durable on every in-sync replica.</summary>
    public bool Durable { get; }

    /// <summary>Held until every in-sync replica has the operation.</summary>
    public RangeLock? Range { get; set; }

    /// <summary>Time stamp at which the caller gets TimedOut; the operation itself goes on.</summary>
    public IoDeadline Deadline { get; }

    /// <summary>The span of the command that made it, if that is recorded.</summary>
    public Activity? Cause { get; } = ReplicaTraces.Cause;

    public bool IsAnswered { get; private set; }

    public int DataBytes => Operation.Data.Length;

    public ValueTask<VolumeIoResult> AsValueTask() => new(this, _answer.Version);

    public void Answer(VolumeIoStatus status)
    {
        if (IsAnswered) return;
        IsAnswered = true;
        _answer.SetResult(new VolumeIoResult(status));
    }

    public void AddReference() => Interlocked.Increment(ref _references);

    public void Dispose()
    {
        if (Interlocked.Decrement(ref _references) == 0) _owner?.Dispose();
    }

    VolumeIoResult IValueTaskSource<VolumeIoResult>.GetResult(short token) => _answer.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<VolumeIoResult>.GetStatus(short token) => _answer.GetStatus(token);

    void IValueTaskSource<VolumeIoResult>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _answer.OnCompleted(continuation, state, token, flags);
}

/// <summary>Consecutive operations that travel together; shared by the requests to all replicas that are equally far.</summary>
internal sealed class OperationGroup : IDisposable
{
    private readonly PendingOperation[] _operations;
    private int _references = 1;

    public OperationGroup(PendingOperation[] operations)
    {
        _operations = operations;
        var stored = new StoreOperation[operations.Length];
        for (var i = 0; i < operations.Length; i++)
        {
            operations[i].AddReference();
            stored[i] = operations[i].Operation;
            Cause ??= operations[i].Cause;
        }

        Stored = stored;
    }

    public StoreOperation[] Stored { get; }

    /// <summary>The span of the first of its commands that is recorded: requests that carry the group are its children.</summary>
    public Activity? Cause { get; }

    public long FirstSeq => _operations[0].Seq;

    public long LastSeq => _operations[^1].Seq;

    public OperationGroup AddReference()
    {
        Interlocked.Increment(ref _references);
        return this;
    }

    public void Dispose()
    {
        if (Interlocked.Decrement(ref _references) != 0) return;
        foreach (var operation in _operations) operation.Dispose();
    }
}
