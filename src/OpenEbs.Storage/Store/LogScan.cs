using OpenEbs.Storage.Devices;
using OpenEbs.Storage.Formats;
using OpenEbs.Storage.Segments;

namespace OpenEbs.Storage.Store;

/// <summary>A record of the log, and where it is. <see cref="CutSeq"/>: its operations above that were taken back by a later Truncate.</summary>
internal readonly record struct FoundRecord(RecordHeader Header, Segment Segment, int OffsetBytes, long CutSeq = long.MaxValue);

/// <summary>A segment file and its header, null when it has none that checks.</summary>
internal readonly record struct SegmentFile(uint Slot, IStorageFile File, SegmentHeader? Header);

/// <summary>Finds the records after the checkpoint.</summary>
/// <remarks>
/// The log is the sequence of records with consecutive lsns. It ends at the first that does not check: a crash tore it, or lost it. Nothing is ever appended behind such an end: a new segment is
/// begun, whose StartLsn says where the log goes on, and with that ends whatever earlier segments may hold at or beyond it.
/// Damage is told from a crash by what was known to be durable: the superblock and each record say up to which lsn the log was on media when they were written. A record at or below the highest
/// such lsn was not torn. If only its data are damaged it counts, and its bad blocks are found when they are read; otherwise the replica is corrupt, for to end the log there would lose flushed writes in silence.
/// A record above that lsn may have been acknowledged all the same, unflushed. So what is left of one behind the end puts the tail in doubt, as a loss of power does: torn or rotted, others have to tell.
/// </remarks>
internal sealed class LogScan(StoreState state, IReadOnlyList<SegmentFile> files)
{
    private const int SearchBytes = 1 << 20;
    private readonly List<FoundRecord> _records = [];
    private readonly List<SegmentFile> _candidates = [.. files.Where(f => f.Header is { } h && h.Number >= state.Superblock.ReplaySegment).OrderBy(f => f.Header!.Value.Number)];
    private ulong _lsn = state.Superblock.CheckpointLsn + 1;
    private ulong _durableLsn = Math.Max(Math.Max(state.Superblock.DurableLsn, state.Superblock.CheckpointLsn), state.DurableLsn);
    private bool _searched;

    /// <summary>The highest lsn of a record found by the search.</summary>
    private ulong _foundLsn;

    /// <summary>The candidate and the place in it where the scan is.</summary>
    private int _index;
    private int _offset;

    /// <summary>All records after the checkpoint, in order, each read whole and checked.</summary>
    public async ValueTask<List<FoundRecord>> RunAsync()
    {
        var replaySegment = state.Superblock.ReplaySegment;
        foreach (var (_, _, header) in _candidates) state.Segments.NextNumber = Math.Max(state.Segments.NextNumber, header!.Value.Number + 1);
        for (var i = 0; i < _candidates.Count; i++)
        {
            var (slot, file, header) = _candidates[i];
            var (number, startLsn) = (header!.Value.Number, header.Value.StartLsn);
            var limit = LimitOf(i);
            if (number != replaySegment && startLsn >= limit) continue;
            if (number != replaySegment && startLsn > _lsn) break;
            if (number != replaySegment && startLsn < _lsn) continue;
            if (!state.Segments.TryGet(number, out var segment))
            {
                segment = new Segment(number, slot, file, startLsn, header.Value.Revision) { IsSealed = true };
                state.Segments.Add(segment);
            }

            (_index, _offset) = (i, number == replaySegment ? (int)state.Superblock.ReplayOffset : FormatTags.PageBytes);
            await ReadSegmentAsync(segment!, limit);
        }

        state.DurableLsn = await DurableLsnAsync();
        if (_lsn <= state.DurableLsn)
        {
            throw new StoreCorruptException($"{state.Device.Path}: record {_lsn} of the log is damaged or missing, though the log was on media up to record {state.DurableLsn}. " +
                "Let the replica be rebuilt from another.");
        }

        if (!state.Superblock.Clean && await WasCutShortAsync()) state.TailInDoubt = true;
        return _records;
    }

    /// <summary>The header of the record with that lsn at that place; null when there is none. <paramref name="read"/> reads from the segment, and <paramref name="page"/> is a page to read into, for callers that read many.</summary>
    public static async ValueTask<RecordHeader?> ReadHeaderAsync(StoreState state, Segment segment, int offset, ulong lsn, Func<long, Memory<byte>, ValueTask>? read = null, byte[]? page = null)
    {
        var home = state.HomeIn(segment);
        return await ReadHeaderAsync(read ?? segment.File.ReadAsync, home, offset, state.Segments.SegmentBytes, page) is { } header && header.Lsn == lsn ? header : null;
    }

    /// <summary>The header of the record of that segment at that place; null when there is none.</summary>
    public static async ValueTask<RecordHeader?> ReadHeaderAsync(Func<long, Memory<byte>, ValueTask> read, RecordHome home, int offset, int segmentBytes, byte[]? page = null)
    {
        var limitBytes = segmentBytes - offset;
        if (limitBytes < FormatTags.PageBytes) return null;
        page ??= new byte[FormatTags.PageBytes];
        await read(offset, page);
        var (headerBytes, _) = RecordHeader.Peek(page, home, limitBytes);
        if (headerBytes == 0) return null;
        if (headerBytes > FormatTags.PageBytes)
        {
            var whole = new byte[headerBytes];
            page.CopyTo(whole, 0);
            await read(offset + FormatTags.PageBytes, whole.AsMemory(FormatTags.PageBytes));
            page = whole;
        }

        return RecordHeader.Read(page, limitBytes);
    }

    /// <summary>Where later segments end the log of this one.</summary>
    private ulong LimitOf(int index)
    {
        var limit = ulong.MaxValue;
        for (var i = index + 1; i < _candidates.Count; i++) limit = Math.Min(limit, _candidates[i].Header!.Value.StartLsn);
        return limit;
    }

    private async ValueTask ReadSegmentAsync(Segment segment, ulong limit)
    {
        while (_lsn < limit && await ReadHeaderAsync(state, segment, _offset, _lsn) is { } header)
        {
            _durableLsn = Math.Max(_durableLsn, header.DurableLsn);
            if (!await DataChecksAsync(segment.File, header, _offset) && _lsn > await DurableLsnAsync()) break;
            _records.Add(new FoundRecord(header, segment, _offset));
            _offset += header.TotalBytes;
            _lsn++;
        }

        // What came in by the page cache of a killed process may not be on media yet.
        segment.IsDirty = true;
        segment.WriteOffset = state.Segments.SegmentBytes;
    }

    private static async ValueTask<bool> DataChecksAsync(IStorageFile file, RecordHeader header, int offset)
    {
        var data = new byte[header.DataBlocks * FormatTags.PageBytes];
        await file.ReadAsync(offset + header.HeaderBytes, data);
        return FirstBad(header, data) == header.DataBlocks;
    }

    /// <summary>The highest lsn of which the superblock or any record, also of what lies behind a damaged one, says that it was on media.</summary>
    private async ValueTask<ulong> DurableLsnAsync()
    {
        // After a clean close the superblock knows all.
        if (_searched || state.Superblock.Clean) return _durableLsn;
        _searched = true;
        for (var i = _index; i < _candidates.Count; i++)
        {
            var (_, file, header) = _candidates[i];
            var home = new RecordHome(header!.Value.Number, (uint)header.Value.Revision, state.ReplicaTag);
            _durableLsn = Math.Max(_durableLsn, await SearchAsync(file, home, i == _index ? _offset : FormatTags.PageBytes));
        }

        return _durableLsn;
    }

    /// <summary>Looks at every page of a segment, from a place on, for a record header.</summary>
    private async ValueTask<ulong> SearchAsync(IStorageFile file, RecordHome home, int from)
    {
        var segmentBytes = state.Segments.SegmentBytes;
        var durable = 0ul;
        var buffer = new byte[Math.Min(SearchBytes, segmentBytes)];
        for (var start = from; start < segmentBytes; start += buffer.Length)
        {
            var part = buffer.AsMemory(0, Math.Min(buffer.Length, segmentBytes - start));
            await file.ReadAsync(start, part);
            for (var at = 0; at < part.Length; at += FormatTags.PageBytes)
            {
                var offset = start + at;
                if (RecordHeader.Peek(part.Span.Slice(at, FormatTags.PageBytes), home, segmentBytes - offset).HeaderBytes == 0) continue;
                if (await ReadHeaderAsync(file.ReadAsync, home, offset, segmentBytes) is not { } header) continue;
                durable = Math.Max(durable, header.DurableLsn);
                _foundLsn = Math.Max(_foundLsn, header.Lsn);
            }
        }

        return durable;
    }

    /// <summary>Whether anything tells that there was a record where the log ends now: later ones, or remains of itself.</summary>
    /// <remarks>A process that is killed leaves a prefix of its last record, and behind it what was there before. Where that was nothing, the record was never whole.
    /// Not seen: a last record whose first page was replaced beyond recognition.</remarks>
    private async ValueTask<bool> WasCutShortAsync()
    {
        if (_foundLsn > _lsn || _candidates.Skip(_index).Any(c => c.Header!.Value.StartLsn > _lsn)) return true;
        if (_offset == 0 || state.Segments.SegmentBytes - _offset < FormatTags.PageBytes) return false;
        var (_, file, segment) = _candidates[_index];
        var home = new RecordHome(segment!.Value.Number, (uint)segment.Value.Revision, state.ReplicaTag);
        var page = new byte[FormatTags.PageBytes];
        await file.ReadAsync(_offset, page);
        if (!RecordHeader.Resembles(page, home, _lsn)) return false;
        if (await ReadHeaderAsync(file.ReadAsync, home, _offset, state.Segments.SegmentBytes) is not { } header) return true;
        var data = new byte[header.DataBlocks * FormatTags.PageBytes];
        await file.ReadAsync(_offset + header.HeaderBytes, data);
        return data.AsSpan(FirstBad(header, data) * FormatTags.PageBytes).ContainsAnyExcept((byte)0);
    }

    /// <summary>The first block that does not check; the number of blocks when all do.</summary>
    private static int FirstBad(RecordHeader header, ReadOnlySpan<byte> data)
    {
        var i = 0;
        while (i < header.DataBlocks && Crc32C.Compute(data.Slice(i * FormatTags.PageBytes, FormatTags.PageBytes)) == header.Checksums[i]) i++;
        return i;
    }
}
