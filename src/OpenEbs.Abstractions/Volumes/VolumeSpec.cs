namespace OpenEbs.Volumes;

/// <summary>What a user asks for when creating a volume. Two creates with equal specs are one volume (create is idempotent).</summary>
[GenerateSerializer, Immutable, Alias("openebs.VolumeSpec")]
public sealed record VolumeSpec
{
    public const long MinSizeBytes = 1L << 20;
    public const long MaxSizeBytes = 64L << 40;

    /// <summary>Size in bytes, a multiple of 4,096.</summary>
    [Id(0)] public required long SizeBytes { get; init; }

    /// <summary>Number of replicas, 1 to 7, each on a pool of its own.</summary>
    [Id(1)] public int Replicas { get; init; } = 3;

    /// <summary>Logical block length in bytes: 512 (with 4,096 reported as physical) or 4,096.</summary>
    [Id(2)] public int BlockLength { get; init; } = 512;

    /// <summary>True: a write may be acknowledged before it is on stable media, until the next flush (promise P2). False: every write is flushed.</summary>
    [Id(3)] public bool WriteCache { get; init; } = true;

    /// <summary>Fewest in-sync replicas with which the volume serves I/O; null for the default (1 for one or two replicas, else the majority).</summary>
    [Id(4)] public int? MinInSync { get; init; }

    /// <summary>How long I/O waits for a volume that cannot serve before <see cref="OnTimeout"/> decides what becomes of it.</summary>
    [Id(5)] public TimeSpan IoTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Where the replicas may be; null for the default: anywhere, on nodes and in zones of their own if possible.</summary>
    [Id(6)] public PlacementPolicy? Placement { get; init; }

    /// <summary>What becomes of I/O that has waited for <see cref="IoTimeout"/>.</summary>
    [Id(7)] public TimeoutAction OnTimeout { get; init; }

    public PlacementPolicy EffectivePlacement => (Placement ?? PlacementPolicy.Default).Normalize();

    public int EffectiveMinInSync => MinInSync ?? (Replicas <= 2 ? 1 : Replicas / 2 + 1);

    /// <summary>Every problem of this spec, each with its cure; empty when the spec is good.</summary>
    public IEnumerable<string> Problems()
    {
        if (SizeBytes is < MinSizeBytes or > MaxSizeBytes) yield return $"size is {SizeBytes} bytes; give 1 MiB to 64 TiB";
        if (SizeBytes % 4096 != 0) yield return $"size is {SizeBytes} bytes, not a multiple of 4096; round it up to {(SizeBytes + 4095) / 4096 * 4096}";
        if (Replicas is < 1 or > 7) yield return $"replicas is {Replicas}; give 1 to 7";
        if (BlockLength is not (512 or 4096)) yield return $"block length is {BlockLength}; give 512 or 4096";
        if (MinInSync is { } min && (min < 1 || min > Replicas)) yield return $"min-in-sync is {min}; give 1 to the number of replicas ({Replicas})";
        if (IoTimeout < TimeSpan.FromSeconds(1) || IoTimeout > TimeSpan.FromDays(1)) yield return $"io-timeout is {IoTimeout}; give 1s to 24h";
        if (!Enum.IsDefined(OnTimeout)) yield return $"on-timeout is {OnTimeout}; give wait, error or readonly";
        foreach (var problem in EffectivePlacement.Problems()) yield return problem;
    }
}
