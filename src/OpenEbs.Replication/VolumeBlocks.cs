namespace OpenEbs.Replication;

/// <summary>The unit in which volumes are stored, checked and replicated.</summary>
public static class VolumeBlocks
{
    public const int BlockBytes = 4096;

    /// <summary>The blocks that a run of bytes touches.</summary>
    internal static (long Block, int Count) Covering(long offsetBytes, long lengthBytes)
    {
        var first = offsetBytes / BlockBytes;
        var end = (offsetBytes + lengthBytes + BlockBytes - 1) / BlockBytes;
        return (first, (int)Math.Min(end - first, int.MaxValue));
    }
}
