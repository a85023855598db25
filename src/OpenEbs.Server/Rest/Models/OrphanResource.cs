namespace OpenEbs.Rest;

/// <summary>A volume of which there are replicas on disk, and which the cluster does not know.</summary>
public sealed record OrphanResource
{
    /// <summary>Names the volume for ever.</summary>
    public required Guid Uid { get; init; }

    /// <summary>Its name, as its replicas remember it; empty when none does.</summary>
    public required string Name { get; init; }

    /// <summary>Its size, as its replicas remember it.</summary>
    public required long SizeBytes { get; init; }

    /// <summary>Whether it can be imported.</summary>
    public required bool IsImportable { get; init; }

    /// <summary>Why it cannot be imported, or what an import would miss; may be empty.</summary>
    public required string Reason { get; init; }

    /// <summary>What was found of it.</summary>
    public required IReadOnlyList<OrphanReplicaResource> Replicas { get; init; }
}

/// <summary>A replica on disk that no volume knows.</summary>
public sealed record OrphanReplicaResource
{
    /// <summary>Names the replica.</summary>
    public required string Id { get; init; }

    /// <summary>The pool that holds it.</summary>
    public required string Pool { get; init; }

    /// <summary>Node that has the pool.</summary>
    public required string Node { get; init; }

    /// <summary>Epoch of the last operation that it has.</summary>
    public required long Epoch { get; init; }

    /// <summary>Sequence number of the last operation that it has.</summary>
    public required long Seq { get; init; }

    /// <summary>Bytes that it occupies on its pool.</summary>
    public required long UsedBytes { get; init; }

    /// <summary>An import takes its data; the others are brought level with it.</summary>
    public required bool IsBest { get; init; }

    /// <summary>What is wrong with it; empty when nothing is.</summary>
    public required string Reason { get; init; }
}

/// <summary>Imports a volume from its replicas.</summary>
public sealed record ImportVolumeRequest
{
    /// <summary>Its name from now on; absent for the one that its replicas remember.</summary>
    public string? Name { get; init; }
}
