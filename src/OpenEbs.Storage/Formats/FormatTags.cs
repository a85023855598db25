namespace OpenEbs.Storage.Formats;

/// <summary>First four bytes of each on-disk structure, little-endian.</summary>
internal static class FormatTags
{
    /// <summary>"OESB".</summary>
    public const uint Superblock = 0x4253454F;

    /// <summary>"OESG".</summary>
    public const uint Segment = 0x4753454F;

    /// <summary>"OERC".</summary>
    public const uint Record = 0x4352454F;

    /// <summary>"OETB".</summary>
    public const uint SegmentTable = 0x4254454F;

    public const ushort Version = 1;

    /// <summary>Everything on disk is aligned to this, and volumes are stored in blocks of this.</summary>
    public const int PageBytes = 4096;
}
