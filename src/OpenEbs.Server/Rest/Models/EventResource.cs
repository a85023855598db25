namespace OpenEbs.Rest;

/// <summary>Something that happened to a volume or to the cluster.</summary>
public sealed record EventResource
{
    /// <summary>When.</summary>
    public required DateTimeOffset At { get; init; }

    /// <summary>The volume; empty for an event of the cluster.</summary>
    public required string Volume { get; init; }

    /// <summary>What happened: Opened, ReplicaLeft, ReplicaRebuilding, ReplicaJoined, ReplicaAdded, ReplicaRemoved, ReplicasWanted, Resized, DataLost, BadBlocks,
    /// ReplicasDiffer, Scrubbed, StoreRepaired, StoreDamaged, Imported, ReplicaDiscarded; of the cluster PoolSuspected, PoolTrusted, VolumeCreated, VolumeDeleted, VolumeImported, OrphanDeleted,
    /// ReplicaUnplaced, ReplicaPlaced, NodeJoined, NodeLeft, NodeRestarted, PoolOnline, PoolOffline, NodeCordoned, NodeUncordoned, NodeDraining, NodeDrained, NodeRemoved,
    /// and the same five of pools.</summary>
    public required string Kind { get; init; }

    /// <summary>The replica, pool or node; empty when it is the volume itself.</summary>
    public required string Subject { get; init; }

    /// <summary>What was before; may be empty.</summary>
    public required string Before { get; init; }

    /// <summary>What is since then; may be empty.</summary>
    public required string After { get; init; }

    /// <summary>Why.</summary>
    public required string Cause { get; init; }
}
