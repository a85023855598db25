using OpenEbs.Storage.Devices;
using OpenEbs.Storage.Formats;
using OpenEbs.Storage.Maps;
using OpenEbs.Storage.Segments;

namespace OpenEbs.Storage.Store;

/// <summary>How far the checkpoint under way is.</summary>
internal enum CheckpointPhase : byte
{
    None,

    /// <summary>The map is captured; its changed pages are being written.</summary>
    Writing,

    /// <summary>All is on media; it may be installed once the commit point has passed its position, so that nothing that may yet be discarded gets into it.</summary>
    Written,
}

/// <summary>Takes checkpoints: captures the map, writes its changed pages while the log goes on, and flips the superblock.</summary>
internal sealed class Checkpoints(StoreState state, Func<ValueTask<long>> flush)
{
    private const int PagesPerStep = 64;
    private Captured? _captured;

    public CheckpointPhase Phase => _captured?.Phase ?? CheckpointPhase.None;

    public bool CanInstall => _captured is { Phase: CheckpointPhase.Written } c && (c.Superblock.Rebuilding || state.Consistency == ReplicaConsistency.Rebuilding
        || state.CommitSeq >= c.Superblock.Position.Seq || state.LogStart.Seq >= c.Superblock.Position.Seq);

    /// <summary>The caller holds the mutation turn.</summary>
    public void Capture()
    {
        var (root, obsolete) = state.Map.Capture();
        var segments = state.Segments;
        var current = segments.Current;
        var replaySegment = current?.Number ?? segments.NextNumber;

        // What nothing lives in is freed when this checkpoint is installed, and must not be missed by it.
        var all = segments.Snapshot();
        var table = all.Where(s => s.Live > 0 || s.Number >= replaySegment).ToList();
        var dead = all.Where(s => s.Live == 0 && s.Number < replaySegment).Select(s => s.Number).ToList();
        _captured = new Captured(root, obsolete, table, dead, ExtentMap.Unwritten(root).GetEnumerator(), state.Resets)
        {
            LogBytes = state.LogBytes,
            Rebuilds = state.Rebuilds,
            Superblock = state.Superblock with
            {
                CheckpointLsn = state.NextLsn - 1,
                ReplaySegment = replaySegment,
                ReplayOffset = (uint)(current?.WriteOffset ?? FormatTags.PageBytes),
                Position = state.Last,
                LogStart = state.Last,
                Rebuilding = state.Consistency == ReplicaConsistency.Rebuilding,
                RebuildBaseSeq = state.RebuildBaseSeq,
            },
        };
    }

    /// <summary>Writes some pages, and at the end makes all durable.</summary>
    public async ValueTask WriteSomeAsync()
    {
        var captured = _captured!;
        for (var i = 0; i < PagesPerStep; i++)
        {
            // One that found no space is the next again: passed over it would be missing from the checkpoint, and its data from the volume.
            if (captured.Next is not null || captured.Unwritten.MoveNext())
            {
                captured.Next ??= captured.Unwritten.Current;
                state.Pages.Write(captured.Next);
                captured.Next = null;
                continue;
            }

            var table = WriteTable(captured);
            captured.Superblock = captured.Superblock with { Root = captured.Root.Pointer, SegmentTable = table };
            if (state.Segments.IsDirectoryDirty || state.Pages.FileBytes > 0) await state.Device.SyncDirectoryAsync();
            await state.Pages.FlushAsync();
            await flush();
            captured.Phase = CheckpointPhase.Written;
            return;
        }
    }

    private PagePointer WriteTable(Captured captured)
    {
        var written = new List<ulong>();
        try
        {
            var table = SegmentSet.WriteTable(captured.Table, state.Pages, written);
            captured.TablePages = written;
            return table;
        }
        catch (StorageFullException)
        {
            foreach (var page in written) state.Pages.Free(page);
            throw;
        }
    }

    /// <summary>Makes the written checkpoint the one that the store opens from, and frees what only its predecessor needed.</summary>
    public async ValueTask InstallAsync(int keepFreeSegments)
    {
        var captured = _captured!;
        var superblock = captured.Superblock;
        await state.WriteSuperblockAsync(old => superblock with
        {
            Clean = old.Clean,
            BootId = old.BootId,
            Damaged = old.Damaged,
            TailInDoubt = state.TailInDoubt,
            FenceEpoch = old.FenceEpoch,
            CommitSeq = state.CommitSeq,
            NextSegmentNumber = state.Segments.NextNumber,
        });
        if (captured.Resets != state.Resets) return;
        _captured = null;
        state.LogBytes -= captured.LogBytes;
        if (captured.Rebuilds == state.Rebuilds && superblock.LogStart.Seq > state.LogStart.Seq)
        {
            state.LogStart = superblock.LogStart;
            state.Index.ForgetTo(state.LogStart.Seq);
        }

        foreach (var page in captured.Obsolete) state.Pages.Free(page.Page);
        foreach (var page in state.TablePages) state.Pages.Free(page);
        state.TablePages = captured.TablePages;
        FreeDead(captured, keepFreeSegments);
    }

    /// <summary>Gives up what is under way.</summary>
    public void Abandon() => _captured = null;

    private void FreeDead(Captured captured, int keepFreeSegments)
    {
        foreach (var number in captured.Dead)
        {
            if (!state.Segments.TryGet(number, out var segment) || segment!.Readers > 0 || segment.LiveBlocks > 0 || !segment.IsSealed) continue;
            state.Segments.Free(segment, keepFreeSegments);
        }
    }

    private sealed class Captured(MapNode root, List<ObsoletePage> obsolete, List<(uint Number, uint Slot, int Live)> table, List<uint> dead, IEnumerator<MapNode> unwritten, int resets)
    {
        public MapNode Root { get; } = root;

        public List<ObsoletePage> Obsolete { get; } = obsolete;

        public List<(uint Number, uint Slot, int Live)> Table { get; } = table;

        /// <summary>Segments that it does without.</summary>
        public List<uint> Dead { get; } = dead;

        public IEnumerator<MapNode> Unwritten { get; } = unwritten;

        /// <summary>The node that is being written.</summary>
        public MapNode? Next { get; set; }

        public int Resets { get; } = resets;

        public CheckpointPhase Phase { get; set; } = CheckpointPhase.Writing;

        public required Superblock Superblock { get; set; }

        public required long LogBytes { get; init; }

        public required int Rebuilds { get; init; }

        public List<ulong> TablePages { get; set; } = [];
    }
}
