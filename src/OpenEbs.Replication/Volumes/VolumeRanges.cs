using OpenEbs.Storage.Store;

namespace OpenEbs.Replication.Volumes;

/// <summary>A run of bytes of a volume.</summary>
public readonly record struct BlockByteRange(long OffsetBytes, long LengthBytes);

/// <summary>A run of bytes of a volume, and whether it holds data.</summary>
public readonly record struct AllocatedByteRange(long OffsetBytes, long LengthBytes, bool Mapped)
{
    /// <summary>A run of blocks, as far as it lies in the part of the volume that was asked for.</summary>
    internal static AllocatedByteRange Of(AllocatedRun run, long fromBytes, long toBytes)
    {
        var start = Math.Max(run.Block * VolumeBlocks.BlockBytes, fromBytes);
        return new AllocatedByteRange(start, Math.Min((run.Block + run.BlockCount) * VolumeBlocks.BlockBytes, toBytes) - start, run.Mapped);
    }
}
