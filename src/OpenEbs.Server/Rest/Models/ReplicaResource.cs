using OpenEbs.Replicas;

namespace OpenEbs.Rest;

/// <summary>One copy of a volume.</summary>
public sealed record ReplicaResource
{
    /// <summary>Names the replica in the cluster.</summary>
    public required string Id { get; init; }

    /// <summary>The volume that it is a copy of.</summary>
    public required string Volume { get; init; }

    /// <summary>The pool that holds it.</summary>
    public required string Pool { get; init; }

    /// <summary>Node that has the pool; empty when the pool is away.</summary>
    public required string Node { get; init; }

    /// <summary>InSync (has every acknowledged write), Rebuilding, or Faulted.</summary>
    public required ReplicaState State { get; init; }

    /// <summary>Sequence number of the newest operation that it has.</summary>
    public required long Seq { get; init; }

    /// <summary>Operations that it has yet to acknowledge.</summary>
    public required long Lag { get; init; }

    /// <summary>Bytes that it occupies on its pool.</summary>
    public required long UsedBytes { get; init; }

    /// <summary>Bytes of writes that its pool still takes; absent when it was not asked yet.</summary>
    public long? WritableBytes { get; init; }

    /// <summary>Why it is not in sync; empty when it is.</summary>
    public required string Reason { get; init; }

    /// <summary>Its rebuild; null when there is none.</summary>
    public RebuildResource? Rebuild { get; init; }
}
