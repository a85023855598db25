using System.Runtime.InteropServices;
using OpenEbs.Storage.Formats;

namespace OpenEbs.Storage.Maps;

/// <summary>Where one 4 KiB block of the volume is. 16 bytes on disk: u32 segment number, u32 block offset in the segment (low 24 bits) and flags, u32 CRC-32C, u32 low half of the seq that put it there.
/// All zero: never written. Segment 0 with a flag: emptied at that seq.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4, Size = 16)]
internal readonly record struct ExtentEntry(uint Segment, uint OffsetAndFlags, uint Crc, uint Seq)
{
    public const uint MaxOffset = (1 << 24) - 1;
    private const uint EmptiedFlag = 1u << 24;

    public bool IsMapped => Segment != 0;

    /// <summary>Was there once, or has ever been emptied.</summary>
    public bool HasHistory => Segment != 0 || OffsetAndFlags != 0;

    /// <summary>In 4 KiB blocks from the start of the segment file.</summary>
    public uint Offset => OffsetAndFlags & MaxOffset;

    public static ExtentEntry Emptied(ulong seq) => new(0, EmptiedFlag, 0, (uint)seq);
}

/// <summary>A child of an interior map page.</summary>
internal struct MapChild
{
    /// <summary>Counts while <see cref="Node"/> is null; page 0 with a MaxSeq is a subtree emptied at that seq.</summary>
    public PagePointer Pointer;
    public MapNode? Node;

    public readonly bool IsAbsent => Node is null && Pointer.Page == 0;

    public readonly ulong MaxSeq => Node?.MaxSeq ?? Pointer.MaxSeq;
}

/// <summary>
/// A page of the extent map in memory. A leaf (level 0) covers 256 blocks (1 MiB of the volume); an interior page has 128 children. Pages are never changed once they belong to a
/// checkpoint's generation: a change copies the path to the root, so that a checkpoint, or a snapshot, is a root. On disk: a leaf is 256 entries; an interior page is
/// 128 x { u64 page, u64 max seq, u32 CRC-32C, 12 bytes 0 }.
/// </summary>
internal sealed class MapNode
{
    public const int LeafBits = 8;
    public const int FanoutBits = 7;
    public const int LeafBlocks = 1 << LeafBits;
    public const int Fanout = 1 << FanoutBits;

    /// <summary>Levels above the leaves: 2^(8 + 4 x 7) blocks, more than the 64 TiB limit of a volume.</summary>
    public const int RootLevel = 4;

    public MapNode(int level, int generation)
    {
        Level = level;
        Generation = generation;
        Entries = level == 0 ? new ExtentEntry[LeafBlocks] : [];
        Children = level == 0 ? [] : new MapChild[Fanout];
    }

    private MapNode(MapNode original, int generation)
    {
        Level = original.Level;
        Generation = generation;
        MaxSeq = original.MaxSeq;
        Entries = original.Level == 0 ? (ExtentEntry[])original.Entries.Clone() : [];
        Children = original.Level == 0 ? [] : (MapChild[])original.Children.Clone();
    }

    public int Level { get; }

    /// <summary>Only pages of the map's current generation may change.</summary>
    public int Generation { get; }

    /// <summary>Its place in the map files; 0 while it is not written.</summary>
    public ulong Page { get; set; }

    public uint Crc { get; set; }

    public ulong MaxSeq { get; set; }

    public ExtentEntry[] Entries { get; }

    public MapChild[] Children { get; }

    /// <summary>Used since the cache last looked.</summary>
    public bool Referenced { get; set; }

    public PagePointer Pointer => new(Page, Crc, MaxSeq);

    public MapNode Copy(int generation) => new(this, generation);

    public void WriteTo(Span<byte> page)
    {
        if (Level == 0)
        {
            MemoryMarshal.AsBytes(Entries.AsSpan()).CopyTo(page);
            return;
        }

        page.Clear();
        var fields = MemoryMarshal.Cast<byte, ulong>(page);
        for (var i = 0; i < Fanout; i++)
        {
            var pointer = Children[i].Node?.Pointer ?? Children[i].Pointer;
            fields[i * 4] = pointer.Page;
            fields[(i * 4) + 1] = pointer.MaxSeq;
            fields[(i * 4) + 2] = pointer.Crc;
        }
    }

    public static MapNode ReadFrom(ReadOnlySpan<byte> page, int level, PagePointer pointer, int generation)
    {
        var node = new MapNode(level, generation) { Page = pointer.Page, Crc = pointer.Crc, MaxSeq = pointer.MaxSeq };
        if (level == 0)
        {
            page.CopyTo(MemoryMarshal.AsBytes(node.Entries.AsSpan()));
            return node;
        }

        var fields = MemoryMarshal.Cast<byte, ulong>(page);
        for (var i = 0; i < Fanout; i++) node.Children[i].Pointer = new PagePointer(fields[i * 4], (uint)fields[(i * 4) + 2], fields[(i * 4) + 1]);
        return node;
    }

    /// <summary>The whole seq of an entry of this leaf: the highest one at or below MaxSeq with its low half.</summary>
    public ulong SeqOf(in ExtentEntry entry)
    {
        var distance = (uint)MaxSeq - entry.Seq;
        return distance > MaxSeq ? 0 : MaxSeq - distance;
    }
}
