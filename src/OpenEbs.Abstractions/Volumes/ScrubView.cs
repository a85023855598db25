namespace OpenEbs.Volumes;

/// <summary>What a scrub of a volume has come to.</summary>
[GenerateSerializer, Immutable, Alias("openebs.ScrubView")]
public sealed record ScrubView
{
    [Id(0)] public required DateTimeOffset StartedAt { get; init; }

    /// <summary>Null while it goes on.</summary>
    [Id(1)] public DateTimeOffset? EndedAt { get; init; }

    /// <summary>It was asked for; else it is the one of the present period.</summary>
    [Id(2)] public bool IsAskedFor { get; init; }

    /// <summary>Read from media, over all replicas.</summary>
    [Id(3)] public long CheckedBytes { get; init; }

    /// <summary>Blocks that did not match their checksums.</summary>
    [Id(4)] public long BadBlocks { get; init; }

    /// <summary>Of these, rewritten from a good copy.</summary>
    [Id(5)] public long RepairedBlocks { get; init; }

    /// <summary>Blocks that were not the same on all replicas, with right checksums; made the same.</summary>
    [Id(6)] public long DifferingBlocks { get; init; }

    /// <summary>Superblocks, map pages, headers and manifests that were damaged and were put right.</summary>
    [Id(7)] public long RepairedStructures { get; init; }

    /// <summary>Replicas with damage that only a rebuild mends.</summary>
    [Id(8)] public long DamagedReplicas { get; init; }

    /// <summary>One line for people.</summary>
    [Id(9)] public string Summary { get; init; } = "";
}
