using OpenEbs.Pools;

namespace OpenEbs.Rest;

/// <summary>Storage that a node gives.</summary>
public sealed record PoolResource
{
    /// <summary>Names the pool in the cluster.</summary>
    public required string Id { get; init; }

    /// <summary>Node that has it.</summary>
    public required string Node { get; init; }

    /// <summary>Directory on that node.</summary>
    public required string Path { get; init; }

    /// <summary>Most bytes that replicas may occupy.</summary>
    public required long CapacityBytes { get; init; }

    /// <summary>Bytes left of these.</summary>
    public required long FreeBytes { get; init; }

    /// <summary>Bytes that are used: by replicas, and by whatever else is on its file system.</summary>
    public required long UsedBytes { get; init; }

    /// <summary>Healthy, NearlyFull (85 % used by default: free space or add some), or Full (95 %, or nothing left but the reserve: then writes that need space are refused).</summary>
    public required PoolFullness Fullness { get; init; }

    /// <summary>Number of replicas in it.</summary>
    public required int ReplicaCount { get; init; }

    /// <summary>Whether it can be used.</summary>
    public required bool Online { get; init; }

    /// <summary>Why it is not online; empty when it is.</summary>
    public required string Reason { get; init; }

    /// <summary>Whether it takes new replicas: Available, Cordoned, Draining (those that it has are being moved) or Drained; by itself, or because its node is so.</summary>
    public required Availability Availability { get; init; }

    /// <summary>Why it is not available; empty when it is.</summary>
    public required string AvailabilityReason { get; init; }

    /// <summary>What its operator says of it and of its node, by key.</summary>
    public required IReadOnlyDictionary<string, string> Labels { get; init; }

    /// <summary>Sizes in bytes of the volumes that have a replica on it; may exceed its capacity.</summary>
    public required long PlacedBytes { get; init; }

    /// <summary>Different things found damaged on its media since its node's process began.</summary>
    public int MediaErrorCount { get; init; }

    /// <summary>When the newest of them was met first; absent when there are none.</summary>
    public DateTimeOffset? LastMediaErrorAt { get; init; }

    /// <summary>What that was, and of which replica; empty when there are none.</summary>
    public string LastMediaError { get; init; } = "";

    /// <summary>Why it is marked as one whose media fail, and drained; empty when it is not. Uncordoning it takes the mark away.</summary>
    public string Suspicion { get; init; } = "";

    /// <summary>How far its drain is; absent when there is none.</summary>
    public DrainResource? Drain { get; init; }
}
