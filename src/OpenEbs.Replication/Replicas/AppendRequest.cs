using OpenEbs.Storage.Store;

namespace OpenEbs.Replication.Replicas;

/// <summary>Operations on their way to one replica. Reference-counted, since the memory of its operations is shared with the coordinator and with the requests to
/// other replicas: whoever receives one disposes it when the operations have been applied; a transport that queues it takes a reference of its own.</summary>
public sealed class AppendRequest : IDisposable
{
    private readonly IDisposable?[] _owners;
    private int _references = 1;

    /// <param name="epoch">Epoch of the coordinator.</param>
    /// <param name="incarnation">The life of the replica process that the coordinator talks to.</param>
    /// <param name="commitSeq">Everything at or below is durable in every in-sync replica.</param>
    /// <param name="batch">What to apply; its epoch is below <paramref name="epoch"/> when old operations are shipped to a replica that lacks them.</param>
    /// <param name="flush">Answer only when all of it is durable.</param>
    /// <param name="owners">Disposed with the last reference.</param>
    public AppendRequest(long epoch, Guid incarnation, long commitSeq, StoreBatch batch, bool flush, params IDisposable?[] owners)
    {
        Epoch = epoch;
        Incarnation = incarnation;
        CommitSeq = commitSeq;
        Batch = batch;
        Flush = flush;
        _owners = owners;
    }

    public long Epoch { get; }

    public Guid Incarnation { get; }

    public long CommitSeq { get; }

    public StoreBatch Batch { get; }

    public bool Flush { get; }

    /// <inheritdoc cref="IReplicaStore.IsReadElsewhere"/>
    public bool IsReadElsewhere { get; init; }

    public AppendRequest AddReference()
    {
        ObjectDisposedException.ThrowIf(Interlocked.Increment(ref _references) <= 1, this);
        return this;
    }

    public void Dispose()
    {
        var left = Interlocked.Decrement(ref _references);
        if (left > 0) return;
        ObjectDisposedException.ThrowIf(left < 0, this);
        foreach (var owner in _owners) owner?.Dispose();
    }
}
