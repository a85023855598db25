using OpenEbs.Storage.Formats;
using OpenEbs.Storage.Maps;
using OpenEbs.Storage.Segments;

namespace OpenEbs.Storage.Store;

/// <summary>Gives space back: moves the live blocks of sparse segments to the end of the log, a bounded number at a time. The emptied segment is freed by the next checkpoint.</summary>
internal sealed class Compaction(StoreState state, BlockMoves moves)
{
    private const int HeadersPerStep = 64;
    private const double PressedThreshold = 1.1;
    private readonly byte[] _page = new byte[FormatTags.PageBytes];
    private readonly ReadWindow _window = new();
    private Segment? _victim;
    private int _offset;
    private ulong _lsn;
    private int _resets;
    private uint _seenNumber;
    private bool _behind;

    /// <summary>Segments without live blocks that wait for a checkpoint to be freed.</summary>
    public int DeadSegments => state.Segments.All.Count(s => s.IsSealed && s.LiveBlocks == 0);

    public bool IsNeeded(int deadSegments)
    {
        var segments = state.Segments;
        var used = (long)(segments.Count - deadSegments) * segments.SegmentBytes;
        var live = segments.LiveBlocks * FormatTags.PageBytes;
        if (state.IsPressed) return used > (live * PressedThreshold) + segments.SegmentBytes;
        var threshold = state.Options.CompactionThreshold;
        return used > (live * threshold) + ((long)state.Options.CompactionSlackSegments * segments.SegmentBytes);
    }

    /// <summary>Whether there are segments less than half full, worth the trouble when there is nothing else to do: those that the last checkpoint includes can be chosen.</summary>
    public bool HasSparse(bool isInCheckpoint)
    {
        var half = state.Segments.SegmentBytes / FormatTags.PageBytes / 2;
        return state.Segments.All.Any(s => s.IsSealed && !s.IsCompacted && s.LiveBlocks > 0 && s.LiveBlocks < half && s.Number < state.Superblock.ReplaySegment == isInCheckpoint);
    }

    /// <summary>So far behind that appends must wait for it. Looked at when a segment was begun, remembered between.</summary>
    public bool IsBehind()
    {
        if (_seenNumber == state.Segments.NextNumber && !_behind) return false;
        _seenNumber = state.Segments.NextNumber;
        var used = (long)(state.Segments.Count - DeadSegments) * state.Segments.SegmentBytes;
        var live = state.Segments.LiveBlocks * FormatTags.PageBytes;
        return _behind = used > (live * (state.Options.CompactionThreshold + 0.1)) + (2L * state.Options.CompactionSlackSegments * state.Segments.SegmentBytes);
    }

    /// <summary>False when no segment is worth it.</summary>
    public async ValueTask<bool> StepAsync()
    {
        if (_victim is null || _resets != state.Resets || !Choosable(_victim)) Choose();
        if (_victim is not { } victim) return false;
        var resets = state.Resets;
        victim.Readers++;
        try
        {
            var bad = await GatherAsync(victim);
            if (resets != state.Resets) return true;
            await moves.CarryOutAsync(resets);
            if (bad) Finish(victim);
        }
        finally
        {
            victim.Readers--;
        }

        return true;
    }

    private bool Choosable(Segment segment) => segment.IsSealed && !segment.IsCompacted && segment.LiveBlocks > 0 && segment.Number < state.Superblock.ReplaySegment;

    private void Choose()
    {
        var blocks = (state.Segments.SegmentBytes / FormatTags.PageBytes) - 1;
        _victim = state.Segments.All.Where(Choosable).MinBy(s => s.LiveBlocks);
        if (_victim is not null && _victim.LiveBlocks > blocks * 9 / 10) _victim = null;
        _resets = state.Resets;
        if (_victim is not null) _window.Open(_victim);
        _offset = FormatTags.PageBytes;
        _lsn = _victim?.StartLsn ?? 0;
    }

    private void Finish(Segment victim)
    {
        victim.IsCompacted = true;
        _victim = null;
    }

    /// <summary>Collects live blocks from the next records, and their data. True when the segment is through.</summary>
    private async ValueTask<bool> GatherAsync(Segment victim)
    {
        moves.Clear();
        for (var headers = 0; headers < HeadersPerStep; headers++)
        {
            // Bad on media, a header as well as a block: the page cache may still have it as it was.
            if ((await ReadHeaderAsync(victim, _window.Read) ?? await ReadHeaderAsync(victim, victim.File.ReadAsync)) is not { } header) return true;
            var offset = (uint)((_offset + header.HeaderBytes) / FormatTags.PageBytes);
            foreach (var operation in header.Operations)
            {
                if (operation.Kind != OperationKind.Write) continue;
                for (var i = 0; i < operation.BlockCount; i++, offset++)
                {
                    var leaf = await state.Map.GetLeafAsync((operation.Block + i) >> MapNode.LeafBits);
                    var entry = leaf?.Entries[(operation.Block + i) & (MapNode.LeafBlocks - 1)] ?? default;
                    if (!MapUpdates.Matches(entry, new RelocatedBlock(0, victim.Number, offset))) continue;

                    // The next step looks at this record again; what was moved no longer matches.
                    if (moves.IsFull) return false;
                    if (await moves.TryAddAsync(operation.Block + i, entry, _window.Read)) continue;
                    await moves.TryAddAsync(operation.Block + i, entry, victim.File.ReadAsync);
                }
            }

            _offset += header.TotalBytes;
            _lsn++;
        }

        return false;
    }

    /// <summary>What cannot be read is as good as damaged: what lies behind stays where it is (<see cref="Evacuation"/> moves it).</summary>
    private async ValueTask<RecordHeader?> ReadHeaderAsync(Segment victim, Func<long, Memory<byte>, ValueTask> read)
    {
        try
        {
            return await LogScan.ReadHeaderAsync(state, victim, _offset, _lsn, read, _page);
        }
        catch (IOException)
        {
            return null;
        }
    }
}
