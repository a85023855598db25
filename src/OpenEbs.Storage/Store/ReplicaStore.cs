using Microsoft.Extensions.Logging;
using OpenEbs.Storage.Devices;
using OpenEbs.Storage.Formats;
using OpenEbs.Storage.Maps;

namespace OpenEbs.Storage.Store;

/// <summary>The replica store: a log of segments that is the data, and an extent map over it (see the project's README for format and limits).</summary>
public sealed partial class ReplicaStore : IReplicaStore
{
    public const int BlockBytes = FormatTags.PageBytes;

    private readonly StoreState _state;
    private readonly MapUpdates _updates;
    private readonly LogWriter _log;
    private readonly LogFlusher _flusher;
    private readonly LogReader _reader;
    private readonly Compaction _compaction;
    private readonly Maintenance _maintenance;
    private readonly StoreScrub _scrub;
    private readonly ILogger _logger;
    private bool _closed;

    private ReplicaStore(StoreState state, ILogger logger)
    {
        _state = state;
        _logger = logger;
        _updates = new MapUpdates(state);
        _log = new LogWriter(state);
        _flusher = new LogFlusher(state);
        _reader = new LogReader(state);
        var moves = new BlockMoves(state, _log, _updates);
        var evacuation = new Evacuation(state, moves);
        _compaction = new Compaction(state, moves);
        _maintenance = new Maintenance(state, _compaction, evacuation, _flusher);
        _scrub = new StoreScrub(state, _maintenance, evacuation);
    }

    public StoreStatus Status => new()
    {
        FenceEpoch = _state.FenceEpoch,
        Last = _state.Last,
        DurableSeq = _state.DurableSeq,
        CommitSeq = _state.CommitSeq,
        LogStart = _state.LogStart,
        Runs = _state.Index.Runs,
        Consistency = _state.Consistency,
        RebuildBaseSeq = _state.RebuildBaseSeq,
        MayHaveLostTail = _state.TailInDoubt,
        IsDamaged = _state.Superblock.Damaged,
        UsedBytes = _state.Segments.FileBytes + _state.Pages.FileBytes + Superblock.FileBytes,
        WritableBytes = _log.WritableBytes(),
    };

    public long FenceEpoch => _state.FenceEpoch;

    public LogPosition Last => _state.Last;

    public long DurableSeq => _state.DurableSeq;

    public long WritableBytes => _log.WritableBytes();

    public ReplicaConsistency Consistency => _state.Consistency;

    public bool IsReadElsewhere { get => _state.IsReadElsewhere; set => _state.IsReadElsewhere = value; }

    /// <summary>Opens the store in a directory; recovers it when it was not closed.</summary>
    /// <exception cref="StoreNotFoundException">There is none and none may be made.</exception>
    /// <exception cref="StoreCorruptException">What is there cannot be used; the message says why.</exception>
    public static async ValueTask<ReplicaStore> OpenAsync(IStorageDevice device, ReplicaStoreOptions options, TimeProvider time, ILogger logger)
    {
        ArgumentNullException.ThrowIfNull(time);
        var (file, superblock) = await SuperblockFile.OpenAsync(device, options);
        var state = new StoreState(device, options, file, superblock);
        var store = new ReplicaStore(state, logger);
        try
        {
            state.Pages.OpenExisting();
            state.FenceEpoch = superblock.FenceEpoch;
            state.TailInDoubt = superblock.TailInDoubt || (!superblock.Clean && superblock.BootId != options.BootId);
            await new LogRecovery(state, store._updates).RunAsync();
            await state.WriteSuperblockAsync(s => s with { Clean = false, BootId = options.BootId, TailInDoubt = state.TailInDoubt });
            store.LogOpened(device.Path, state.Last, state.LogStart.Seq, state.LogBytes);
            return store;
        }
        catch
        {
            state.Dispose();
            throw;
        }
    }

    /// <summary>Removes everything a store has in a directory.</summary>
    public static async ValueTask DeleteAsync(IStorageDevice device)
    {
        // The superblock first: without it there is no store, whatever else a crash leaves.
        foreach (var name in device.List().OrderByDescending(n => n == Superblock.FileName))
        {
            device.Delete(name);
            if (name == Superblock.FileName) await device.SyncDirectoryAsync();
        }

        await device.SyncDirectoryAsync();
    }

    public async ValueTask SetFenceAsync(long epoch)
    {
        if (epoch <= _state.FenceEpoch) return;
        await _state.WriteSuperblockAsync(s => s with { FenceEpoch = Math.Max(epoch, s.FenceEpoch), CommitSeq = Math.Max(s.CommitSeq, _state.CommitSeq) });
        _state.FenceEpoch = Math.Max(_state.FenceEpoch, epoch);
    }

    public async ValueTask MarkDamagedAsync()
    {
        if (!_state.Superblock.Damaged) await _state.WriteSuperblockAsync(s => s with { Damaged = true });
    }

    public async ValueTask AppendAsync(StoreBatch batch)
    {
        // Writes that outrun compaction pay for it, so that the space a replica occupies stays bounded; and those that would take the last of it.
        if (_compaction.IsBehind() || _maintenance.IsUrgent) await HelpAsync();
        await _state.MutationTurn.EnterAsync();
        try
        {
            if (batch.FirstSeq != _state.Last.Seq + 1) throw new ArgumentOutOfRangeException(nameof(batch), batch.FirstSeq, $"The next seq is {_state.Last.Seq + 1}.");
            if (batch.Epoch < _state.Last.Epoch) throw new ArgumentOutOfRangeException(nameof(batch), batch.Epoch, $"The log is at epoch {_state.Last.Epoch} already.");
            if (batch.Operations.IsEmpty) throw new ArgumentException("A batch has at least one operation.", nameof(batch));
            var place = _log.Append(RecordKind.Batch, new LogPosition(batch.Epoch, batch.FirstSeq), 0, batch.Operations.Span, default, mayUseReserve: batch.MayUseReserve || !LogWriter.HasData(batch.Operations.Span));
            var offset = place.DataOffset;
            for (var i = 0; i < batch.Operations.Length; i++) offset += await ApplyAsync(batch.Operations.Span[i], place.Segment.Number, offset, batch.FirstSeq + i);
            _state.Last = new LogPosition(batch.Epoch, batch.LastSeq);
            _state.Index.Add(new LogIndexEntry(batch.Epoch, batch.FirstSeq, batch.LastSeq, _state.NextLsn - 1, place.Segment.Number, place.OffsetBytes, place.HeaderBytes));
            if (_state.TailInDoubt && batch.EndsDoubt) TrustTail();
        }
        finally
        {
            _state.MutationTurn.Leave();
        }
    }

    public ValueTask<long> FlushAsync()
    {
        _maintenance.NoteFlush();
        return _flusher.FlushAsync();
    }

    public void SetCommit(long seq) => _state.CommitSeq = Math.Max(_state.CommitSeq, seq);

    public ValueTask ReadAsync(long block, int blockCount, Memory<byte> destination) => _reader.ReadAsync(block, blockCount, destination);

    public ValueTask ReadMediaAsync(long block, int blockCount, Memory<byte> destination) => _reader.ReadAsync(block, blockCount, destination, fromMedia: true);

    public ValueTask<long[]> ListSeqsAsync(long block, int blockCount) => _reader.ListSeqsAsync(block, blockCount);

    public async ValueTask<StoreScrubStep> ScrubAsync(bool restart)
    {
        // Repairs take no place in the order, so no flush of a volume that is idle waits for them: with the scrub's end they are on media.
        if (restart) await FlushAsync();
        await _state.MaintenanceTurn.EnterAsync();
        try
        {
            return await _scrub.StepAsync(restart);
        }
        finally
        {
            _state.MaintenanceTurn.Leave();
        }
    }

    public async ValueTask RepairAsync(long block, int blockCount, ReadOnlyMemory<byte> data, ReadOnlyMemory<uint> checksums)
    {
        await _state.MutationTurn.EnterAsync();
        try
        {
            var operations = new List<StoreOperation>(blockCount);
            var origins = new List<RelocatedBlock>(blockCount);
            for (var i = 0; i < blockCount; i++)
            {
                var leaf = await _state.Map.GetLeafAsync((block + i) >> MapNode.LeafBits);
                if (leaf?.Entries[(block + i) & (MapNode.LeafBlocks - 1)] is not { IsMapped: true } entry) continue;
                operations.Add(new StoreOperation(OperationKind.Write, block + i, 1, data.Slice(i * BlockBytes, BlockBytes), checksums.Slice(i, 1)));
                origins.Add(new RelocatedBlock(entry.Seq, entry.Segment, entry.Offset));
            }

            if (operations.Count == 0) return;
            var place = _log.Append(RecordKind.Repair, _state.Last, 0, operations.ToArray(), origins.ToArray(), mayUseReserve: true);
            for (var i = 0; i < operations.Count; i++)
                await _updates.MoveAsync(operations[i].Block, operations[i].Checksums.Span[0], origins[i], place.Segment.Number, place.DataOffset + (uint)i);
        }
        finally
        {
            _state.MutationTurn.Leave();
        }
    }

    public async ValueTask TruncateAsync(long lastSeq)
    {
        await _state.MaintenanceTurn.EnterAsync();
        await _state.MutationTurn.EnterAsync();
        try
        {
            if (_state.Consistency == ReplicaConsistency.Rebuilding) throw new InvalidOperationException("A store that is being rebuilt cannot be truncated.");
            ArgumentOutOfRangeException.ThrowIfLessThan(lastSeq, _state.LogStart.Seq);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(lastSeq, _state.Last.Seq);
            _log.Append(RecordKind.Truncate, _state.Last, lastSeq, default, default, mayUseReserve: true);
            await _flusher.FlushAsync();
            _state.Resets++;
            _maintenance.AbandonCheckpoint();
            await new LogRecovery(_state, _updates).RunAsync();
            await _flusher.FlushAsync();
            _state.DurableSeq = _state.Last.Seq;
            LogTruncated(_state.Device.Path, lastSeq);
        }
        finally
        {
            _state.MutationTurn.Leave();
            _state.MaintenanceTurn.Leave();
        }
    }

    public ValueTask<StoreBatch?> ReadLogAsync(long fromSeq, int maxBytes) => _reader.ReadLogAsync(fromSeq, maxBytes);

    public ValueTask<ChangedBlocks> ListChangedAsync(long sinceSeq, long fromBlock, int maxRuns) => _reader.ListChangedAsync(sinceSeq, fromBlock, maxRuns);

    public ValueTask<IReadOnlyList<AllocatedRun>> ListAllocatedAsync(long fromBlock, long blockCount, int maxRuns) => _reader.ListAllocatedAsync(fromBlock, blockCount, maxRuns);

    public async ValueTask BeginRebuildAsync(LogPosition from, long baseSeq)
    {
        await _state.MutationTurn.EnterAsync();
        try
        {
            if (_state.Consistency == ReplicaConsistency.Rebuilding) baseSeq = Math.Min(baseSeq, _state.RebuildBaseSeq);
            _log.Append(RecordKind.RebuildBegin, from, baseSeq, default, default, mayUseReserve: true);
            _state.Consistency = ReplicaConsistency.Rebuilding;
            _state.RebuildBaseSeq = baseSeq;
            _state.Rebuilds++;
            _state.Last = _state.LogStart = from;
            _state.Index.Clear();
            await _flusher.FlushAsync();
            _state.DurableSeq = from.Seq;
        }
        finally
        {
            _state.MutationTurn.Leave();
        }
    }

    public async ValueTask CopyAsync(ReadOnlyMemory<StoreOperation> operations)
    {
        await _state.MutationTurn.EnterAsync();
        try
        {
            if (_state.Consistency != ReplicaConsistency.Rebuilding) throw new InvalidOperationException("Blocks are copied only to a store that is being rebuilt.");
            var place = _log.Append(RecordKind.Copy, _state.Last, 0, operations.Span, default, mayUseReserve: false);
            var offset = place.DataOffset;
            for (var i = 0; i < operations.Length; i++) offset += await ApplyCopyAsync(operations.Span[i], place.Segment.Number, offset);
        }
        finally
        {
            _state.MutationTurn.Leave();
        }
    }

    public async ValueTask EndRebuildAsync()
    {
        await _state.MutationTurn.EnterAsync();
        try
        {
            if (_state.Consistency != ReplicaConsistency.Rebuilding) return;
            _log.Append(RecordKind.RebuildEnd, _state.Last, 0, default, default, mayUseReserve: true);
            await _flusher.FlushAsync();
            _state.Consistency = ReplicaConsistency.Prefix;
            _state.RebuildBaseSeq = 0;
            _state.LogStart = _state.Last;
            _state.DurableSeq = Math.Max(_state.DurableSeq, _state.Last.Seq);
            _state.Index.Clear();
            if (_state.TailInDoubt) TrustTail();
        }
        finally
        {
            _state.MutationTurn.Leave();
        }
    }

    public async ValueTask<bool> MaintainAsync()
    {
        await _state.MaintenanceTurn.EnterAsync();
        try
        {
            return !_closed && await _maintenance.StepAsync();
        }
        catch (ObjectDisposedException) when (_closed)
        {
            return false;
        }
        finally
        {
            _state.MaintenanceTurn.Leave();
        }
    }

    public async ValueTask CloseAsync()
    {
        if (_closed) return;
        await _state.MaintenanceTurn.EnterAsync();
        try
        {
            await _maintenance.CheckpointAsync();
            await FlushAsync();
            await _state.WriteSuperblockAsync(s => s with { Clean = true, TailInDoubt = _state.TailInDoubt, CommitSeq = Math.Max(s.CommitSeq, _state.CommitSeq) });
            _closed = true;
        }
        finally
        {
            _state.MaintenanceTurn.Leave();
        }
    }

    public ValueTask DisposeAsync()
    {
        _closed = true;
        _state.Dispose();
        return ValueTask.CompletedTask;
    }

    private async ValueTask HelpAsync()
    {
        try
        {
            await MaintainAsync();
        }
        catch (StorageFullException)
        {
            // Whether there is room for what is to be written shows when it is.
        }
    }

    private async ValueTask<uint> ApplyAsync(StoreOperation operation, uint segment, uint offset, long seq)
    {
        switch (operation.Kind)
        {
            case OperationKind.Write:
                await _updates.WriteAsync(operation.Block, operation.Checksums, segment, offset, seq);
                return (uint)operation.BlockCount;
            case OperationKind.Unmap:
                await _updates.UnmapAsync(operation.Block, operation.BlockCount, seq);
                return 0;
            case OperationKind.Mark:
                return 0;
            default:
                throw new ArgumentOutOfRangeException(nameof(operation), operation.Kind, "Unknown kind of operation.");
        }
    }

    private async ValueTask<uint> ApplyCopyAsync(StoreOperation operation, uint segment, uint offset)
    {
        // Whichever operation changed the block on the source, this seq is above its.
        var seq = _state.Last.Seq + 1;
        if (operation.Kind == OperationKind.Write) return await ApplyAsync(operation, segment, offset, seq);
        if (operation.Kind == OperationKind.Mark) await _updates.TouchAsync(operation.Block, operation.BlockCount, seq);
        else await _updates.EmptyAsync(operation.Block, operation.BlockCount, seq);
        return 0;
    }

    private void TrustTail()
    {
        _state.TailInDoubt = false;
        _maintenance.NoteSuperblockStale();
    }
}
