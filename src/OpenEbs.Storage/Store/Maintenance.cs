namespace OpenEbs.Storage.Store;

/// <summary>What a store does beside its appends: checkpoints, segments ahead of need, compaction; which of them is due, one bounded step at a time.</summary>
internal sealed class Maintenance(StoreState state, Compaction compaction, Evacuation evacuation, LogFlusher flusher)
{
    private const int MostFreeSegments = 2;
    private const int UrgentBytes = 64 << 10;
    private readonly Checkpoints _checkpoints = new(state, flusher.FlushAsync);
    private readonly SegmentsAhead _ahead = new(state);
    private bool _superblockStale;
    private bool _isCheckpointWanted;
    private LogPosition _restedAt;

    /// <summary>The next segment would be of the last of the pool's space, though some could be given back.</summary>
    public bool IsUrgent
    {
        get
        {
            var segments = state.Segments;
            if (segments.FreeCount > 0 || (segments.Current is { } current && segments.SegmentBytes - current.WriteOffset > UrgentBytes)) return false;
            if (state.Device.FreeBytes >= state.Options.ReserveBytes + segments.SegmentBytes) return false;
            var dead = compaction.DeadSegments;
            return dead > 0 || compaction.IsNeeded(dead);
        }
    }

    /// <summary>A caller had the store flushed.</summary>
    public void NoteFlush() => _ahead.NoteFlush();

    /// <summary>The superblock says something of the log's end that is no longer so.</summary>
    public void NoteSuperblockStale() => _superblockStale = true;

    /// <summary>Something that the installed checkpoint needs, or that stands in the log after it, is damaged on media: another one does without it.</summary>
    public void RequestCheckpoint() => _isCheckpointWanted = true;

    /// <summary>The store goes back to its last checkpoint.</summary>
    public void AbandonCheckpoint() => _checkpoints.Abandon();

    /// <summary>One step; false when there was nothing to do. The caller holds the maintenance turn.</summary>
    public async ValueTask<bool> StepAsync()
    {
        switch (_checkpoints.Phase)
        {
            case CheckpointPhase.Writing:
                await _checkpoints.WriteSomeAsync();
                return true;
            case CheckpointPhase.Written when _checkpoints.CanInstall:
                await _checkpoints.InstallAsync(KeptFreeSegments);
                _superblockStale = false;
                return true;
            case CheckpointPhase.None when NeedsCheckpoint():
                await CaptureAsync();
                return true;
        }

        if (_superblockStale)
        {
            _superblockStale = false;
            await state.WriteSuperblockAsync(s => s with { TailInDoubt = state.TailInDoubt });
            return true;
        }

        if (state.IsPressed && state.Segments.DeleteFree()) return true;
        if (evacuation.IsNeeded && await evacuation.StepAsync())
        {
            if (!evacuation.IsNeeded) RequestCheckpoint();
            return true;
        }

        if (await _ahead.StepAsync()) return true;
        if (compaction.IsNeeded(compaction.DeadSegments) && await compaction.StepAsync()) return true;
        state.Map.Trim();
        return await RestAsync();
    }

    /// <summary>A checkpoint of everything, if the commit point allows one; it makes the next opening fast.</summary>
    public async ValueTask CheckpointAsync()
    {
        if (_checkpoints.Phase == CheckpointPhase.None && state.LogBytes > 0 && (state.CommitSeq >= state.Last.Seq || state.Consistency == ReplicaConsistency.Rebuilding)) await CaptureAsync();
        while (_checkpoints.Phase == CheckpointPhase.Writing) await _checkpoints.WriteSomeAsync();
        if (_checkpoints.CanInstall) await _checkpoints.InstallAsync(KeptFreeSegments);
    }

    /// <summary>Nothing was written since the last look: what can be given back is given back, however little.</summary>
    private async ValueTask<bool> RestAsync()
    {
        (var before, _restedAt) = (_restedAt, state.Last);
        if (before != state.Last || state.CommitSeq < state.Last.Seq || _checkpoints.Phase != CheckpointPhase.None) return false;
        if (state.LogBytes == 0 || (compaction.DeadSegments == 0 && !compaction.HasSparse(isInCheckpoint: false))) return compaction.HasSparse(isInCheckpoint: true) && await compaction.StepAsync();
        await CaptureAsync();
        return true;
    }

    /// <summary>A file that is kept spares the next segment its preparation; a pool that runs short needs the space more.</summary>
    private int KeptFreeSegments => state.IsPressed ? 0 : MostFreeSegments;

    private bool NeedsCheckpoint()
    {
        if (_isCheckpointWanted) return true;
        if (state.LogBytes == 0) return false;
        var options = state.Options;
        return state.LogBytes >= options.CheckpointLogBytes || state.Map.DirtyLeaves >= options.MaxDirtyLeaves || compaction.DeadSegments >= options.CompactionSlackSegments
            || (state.IsPressed && compaction.DeadSegments > 0);
    }

    private async ValueTask CaptureAsync()
    {
        await state.MutationTurn.EnterAsync();
        try
        {
            _isCheckpointWanted = false;
            _checkpoints.Capture();
        }
        finally
        {
            state.MutationTurn.Leave();
        }
    }
}
