using OpenEbs.Storage.Formats;
using OpenEbs.Storage.Segments;

namespace OpenEbs.Storage.Store;

/// <summary>Checks the headers of segments and of their records on media.</summary>
/// <remarks>
/// A segment's header is known from memory and written once more. A record's header is, if the page cache still has it; else the segment is evacuated: until then nobody misses it but compaction, and, where
/// it stands after the installed checkpoint, an opening after a crash, for which a new checkpoint is taken.
/// Where the records of a segment end is known for those that were written in this life of the store. Of older ones it is the next segment that tells; of those before the checkpoint, of which some may be
/// gone, whether blocks live behind the end that was found: a record of which nothing lives is needed by nobody.
/// </remarks>
internal sealed class SegmentScrub(StoreState state, Maintenance maintenance, Evacuation evacuation)
{
    private const int RecordsPerStep = 64;
    private const int WindowsPerStep = 16;
    private const int WindowBytes = 64 << 10;
    private readonly Queue<uint> _numbers = [];
    private readonly byte[] _window = new byte[WindowBytes];
    private readonly byte[] _page = new byte[FormatTags.PageBytes];
    private Dictionary<uint, uint> _highestLive = [];
    private Segment? _segment;
    private int _offset;
    private ulong _lsn;
    private long _windowStart;
    private int _windowLength;
    private int _windowsLeft;

    /// <param name="highestLive">By segment, the highest block offset in it that the map refers to.</param>
    public void Restart(Dictionary<uint, uint> highestLive)
    {
        _highestLive = highestLive;
        _segment = null;
        _numbers.Clear();
        foreach (var number in state.Segments.All.Select(s => s.Number).Order()) _numbers.Enqueue(number);
    }

    /// <summary>True when all have been checked.</summary>
    public async ValueTask<bool> StepAsync(ScrubFindings findings)
    {
        _windowsLeft = WindowsPerStep;
        for (var records = 0; records < RecordsPerStep && _windowsLeft > 0;)
        {
            // One that was freed meanwhile has nothing that matters any more.
            if (_segment is null || !state.Segments.TryGet(_segment.Number, out var same) || same != _segment)
            {
                _segment = null;
                if (!_numbers.TryDequeue(out var number)) return true;
                if (!state.Segments.TryGet(number, out _segment)) continue;
                await BeginAsync(_segment!, findings);
            }
            else if (await NextAsync(_segment, findings))
            {
                records++;
            }
            else
            {
                _segment = null;
            }
        }

        return false;
    }

    private async ValueTask BeginAsync(Segment segment, ScrubFindings findings)
    {
        (_offset, _lsn, _windowLength) = (FormatTags.PageBytes, segment.StartLsn, 0);
        findings.CheckedBytes += FormatTags.PageBytes;
        if (segment.Revision == 0)
        {
            if (segment.LiveBlocks == 0) return;
            findings.Repaired.Add($"the header of {segment.File.Name} is damaged, and what it said is not known: its blocks are moved");
            evacuation.Add(segment);
            return;
        }

        new SegmentHeader(segment.Number, state.Segments.SegmentBytes, segment.StartLsn, state.ReplicaTag, segment.Revision).Write(_page);
        if (await StoreState.IsOnMediaAsync(segment.File, 0, _page)) return;
        findings.Repaired.Add($"the header of {segment.File.Name} was damaged: written anew");
        segment.File.Write(0, _page);
        await segment.File.FlushAsync();
    }

    /// <summary>Checks the next record's header; false when that was the last.</summary>
    private async ValueTask<bool> NextAsync(Segment segment, ScrubFindings findings)
    {
        if (segment.Revision == 0 || _offset >= segment.WriteOffset) return false;
        if (await ReadHeaderAsync(segment, ReadMediaAsync) is { } header)
        {
            (_offset, _lsn) = (_offset + header.TotalBytes, _lsn + 1);
            return true;
        }

        if (!IsMissing(segment)) return false;
        var where = $"the header of record {_lsn} in {segment.File.Name} at {_offset}";
        if (await ReadHeaderAsync(segment, segment.File.ReadAsync) is { } cached)
        {
            var bytes = new byte[cached.HeaderBytes];
            await segment.File.ReadAsync(_offset, bytes);
            segment.File.Write(_offset, bytes);
            await segment.File.FlushAsync();
            findings.Repaired.Add($"{where} was damaged: written anew");
            (_offset, _lsn, _windowLength) = (_offset + cached.TotalBytes, _lsn + 1, 0);
            return true;
        }

        findings.Repaired.Add($"{where} is damaged: the segment's blocks are moved, a new checkpoint does without it");
        evacuation.Add(segment);
        maintenance.RequestCheckpoint();
        return false;

        async ValueTask ReadMediaAsync(long offsetBytes, Memory<byte> destination) => await ReadWindowAsync(segment, offsetBytes, destination, findings);
    }

    private async ValueTask<RecordHeader?> ReadHeaderAsync(Segment segment, Func<long, Memory<byte>, ValueTask> read)
    {
        try
        {
            return await LogScan.ReadHeaderAsync(state, segment, _offset, _lsn, read, _page);
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>Whether there was a record where none was found, and anybody needs it.</summary>
    private bool IsMissing(Segment segment)
    {
        // Written in this life: the end is known.
        if (segment.WriteOffset < state.Segments.SegmentBytes) return true;
        if (segment.Number < state.Superblock.ReplaySegment) return _highestLive.TryGetValue(segment.Number, out var highest) && (long)highest * FormatTags.PageBytes >= _offset;
        var next = state.Segments.All.Where(s => s.Number > segment.Number).MinBy(s => s.Number);
        return _lsn < (next is { Revision: not 0 } ? next.StartLsn : state.NextLsn);
    }

    /// <summary>Records that lie side by side come in one read of the media.</summary>
    private async ValueTask ReadWindowAsync(Segment segment, long offsetBytes, Memory<byte> destination, ScrubFindings findings)
    {
        if (!IsInWindow(offsetBytes, destination.Length))
        {
            _windowLength = 0;
            var length = (int)Math.Min(WindowBytes, Math.Min(segment.WriteOffset, state.Segments.SegmentBytes) - offsetBytes);
            if (length < destination.Length)
            {
                await segment.File.ReadMediaAsync(offsetBytes, destination);
                return;
            }

            await segment.File.ReadMediaAsync(offsetBytes, _window.AsMemory(0, length));
            (_windowStart, _windowLength) = (offsetBytes, length);
            _windowsLeft--;
            findings.CheckedBytes += length;
        }

        _window.AsSpan((int)(offsetBytes - _windowStart), destination.Length).CopyTo(destination.Span);
    }

    private bool IsInWindow(long offsetBytes, int lengthBytes) => offsetBytes >= _windowStart && offsetBytes + lengthBytes <= _windowStart + _windowLength;
}
