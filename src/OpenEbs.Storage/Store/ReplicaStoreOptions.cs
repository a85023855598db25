namespace OpenEbs.Storage.Store;

/// <summary>How a replica's store is opened and what it may use.</summary>
public sealed record ReplicaStoreOptions
{
    /// <summary>Names the replica, at most 64 bytes; a store made for another one is refused.</summary>
    public required string ReplicaId { get; init; }

    /// <summary>Changes with every start of the host (/proc/sys/kernel/random/boot_id): tells a process's restart, which loses nothing, from a host's.</summary>
    public required string BootId { get; init; }

    /// <summary>Makes a store where there is none.</summary>
    public bool CreateIfAbsent { get; init; }

    /// <summary>What is made then is in the midst of a rebuild: nobody takes it for a whole volume that is empty.</summary>
    public bool CreateRebuilding { get; init; }

    /// <summary>Length of a segment file, a multiple of 4,096, at most 4 GiB less one page; fixed when the store is created.</summary>
    public int SegmentBytes { get; init; } = 16 << 20;

    /// <summary>Log written since the last checkpoint that starts the next one. Opening reads about so much (at most about twice).</summary>
    public long CheckpointLogBytes { get; init; } = 64L << 20;

    /// <summary>Changed map leaves (4 KiB each, 1 MiB of the volume) that start a checkpoint.</summary>
    public int MaxDirtyLeaves { get; init; } = 2048;

    /// <summary>Map leaves kept in memory, 4 KiB each.</summary>
    public int MaxCachedLeaves { get; init; } = 4096;

    /// <summary>Bytes of the pool that data writes leave free, so that unmaps, checkpoints, compaction and rebuild marks still work when the pool is full.</summary>
    public long ReserveBytes { get; init; } = 64L << 20;

    /// <summary>Less than so many free bytes on the pool make the store give back whatever it can, at once; it does so below twice <see cref="ReserveBytes"/> in any case.</summary>
    public long PressureBytes { get; init; }

    /// <summary>Segments may occupy so many times the live data (plus <see cref="CompactionSlackSegments"/>) before the sparsest are compacted.</summary>
    public double CompactionThreshold { get; init; } = 1.8;

    public int CompactionSlackSegments { get; init; } = 4;
}

/// <summary>There is no store where one was expected: a lost replica, never an empty one.</summary>
public sealed class StoreNotFoundException(string message) : IOException(message);
