namespace OpenEbs.Replicas;

/// <summary>A volume of which there are replicas on disk and no entry in the registry: the metadata store was lost or is older than they, or the volume was deleted while a pool was away.</summary>
[GenerateSerializer, Immutable, Alias("openebs.OrphanVolumeView")]
public sealed record OrphanVolumeView
{
    [Id(0)] public required Guid Uid { get; init; }

    /// <summary>As its replicas remember it; empty when none does.</summary>
    [Id(1)] public string Name { get; init; } = "";

    [Id(2)] public long SizeBytes { get; init; }

    /// <summary>Whether it can be imported.</summary>
    [Id(3)] public bool IsImportable { get; init; }

    /// <summary>Why it cannot be imported, or what an import would miss; empty when neither.</summary>
    [Id(4)] public string Reason { get; init; } = "";

    [Id(5)] public IReadOnlyList<OrphanReplicaView> Replicas { get; init; } = [];
}

/// <summary>A replica on disk that no volume knows.</summary>
[GenerateSerializer, Immutable, Alias("openebs.OrphanReplicaView")]
public sealed record OrphanReplicaView
{
    [Id(0)] public required string Id { get; init; }
    [Id(1)] public required string Pool { get; init; }
    [Id(2)] public required string Node { get; init; }

    /// <summary>The last operation that it has: the replica with the highest (epoch, seq) has every write that was acknowledged and found on the others.</summary>
    [Id(3)] public long Epoch { get; init; }

    [Id(4)] public long Seq { get; init; }
    [Id(5)] public long UsedBytes { get; init; }

    /// <summary>An import takes its data; the others are brought level with it.</summary>
    [Id(6)] public bool IsBest { get; init; }

    /// <summary>What is wrong with it; empty when nothing is.</summary>
    [Id(7)] public string Reason { get; init; } = "";
}
