namespace OpenEbs.Pools;

/// <summary>Storage that a node gives.</summary>
[GenerateSerializer, Immutable, Alias("openebs.PoolView")]
public sealed record PoolView
{
    [Id(0)] public required string Id { get; init; }
    [Id(1)] public required string Node { get; init; }
    [Id(2)] public required string Path { get; init; }
    [Id(3)] public required long CapacityBytes { get; init; }
    [Id(4)] public required long FreeBytes { get; init; }
    [Id(5)] public required int Replicas { get; init; }
    [Id(6)] public required bool Online { get; init; }

    /// <summary>Why it is not online, for people; empty when it is.</summary>
    [Id(7)] public string Reason { get; init; } = "";

    /// <summary>Whether it takes new replicas: by itself, or because its node does not.</summary>
    [Id(8)] public Availability Availability { get; init; }

    /// <summary>Why it is not available, for people; empty when it is.</summary>
    [Id(9)] public string AvailabilityReason { get; init; } = "";

    /// <summary>While it is drained, and afterwards; else null.</summary>
    [Id(10)] public DrainView? Drain { get; init; }

    /// <summary>What its operator says of it; those of its node are among them.</summary>
    [Id(11)] public IReadOnlyDictionary<string, string> Labels { get; init; } = new Dictionary<string, string>();

    /// <summary>Sizes of the volumes that have a replica on it.</summary>
    [Id(12)] public long PlacedBytes { get; init; }

    [Id(13)] public PoolFullness Fullness { get; init; }

    /// <summary>What was found damaged on its media since its process began, the newest last.</summary>
    [Id(20)] public IReadOnlyList<MediaErrorView> MediaErrors { get; init; } = [];

    /// <summary>Why it is marked as one whose media fail, for people; empty when it is not.</summary>
    [Id(21)] public string Suspicion { get; init; } = "";

    /// <summary>What its node lacks for further replicas, for people; empty when it lacks nothing.</summary>
    [Id(22)] public string Shortage { get; init; } = "";
}
