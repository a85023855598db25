using System.Buffers.Binary;
using System.Globalization;
using OpenEbs.Storage.Devices;
using OpenEbs.Storage.Formats;
using OpenEbs.Storage.Maps;
using OpenEbs.Storage.Store;

namespace OpenEbs.Storage.Segments;

/// <summary>The segments in use, by number, and the files that are free for new ones. Counts the live blocks of each.</summary>
internal sealed class SegmentSet(IStorageDevice device, int segmentBytes, ulong replicaTag) : IDisposable
{
    private const string Prefix = "segment-";
    private const int TableEntryBytes = 12;
    private const int TableHeaderBytes = 32;
    private const int EntriesPerPage = (FormatTags.PageBytes - TableHeaderBytes) / TableEntryBytes;
    private readonly Dictionary<uint, Segment> _segments = [];
    private readonly Dictionary<uint, IStorageFile> _files = [];
    private readonly Stack<uint> _free = new();
    private uint _nextSlot = 1;

    public int SegmentBytes { get; } = segmentBytes;

    /// <summary>The number for the next segment begun.</summary>
    public uint NextNumber { get; set; } = 1;

    public Segment? Current { get; private set; }

    public int FreeCount => _free.Count;

    public long FileBytes => (long)_files.Count * SegmentBytes;

    public long LiveBlocks { get; private set; }

    public int Count => _segments.Count;

    public IEnumerable<Segment> All => _segments.Values;

    /// <summary>A file was created or deleted since the directory was last made durable. So it is at first: a killed process may have done it.</summary>
    public bool IsDirectoryDirty { get; set; } = true;

    public Segment this[uint number] => _segments.TryGetValue(number, out var segment)
        ? segment
        : throw new StoreCorruptException($"{device.Path}: the map refers to segment {number}, which is missing. Let the replica be rebuilt from another.");

    public bool TryGet(uint number, out Segment? segment) => _segments.TryGetValue(number, out segment);

    /// <summary>Opens all segment files and reads their headers; null for one that has none that checks.</summary>
    public async ValueTask<List<SegmentFile>> OpenFilesAsync()
    {
        var found = new List<SegmentFile>();
        var page = new byte[FormatTags.PageBytes];
        foreach (var name in device.List().Where(n => n.StartsWith(Prefix, StringComparison.Ordinal)).Order(StringComparer.Ordinal))
        {
            if (!uint.TryParse(name.AsSpan(Prefix.Length), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var slot)) continue;
            if (!_files.TryGetValue(slot, out var file)) _files[slot] = file = device.Open(name);
            _nextSlot = Math.Max(_nextSlot, slot + 1);
            SegmentHeader? header = null;
            if (file.LengthBytes >= FormatTags.PageBytes)
            {
                await file.ReadAsync(0, page);
                header = SegmentHeader.Read(page);
            }

            if (file.LengthBytes != SegmentBytes || (header is { } h && h.ReplicaTag != replicaTag)) header = null;
            else header ??= await DeduceHeaderAsync(file);
            found.Add(new SegmentFile(slot, file, header));
        }

        return found;
    }

    /// <summary>Forgets all segments (not their files), to begin again from a checkpoint.</summary>
    public void Clear()
    {
        _segments.Clear();
        _free.Clear();
        Current = null;
        LiveBlocks = 0;
    }

    public void Add(Segment segment)
    {
        _segments.Add(segment.Number, segment);
        NextNumber = Math.Max(NextNumber, segment.Number + 1);
    }

    public void AddFree(uint slot)
    {
        if (_files[slot].LengthBytes == SegmentBytes && !_files[slot].IsSparse) _free.Push(slot);
        else Delete(slot);
    }

    public void CountLive(uint number, int blocks)
    {
        if (number == 0) return;
        var segment = this[number];
        segment.LiveBlocks += blocks;
        LiveBlocks += blocks;
        if (segment.LiveBlocks < 0) throw new StoreCorruptException($"{device.Path}: segment {number} has fewer live blocks than the map refers to; the replica stops before anything is overwritten.");
    }

    /// <summary>Creates a file ahead of need; <see cref="AddFree"/> offers it to the next segment.</summary>
    public (uint Slot, IStorageFile File) CreateUnused()
    {
        var slot = CreateFile();
        return (slot, _files[slot]);
    }

    /// <summary>Begins a segment, in a free file or a new one; seals the current one.</summary>
    /// <param name="startLsn">Of its first record.</param>
    /// <param name="revision">Of the superblock on media.</param>
    /// <param name="sparse">A new file takes only as much space as is written to it.</param>
    public Segment Begin(ulong startLsn, ulong revision, bool sparse)
    {
        var slot = _free.TryPop(out var recycled) ? recycled : CreateFile(sparse);
        var number = NextNumber;
        var file = _files[slot];
        Span<byte> page = stackalloc byte[FormatTags.PageBytes];
        new SegmentHeader(number, SegmentBytes, startLsn, replicaTag, revision).Write(page);
        try
        {
            file.Write(0, page);
        }
        catch (StorageFullException)
        {
            Delete(slot);
            throw;
        }

        NextNumber++;
        if (Current is not null) Current.IsSealed = true;
        Current = new Segment(number, slot, file, startLsn, revision) { IsDirty = true, IsCached = true };
        _segments.Add(number, Current);
        return Current;
    }

    public void SealCurrent()
    {
        if (Current is not null) Current.IsSealed = true;
        Current = null;
    }

    /// <summary>Gives a dead segment's file back: kept for the next segment while fewer than <paramref name="keepFree"/> are, else deleted.</summary>
    public void Free(Segment segment, int keepFree)
    {
        _segments.Remove(segment.Number);
        if (_free.Count < keepFree && !segment.File.IsSparse) _free.Push(segment.Slot);
        else Delete(segment.Slot);
    }

    /// <summary>Deletes a free file; false when there is none.</summary>
    public bool DeleteFree()
    {
        if (!_free.TryPop(out var slot)) return false;
        Delete(slot);
        return true;
    }

    /// <summary>Which segments there are and what lives in them, as it is now.</summary>
    public List<(uint Number, uint Slot, int Live)> Snapshot() => [.. _segments.Values.OrderBy(s => s.Number).Select(s => (s.Number, s.Slot, s.LiveBlocks))];

    /// <summary>
    /// Writes the table as a chain of map pages and returns the first. A page: u32 tag "OETB", u32 entries, u64 next page, u32 next page's CRC-32C, 12 bytes 0; then per entry u32 number,
    /// u32 slot, u32 live blocks.
    /// </summary>
    public static PagePointer WriteTable(List<(uint Number, uint Slot, int Live)> table, MapPages pages, List<ulong> written)
    {
        var next = default(PagePointer);
        Span<byte> page = stackalloc byte[FormatTags.PageBytes];
        for (var start = (Math.Max(table.Count, 1) - 1) / EntriesPerPage * EntriesPerPage; start >= 0; start -= EntriesPerPage)
        {
            var count = Math.Min(EntriesPerPage, table.Count - start);
            page.Clear();
            BinaryPrimitives.WriteUInt32LittleEndian(page, FormatTags.SegmentTable);
            BinaryPrimitives.WriteUInt32LittleEndian(page[4..], (uint)count);
            BinaryPrimitives.WriteUInt64LittleEndian(page[8..], next.Page);
            BinaryPrimitives.WriteUInt32LittleEndian(page[16..], next.Crc);
            for (var i = 0; i < count; i++)
            {
                var field = page[(TableHeaderBytes + (i * TableEntryBytes))..];
                BinaryPrimitives.WriteUInt32LittleEndian(field, table[start + i].Number);
                BinaryPrimitives.WriteUInt32LittleEndian(field[4..], table[start + i].Slot);
                BinaryPrimitives.WriteInt32LittleEndian(field[8..], table[start + i].Live);
            }

            next = pages.Write(page, 0);
            written.Add(next.Page);
        }

        return next;
    }

    public static async ValueTask<List<(uint Number, uint Slot, int Live)>> ReadTableAsync(PagePointer first, MapPages pages, List<ulong> read)
    {
        var table = new List<(uint, uint, int)>();
        for (var pointer = first; pointer.Page != 0;)
        {
            var page = await pages.ReadRawAsync(pointer);
            read.Add(pointer.Page);
            var count = (int)BinaryPrimitives.ReadUInt32LittleEndian(page.AsSpan(4));
            for (var i = 0; i < count; i++)
            {
                var field = page.AsSpan(TableHeaderBytes + (i * TableEntryBytes));
                table.Add((BinaryPrimitives.ReadUInt32LittleEndian(field), BinaryPrimitives.ReadUInt32LittleEndian(field[4..]), BinaryPrimitives.ReadInt32LittleEndian(field[8..])));
            }

            pointer = NextTablePage(page);
        }

        return table;
    }

    /// <summary>The page that follows one of the table; page 0 for none.</summary>
    public static PagePointer NextTablePage(ReadOnlySpan<byte> page) => new(BinaryPrimitives.ReadUInt64LittleEndian(page[8..]), BinaryPrimitives.ReadUInt32LittleEndian(page[16..]), 0);

    public void Dispose()
    {
        foreach (var file in _files.Values) file.Dispose();
    }

    /// <summary>What a damaged or lost header said, from the record that follows it.</summary>
    private async ValueTask<SegmentHeader?> DeduceHeaderAsync(IStorageFile file)
    {
        var page = new byte[FormatTags.PageBytes];
        await file.ReadAsync(FormatTags.PageBytes, page);
        var home = RecordHeader.PeekHome(page);
        if (home.ReplicaTag != replicaTag || await LogScan.ReadHeaderAsync(file.ReadAsync, home, FormatTags.PageBytes, SegmentBytes) is not { } first) return null;
        return new SegmentHeader(home.SegmentNumber, SegmentBytes, first.Lsn, replicaTag, home.SegmentRevision);
    }

    private uint CreateFile(bool sparse = false)
    {
        var slot = _nextSlot;
        var name = $"{Prefix}{slot:x8}";
        _files[slot] = sparse ? device.CreateSparse(name, SegmentBytes) : device.Create(name, SegmentBytes);
        _nextSlot++;
        IsDirectoryDirty = true;
        return slot;
    }

    private void Delete(uint slot)
    {
        _files[slot].Dispose();
        _files.Remove(slot);
        device.Delete($"{Prefix}{slot:x8}");
        IsDirectoryDirty = true;
    }
}
