namespace OpenEbs.Rest;

/// <summary>What a scrub of a volume has come to.</summary>
public sealed record ScrubResource
{
    /// <summary>When it began.</summary>
    public required DateTimeOffset StartedAt { get; init; }

    /// <summary>When it ended; absent while it goes on.</summary>
    public DateTimeOffset? EndedAt { get; init; }

    /// <summary>It was asked for; else it is the one of the present period.</summary>
    public required bool IsAskedFor { get; init; }

    /// <summary>Bytes read from media, over all replicas.</summary>
    public required long CheckedBytes { get; init; }

    /// <summary>Blocks that did not match their checksums.</summary>
    public required long BadBlocks { get; init; }

    /// <summary>Of these, rewritten from a good copy.</summary>
    public required long RepairedBlocks { get; init; }

    /// <summary>Blocks that were not the same on all replicas, with right checksums; made the same.</summary>
    public required long DifferingBlocks { get; init; }

    /// <summary>Superblocks, map pages, headers and manifests that were damaged and were put right.</summary>
    public required long RepairedStructures { get; init; }

    /// <summary>Replicas with damage that only a rebuild mends.</summary>
    public required long DamagedReplicas { get; init; }

    /// <summary>The same in one line for people.</summary>
    public required string Summary { get; init; }
}
