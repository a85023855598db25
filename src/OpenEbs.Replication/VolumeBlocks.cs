using OpenEbs.Storage;

namespace OpenEbs.Replication;

/// <summary>The unit in which volumes are stored, checked and replicated.</summary>
public static class VolumeBlocks
{
    public const int BlockBytes = 4096;

    /// <summary>CRC-32C of each block.</summary>
    internal static uint[] Checksums(ReadOnlySpan<byte> data)
    {
        var checksums = new uint[data.Length / BlockBytes];
        for (var i = 0; i < checksums.Length; i++) checksums[i] = Crc32C.Compute(data.Slice(i * BlockBytes, BlockBytes));
        return checksums;
    }

    /// <summary>The blocks that a run of bytes touches.</summary>
    internal static (long Block, int Count) Covering(long offsetBytes, long lengthBytes)
    {
        var first = offsetBytes / BlockBytes;
        var end = (offsetBytes + lengthBytes + BlockBytes - 1) / BlockBytes;
        return (first, (int)Math.Min(end - first, int.MaxValue));
    }
}
