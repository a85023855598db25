using OpenEbs.Storage.Devices;

namespace OpenEbs.Storage.Segments;

/// <summary>A file of the log, under the number that it bears at present.</summary>
internal sealed class Segment(uint number, uint slot, IStorageFile file, ulong startLsn, ulong revision)
{
    public uint Number { get; } = number;

    /// <summary>Names the file.</summary>
    public uint Slot { get; } = slot;

    public IStorageFile File { get; } = file;

    public ulong StartLsn { get; } = startLsn;

    /// <summary>Of the superblock when it was begun; 0 when its header is damaged.</summary>
    public ulong Revision { get; } = revision;

    /// <summary>Blocks that the extent map refers to.</summary>
    public int LiveBlocks { get; set; }

    /// <summary>Where the next record goes, in bytes.</summary>
    public int WriteOffset { get; set; } = Formats.FormatTags.PageBytes;

    /// <summary>Nothing more is appended.</summary>
    public bool IsSealed { get; set; }

    /// <summary>Written to since its last flush began.</summary>
    public bool IsDirty { get; set; }

    /// <summary>Written since it was begun, and never dropped from the page cache.</summary>
    public bool IsCached { get; set; }

    /// <summary>Reads under way: it is not recycled before they end.</summary>
    public int Readers { get; set; }

    /// <summary>All its live blocks have been looked at and moved.</summary>
    public bool IsCompacted { get; set; }
}
