namespace OpenEbs.Replicas;

/// <summary>A replica's standing in its volume's record (design section 4).</summary>
public enum ReplicaState
{
    /// <summary>Has every acknowledged write.</summary>
    InSync,

    /// <summary>Is being brought level while new writes already flow to it.</summary>
    Rebuilding,

    /// <summary>Out of the set: unreachable, failed, or not yet rebuilt.</summary>
    Faulted,
}

/// <summary>A replica as a user sees it.</summary>
[GenerateSerializer, Immutable, Alias("openebs.ReplicaView")]
public sealed record ReplicaView
{
    [Id(0)] public required string Id { get; init; }
    [Id(1)] public required string Volume { get; init; }
    [Id(2)] public required string Pool { get; init; }
    [Id(3)] public required string Node { get; init; }
    [Id(4)] public required ReplicaState State { get; init; }
    [Id(5)] public long Seq { get; init; }

    /// <summary>Operations that this replica has yet to acknowledge.</summary>
    [Id(6)] public long Lag { get; init; }

    /// <summary>Bytes the replica occupies on its pool.</summary>
    [Id(7)] public long UsedBytes { get; init; }

    /// <summary>Why it is not in sync, for people; empty when it is.</summary>
    [Id(8)] public string Reason { get; init; } = "";

    /// <summary>Bytes of writes that its pool still takes, as it said last; null when nobody asked it yet.</summary>
    [Id(9)] public long? WritableBytes { get; init; }

    /// <summary>Its rebuild; null when there is none.</summary>
    [Id(10)] public RebuildView? Rebuild { get; init; }
}
