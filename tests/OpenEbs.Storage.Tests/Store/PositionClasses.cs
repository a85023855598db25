using System.Buffers.Binary;
using OpenEbs.Storage.Formats;
using OpenEbs.Storage.Maps;
using OpenEbs.Storage.Store;
using OpenEbs.Testing.Devices;

namespace OpenEbs.Storage.Tests.Store;

/// <summary>A run of bytes in a file, all of one kind.</summary>
internal readonly record struct BytePlace(string File, long OffsetBytes, int LengthBytes);

/// <summary>What every byte of a replica's files is for: each field of each structure is a class of its own, and so is everything between them.</summary>
internal static class PositionClasses
{
    private static readonly (string Name, int Offset, int Length)[] SuperblockFields =
    [
        ("tag", 0, 4), ("version", 4, 2), ("flags", 6, 2), ("revision", 8, 8), ("fence epoch", 16, 8), ("checkpoint lsn", 24, 8), ("replay segment", 32, 4), ("replay offset", 36, 4),
        ("position", 40, 16), ("commit seq", 56, 8), ("rebuild base", 64, 8), ("root page", 72, 8), ("root max seq", 80, 8), ("root crc", 88, 4), ("table crc", 92, 4), ("table page", 96, 8),
        ("segment bytes", 104, 4), ("next segment", 108, 4), ("log start", 112, 16), ("replica id", 128, 65), ("boot id", 193, 65), ("gap", 258, 6), ("durable lsn", 264, 8),
        ("padding", 272, Superblock.SlotBytes - 276), ("crc", Superblock.SlotBytes - 4, 4),
    ];

    private static readonly (string Name, int Offset, int Length)[] SegmentFields =
    [
        ("tag", 0, 4), ("version", 4, 2), ("reserved", 6, 2), ("number", 8, 4), ("segment bytes", 12, 4), ("start lsn", 16, 8), ("replica tag", 24, 8), ("revision", 32, 8), ("crc", 40, 4),
        ("padding", 44, FormatTags.PageBytes - 44),
    ];

    private static readonly (string Name, int Offset, int Length)[] RecordFields =
    [
        ("tag", 0, 4), ("version", 4, 2), ("kind", 6, 2), ("lsn", 8, 8), ("segment number", 16, 4), ("header bytes", 20, 4), ("epoch", 24, 8), ("first seq", 32, 8), ("commit seq", 40, 8),
        ("operations", 48, 4), ("data blocks", 52, 4), ("replica tag", 56, 8), ("argument", 64, 8), ("segment revision", 72, 4), ("crc", 76, 4), ("durable lsn", 80, 8),
    ];

    /// <summary>All places, by class.</summary>
    public static SortedDictionary<string, List<BytePlace>> Of(SimulatedStorageDevice device)
    {
        var classes = new SortedDictionary<string, List<BytePlace>>(StringComparer.Ordinal);
        foreach (var file in device.List())
        {
            var bytes = device.ReadAllBytes(file);
            if (file == Superblock.FileName) AddSuperblocks(classes, file);
            else if (file.StartsWith("segment-", StringComparison.Ordinal)) AddSegment(classes, file, bytes);
        }

        var superblock = device.ReadAllBytes(Superblock.FileName);
        var newest = new[] { Superblock.Read(superblock.AsSpan(0, Superblock.SlotBytes)), Superblock.Read(superblock.AsSpan(Superblock.SlotBytes)) }.MaxBy(s => s?.Revision)!;
        var used = new HashSet<ulong>();
        if (newest.Root.Page != 0) AddNode(classes, device, newest.Root.Page, MapNode.RootLevel, used);
        for (var page = newest.SegmentTable.Page; page != 0;) page = AddTable(classes, device, page, used);
        AddFreePages(classes, device, used);
        return classes;
    }

    private static void Add(SortedDictionary<string, List<BytePlace>> classes, string name, string file, long offset, int length)
    {
        if (length <= 0) return;
        if (!classes.TryGetValue(name, out var places)) classes.Add(name, places = []);
        places.Add(new BytePlace(file, offset, length));
    }

    private static void AddSuperblocks(SortedDictionary<string, List<BytePlace>> classes, string file)
    {
        for (var slot = 0; slot < 2; slot++)
        {
            foreach (var (name, offset, length) in SuperblockFields) Add(classes, $"superblock {slot}: {name}", file, (slot * Superblock.SlotBytes) + offset, length);
        }
    }

    private static void AddSegment(SortedDictionary<string, List<BytePlace>> classes, string file, byte[] bytes)
    {
        if (SegmentHeader.Read(bytes.AsSpan(0, FormatTags.PageBytes)) is null)
        {
            Add(classes, "segment without a header", file, 0, bytes.Length);
            return;
        }

        foreach (var (name, offset, length) in SegmentFields) Add(classes, $"segment header: {name}", file, offset, length);
        var at = FormatTags.PageBytes;
        while (at < bytes.Length && RecordHeader.Read(bytes.AsSpan(at, HeaderBytes(bytes, at)), bytes.Length - at) is { } header)
        {
            AddRecord(classes, file, at, header);
            at += header.TotalBytes;
        }

        Add(classes, "segment: behind the log", file, at, bytes.Length - at);
    }

    private static int HeaderBytes(byte[] bytes, int at)
    {
        var length = BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at + 20));
        return length >= FormatTags.PageBytes && length <= bytes.Length - at && length % FormatTags.PageBytes == 0 ? (int)length : FormatTags.PageBytes;
    }

    private static void AddRecord(SortedDictionary<string, List<BytePlace>> classes, string file, int at, RecordHeader header)
    {
        foreach (var (name, offset, length) in RecordFields) Add(classes, $"record header: {name}", file, at + offset, length);
        var end = at + RecordHeader.FixedBytes;
        for (var i = 0; i < header.Operations.Length; i++, end += RecordHeader.OperationBytes)
        {
            Add(classes, "record header: operation kind", file, end, 1);
            Add(classes, "record header: operation reserved", file, end + 1, 7);
            Add(classes, "record header: operation block", file, end + 8, 8);
            Add(classes, "record header: operation block count", file, end + 16, 8);
        }

        Add(classes, "record header: checksums", file, end, header.DataBlocks * 4);
        end += header.DataBlocks * 4;
        if (RecordHeader.HasOrigins(header.Kind))
        {
            Add(classes, "record header: origins", file, end, header.DataBlocks * 12);
            end += header.DataBlocks * 12;
        }

        Add(classes, "record header: padding", file, end, at + header.HeaderBytes - end);
        for (var block = 0; block < header.DataBlocks; block++)
        {
            var data = at + header.HeaderBytes + (block * FormatTags.PageBytes);
            Add(classes, "payload: first byte", file, data, 1);
            Add(classes, "payload: middle", file, data + 1, FormatTags.PageBytes - 2);
            Add(classes, "payload: last byte", file, data + FormatTags.PageBytes - 1, 1);
        }
    }

    private static (string File, long Offset) PlaceOf(ulong page) => ($"map-{(page - 1) / MapPages.PagesPerFile:x8}", (long)((page - 1) % MapPages.PagesPerFile) * FormatTags.PageBytes);

    private static ReadOnlySpan<byte> Read(SimulatedStorageDevice device, ulong page)
    {
        var (file, offset) = PlaceOf(page);
        return device.ReadAllBytes(file).AsSpan((int)offset, FormatTags.PageBytes);
    }

    private static void AddNode(SortedDictionary<string, List<BytePlace>> classes, SimulatedStorageDevice device, ulong page, int level, HashSet<ulong> used)
    {
        used.Add(page);
        var (file, at) = PlaceOf(page);
        var node = MapNode.ReadFrom(Read(device, page), level, default, 0);
        for (var i = 0; level == 0 && i < MapNode.LeafBlocks; i++)
        {
            if (!node.Entries[i].HasHistory)
            {
                Add(classes, "map leaf: unused entry", file, at + (i * 16), 16);
                continue;
            }

            Add(classes, "map leaf: segment", file, at + (i * 16), 4);
            Add(classes, "map leaf: offset", file, at + (i * 16) + 4, 3);
            Add(classes, "map leaf: flags", file, at + (i * 16) + 7, 1);
            Add(classes, "map leaf: crc", file, at + (i * 16) + 8, 4);
            Add(classes, "map leaf: seq", file, at + (i * 16) + 12, 4);
        }

        for (var i = 0; level > 0 && i < MapNode.Fanout; i++)
        {
            var kind = level == MapNode.RootLevel ? "map root" : "map interior";
            if (node.Children[i].Pointer.Page == 0)
            {
                Add(classes, $"{kind}: absent child", file, at + (i * 32), 32);
                continue;
            }

            Add(classes, $"{kind}: page", file, at + (i * 32), 8);
            Add(classes, $"{kind}: max seq", file, at + (i * 32) + 8, 8);
            Add(classes, $"{kind}: crc", file, at + (i * 32) + 16, 4);
            Add(classes, $"{kind}: padding", file, at + (i * 32) + 20, 12);
            AddNode(classes, device, node.Children[i].Pointer.Page, level - 1, used);
        }
    }

    private static ulong AddTable(SortedDictionary<string, List<BytePlace>> classes, SimulatedStorageDevice device, ulong page, HashSet<ulong> used)
    {
        used.Add(page);
        var (file, at) = PlaceOf(page);
        var content = Read(device, page);
        var count = (int)BinaryPrimitives.ReadUInt32LittleEndian(content[4..]);
        foreach (var (name, offset, length) in new[] { ("tag", 0, 4), ("entries", 4, 4), ("next page", 8, 8), ("next crc", 16, 4), ("reserved", 20, 12), ("entry", 32, count * 12) }) Add(classes, $"segment table: {name}", file, at + offset, length);
        Add(classes, "segment table: padding", file, at + 32 + (count * 12), FormatTags.PageBytes - 32 - (count * 12));
        return BinaryPrimitives.ReadUInt64LittleEndian(content[8..]);
    }

    private static void AddFreePages(SortedDictionary<string, List<BytePlace>> classes, SimulatedStorageDevice device, HashSet<ulong> used)
    {
        foreach (var file in device.List().Where(name => name.StartsWith("map-", StringComparison.Ordinal)))
        {
            var first = (Convert.ToUInt64(file[4..], 16) * MapPages.PagesPerFile) + 1;
            for (var i = 0ul; i < MapPages.PagesPerFile; i++)
            {
                if (!used.Contains(first + i)) Add(classes, "map: free page", file, (long)i * FormatTags.PageBytes, FormatTags.PageBytes);
            }
        }
    }
}
