namespace OpenEbs.Storage.Store;

/// <summary>Makes the log durable; concurrent callers share one flush of the device.</summary>
internal sealed class LogFlusher(StoreState state)
{
    private const int MostDropped = 32;
    private Task? _running;

    /// <summary>Everything written to the log when it is called becomes durable.</summary>
    public async ValueTask<long> FlushAsync()
    {
        var wanted = state.NextLsn - 1;
        var (seq, resets) = (state.Last.Seq, state.Resets);
        while (state.DurableLsn < wanted || AnyDirty())
        {
            if (_running is { } running)
            {
                await running;
                if (state.DurableLsn >= wanted) break;
                continue;
            }

            _running = FlushOnceAsync();
            try
            {
                await _running;
            }
            finally
            {
                _running = null;
            }

            break;
        }

        // A flush may have come between an append's record and the end of that append: then it counted the record, and not yet the seqs in it. Who calls it after the end is told of
        // those, also when the next append's record is there already.
        if (resets == state.Resets) state.DurableSeq = Math.Max(state.DurableSeq, Math.Min(seq, state.Last.Seq));
        if (state.DurableLsn >= state.NextLsn - 1) state.DurableSeq = Math.Max(state.DurableSeq, state.Last.Seq);
        return state.DurableSeq;
    }

    private bool AnyDirty()
    {
        foreach (var segment in state.Segments.All)
        {
            if (segment.IsDirty) return true;
        }

        return false;
    }

    /// <summary>Page frames that are given back at once are used again for what is appended next. Left to the kernel, every append takes fresh memory, and pays for that more than for
    /// the copy (much more in a virtual machine whose host has to provide it).</summary>
    private void DropCached()
    {
        // Flushes wait behind drops: those of a whole volume, when reads begin to go elsewhere, are spread over many.
        var left = MostDropped;
        foreach (var segment in state.Segments.All)
        {
            if (!segment.IsSealed || !segment.IsCached || segment.IsDirty) continue;
            if (left-- == 0) return;
            segment.IsCached = false;
            segment.File.DropCached(0, segment.File.LengthBytes);
        }
    }

    private async Task FlushOnceAsync()
    {
        var lsn = state.NextLsn - 1;
        var seq = state.Last.Seq;
        var resets = state.Resets;
        if (state.Segments.IsDirectoryDirty)
        {
            state.Segments.IsDirectoryDirty = false;
            try
            {
                await state.Device.SyncDirectoryAsync();
            }
            catch
            {
                state.Segments.IsDirectoryDirty = true;
                throw;
            }
        }

        // In the order of the log, so that what is lost by a crash meanwhile is its end.
        foreach (var segment in state.Segments.All.Where(s => s.IsDirty).OrderBy(s => s.Number).ToArray())
        {
            segment.IsDirty = false;
            try
            {
                await segment.File.FlushAsync();
            }
            catch
            {
                segment.IsDirty = true;
                throw;
            }
        }

        if (state.IsReadElsewhere) DropCached();
        state.DurableLsn = Math.Max(state.DurableLsn, lsn);
        if (resets == state.Resets) state.DurableSeq = Math.Max(state.DurableSeq, Math.Min(seq, state.Last.Seq));
    }
}
