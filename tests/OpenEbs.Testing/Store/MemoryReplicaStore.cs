using OpenEbs.Storage;
using OpenEbs.Storage.Store;

namespace OpenEbs.Testing.Store;

/// <summary>An <see cref="IReplicaStore"/> in memory: simple enough to be right by reading, so it is also the model that the real store is checked against.
/// Nothing is ever lost, there is no crash; every call completes synchronously. Checks the checksums that it is given.</summary>
public sealed class MemoryReplicaStore : IReplicaStore
{
    public const int BlockBytes = 4096;
    private readonly Dictionary<long, MemoryBlock> _base = [];
    private readonly Dictionary<long, MemoryBlock> _blocks = [];
    private readonly List<MemoryOperation> _log = [];
    private long _fenceEpoch;
    private long _durableSeq;
    private long _commitSeq;
    private LogPosition _last;
    private LogPosition _logStart;
    private ReplicaConsistency _consistency = ReplicaConsistency.Prefix;
    private long _rebuildBaseSeq;
    private long _copySeq;

    /// <summary>So many operations in the log make <see cref="MaintainAsync"/> move LogStart up to the commit point.</summary>
    public int CheckpointAfterOperations { get; init; } = 64;

    /// <summary>Bytes of mapped blocks at which AppendAsync throws StorageFullException.</summary>
    public long CapacityBytes { get; set; } = long.MaxValue;

    public StoreStatus Status => new()
    {
        FenceEpoch = _fenceEpoch,
        Last = _last,
        DurableSeq = _durableSeq,
        CommitSeq = _commitSeq,
        LogStart = _logStart,
        Runs = [.. _log.GroupBy(operation => operation.Epoch).Select(run => new EpochRun(run.Key, run.First().Seq))],
        Consistency = _consistency,
        RebuildBaseSeq = _rebuildBaseSeq,
        MayHaveLostTail = false,
        UsedBytes = UsedBytes,
        WritableBytes = Math.Max(0, CapacityBytes - UsedBytes),
    };

    private long UsedBytes => _blocks.Values.Count(block => block.Data is not null) * (long)BlockBytes;

    public ValueTask SetFenceAsync(long epoch)
    {
        _fenceEpoch = Math.Max(_fenceEpoch, epoch);
        return ValueTask.CompletedTask;
    }

    public ValueTask AppendAsync(StoreBatch batch)
    {
        if (batch.FirstSeq != _last.Seq + 1) throw new ArgumentOutOfRangeException(nameof(batch), batch.FirstSeq, $"The next seq is {_last.Seq + 1}.");
        if (batch.Epoch < _last.Epoch) throw new ArgumentOutOfRangeException(nameof(batch), batch.Epoch, $"The log is at epoch {_last.Epoch} already.");
        if (batch.Operations.IsEmpty) throw new ArgumentException("A batch has at least one operation.", nameof(batch));
        var operations = batch.Operations.Span;
        long addedBytes = 0;
        foreach (var operation in operations)
        {
            Check(operation);
            if (operation.Kind == OperationKind.Write) addedBytes += operation.BlockCount * BlockBytes;
        }

        if (addedBytes > 0 && CapacityBytes < long.MaxValue && UsedBytes + addedBytes > CapacityBytes)
        {
            throw new Storage.Devices.StorageFullException($"The store holds {UsedBytes} of {CapacityBytes} bytes; {addedBytes} more do not fit.");
        }

        for (var i = 0; i < operations.Length; i++)
        {
            var copy = operations[i] with { Data = operations[i].Data.ToArray(), Checksums = operations[i].Checksums.ToArray() };
            var logged = new MemoryOperation(batch.Epoch, batch.FirstSeq + i, copy);
            _log.Add(logged);
            Apply(_blocks, logged);
        }

        _last = new LogPosition(batch.Epoch, batch.LastSeq);
        return ValueTask.CompletedTask;
    }

    public ValueTask<long> FlushAsync()
    {
        _durableSeq = _last.Seq;
        return ValueTask.FromResult(_durableSeq);
    }

    public void SetCommit(long seq) => _commitSeq = Math.Max(_commitSeq, seq);

    public ValueTask ReadAsync(long block, int blockCount, Memory<byte> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(destination.Length, blockCount * BlockBytes, nameof(destination));
        for (var i = 0; i < blockCount; i++)
        {
            var target = destination.Span.Slice(i * BlockBytes, BlockBytes);
            if (_blocks.TryGetValue(block + i, out var found) && found.Data is { } data) data.Span.CopyTo(target);
            else target.Clear();
        }

        return ValueTask.CompletedTask;
    }

    public ValueTask RepairAsync(long block, int blockCount, ReadOnlyMemory<byte> data, ReadOnlyMemory<uint> checksums)
    {
        Check(new StoreOperation(OperationKind.Write, block, blockCount, data, checksums));
        for (var i = 0; i < blockCount; i++)
        {
            if (!_blocks.TryGetValue(block + i, out var found) || found.Data is null) continue;
            _blocks[block + i] = found with { Data = data.Slice(i * BlockBytes, BlockBytes).ToArray(), Seq = Math.Max(found.Seq, _last.Seq + 1) };
        }

        return ValueTask.CompletedTask;
    }

    public ValueTask TruncateAsync(long lastSeq)
    {
        if (_consistency == ReplicaConsistency.Rebuilding) throw new InvalidOperationException("A store that is being rebuilt cannot be truncated.");
        ArgumentOutOfRangeException.ThrowIfLessThan(lastSeq, _logStart.Seq);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(lastSeq, _last.Seq);
        _log.RemoveAll(operation => operation.Seq > lastSeq);
        _last = _log.Count == 0 ? _logStart : new LogPosition(_log[^1].Epoch, _log[^1].Seq);
        _durableSeq = lastSeq;
        _blocks.Clear();
        foreach (var (block, content) in _base) _blocks.Add(block, content);
        foreach (var operation in _log) Apply(_blocks, operation);
        return ValueTask.CompletedTask;
    }

    public ValueTask MarkDamagedAsync() => ValueTask.CompletedTask;

    public ValueTask<StoreBatch?> ReadLogAsync(long fromSeq, int maxBytes)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(fromSeq, _logStart.Seq);
        if (fromSeq > _last.Seq) return ValueTask.FromResult<StoreBatch?>(null);
        var first = (int)(fromSeq - _log[0].Seq);
        var epoch = _log[first].Epoch;
        var end = first;
        for (long bytes = 0; end < _log.Count && _log[end].Epoch == epoch && (end == first || bytes + _log[end].Operation.Data.Length <= maxBytes); end++) bytes += _log[end].Operation.Data.Length;
        return ValueTask.FromResult<StoreBatch?>(new StoreBatch(epoch, fromSeq, _log[first..end].Select(logged => logged.Operation).ToArray()));
    }

    public ValueTask<ChangedBlocks> ListChangedAsync(long sinceSeq, long fromBlock, int maxRuns)
    {
        var runs = new List<BlockRun>();
        foreach (var (block, content) in _blocks.OrderBy(entry => entry.Key))
        {
            if (block < fromBlock || !HasChanged(content, sinceSeq)) continue;
            if (runs.Count > 0 && runs[^1].Block + runs[^1].BlockCount == block) runs[^1] = runs[^1] with { BlockCount = runs[^1].BlockCount + 1 };
            else if (runs.Count == maxRuns) return ValueTask.FromResult(new ChangedBlocks(runs, block));
            else runs.Add(new BlockRun(block, 1));
        }

        return ValueTask.FromResult(new ChangedBlocks(runs, -1));
    }

    public ValueTask BeginRebuildAsync(LogPosition from, long baseSeq)
    {
        _rebuildBaseSeq = _consistency == ReplicaConsistency.Rebuilding ? Math.Min(_rebuildBaseSeq, baseSeq) : baseSeq;
        _consistency = ReplicaConsistency.Rebuilding;
        _last = _logStart = from;
        _durableSeq = from.Seq;
        _copySeq = long.MaxValue;
        _log.Clear();
        return ValueTask.CompletedTask;
    }

    public ValueTask CopyAsync(ReadOnlyMemory<StoreOperation> operations)
    {
        if (_consistency != ReplicaConsistency.Rebuilding) throw new InvalidOperationException("Blocks are copied only into a store that is being rebuilt.");
        foreach (var operation in operations.Span)
        {
            Check(operation);
            var copy = operation with { Data = operation.Data.ToArray(), Checksums = operation.Checksums.ToArray() };
            Apply(_blocks, new MemoryOperation(0, MemoryBlock.Copied, copy));

            // A block that never held anything here may have held something on the source, and may still on a replica that is later rebuilt from this one.
            for (var i = 0L; operation.Kind != OperationKind.Write && i < operation.BlockCount; i++)
            {
                if (!_blocks.TryAdd(operation.Block + i, new MemoryBlock(null, MemoryBlock.Copied))) _blocks[operation.Block + i] = _blocks[operation.Block + i] with { Seq = MemoryBlock.Copied };
            }
        }

        return ValueTask.CompletedTask;
    }

    public ValueTask EndRebuildAsync()
    {
        if (_consistency != ReplicaConsistency.Rebuilding) throw new InvalidOperationException("No rebuild is under way.");
        _consistency = ReplicaConsistency.Prefix;
        _rebuildBaseSeq = 0;
        _copySeq = _last.Seq;
        _durableSeq = _last.Seq;
        MoveLogStart(_last.Seq);
        return ValueTask.CompletedTask;
    }

    public ValueTask<IReadOnlyList<AllocatedRun>> ListAllocatedAsync(long fromBlock, long blockCount, int maxRuns)
    {
        var runs = new List<AllocatedRun>();
        var at = fromBlock;
        var end = fromBlock + blockCount;
        foreach (var (block, content) in _blocks.OrderBy(entry => entry.Key))
        {
            if (content.Data is null || block < fromBlock || block >= end) continue;
            if (block > at) runs.Add(new AllocatedRun(at, block - at, false));
            if (runs.Count > 0 && runs[^1].Mapped && runs[^1].Block + runs[^1].BlockCount == block) runs[^1] = runs[^1] with { BlockCount = runs[^1].BlockCount + 1 };
            else runs.Add(new AllocatedRun(block, 1, true));
            at = block + 1;
        }

        if (at < end) runs.Add(new AllocatedRun(at, end - at, false));
        return ValueTask.FromResult<IReadOnlyList<AllocatedRun>>(runs.Count > maxRuns ? runs[..maxRuns] : runs);
    }

    public ValueTask<long[]> ListSeqsAsync(long block, int blockCount) => ValueTask.FromResult(Enumerable.Range(0, blockCount).Select(i =>
        _blocks.TryGetValue(block + i, out var found) ? found.Seq == MemoryBlock.Copied ? _copySeq : found.Seq : 0).ToArray());

    public ValueTask<bool> MaintainAsync()
    {
        if (_consistency == ReplicaConsistency.Rebuilding || _log.Count < CheckpointAfterOperations || _commitSeq <= _logStart.Seq) return ValueTask.FromResult(false);
        var before = _logStart;
        MoveLogStart(Math.Min(_commitSeq, _last.Seq));
        return ValueTask.FromResult(_logStart != before);
    }

    public ValueTask CloseAsync()
    {
        _durableSeq = _last.Seq;
        return ValueTask.CompletedTask;
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private static void Apply(Dictionary<long, MemoryBlock> blocks, MemoryOperation logged)
    {
        var operation = logged.Operation;
        if (operation.Kind == OperationKind.Write)
        {
            for (var i = 0; i < operation.BlockCount; i++)
            {
                blocks[operation.Block + i] = new MemoryBlock(operation.Data.Slice(i * BlockBytes, BlockBytes), logged.Seq);
            }
        }
        else if (operation.Kind == OperationKind.Unmap)
        {
            var end = operation.Block + operation.BlockCount;
            foreach (var block in blocks.Keys.Where(block => block >= operation.Block && block < end).ToArray()) blocks[block] = new MemoryBlock(null, logged.Seq);
        }
    }

    private static void Check(StoreOperation operation)
    {
        if (operation.Block < 0 || operation.BlockCount < 0 || operation.Block + operation.BlockCount > 1L << 34)
        {
            throw new ArgumentOutOfRangeException(nameof(operation), $"Blocks {operation.Block} and {operation.BlockCount} more do not lie within 2^34 blocks.");
        }

        if (operation.Kind != OperationKind.Write) return;
        if (operation.Data.Length != operation.BlockCount * BlockBytes || operation.Checksums.Length != operation.BlockCount)
        {
            throw new ArgumentException($"{operation.BlockCount} blocks came with {operation.Data.Length} bytes and {operation.Checksums.Length} checksums.", nameof(operation));
        }

        for (var i = 0; i < operation.BlockCount; i++)
        {
            if (Crc32C.Compute(operation.Data.Span.Slice(i * BlockBytes, BlockBytes)) == operation.Checksums.Span[i]) continue;
            throw new ArgumentException($"The checksum of block {operation.Block + i} does not match its data.", nameof(operation));
        }
    }

    private bool HasChanged(MemoryBlock block, long sinceSeq) =>
        sinceSeq == 0 ? block.Data is not null || block.Seq != 0 : (block.Seq == MemoryBlock.Copied ? _copySeq : block.Seq) > sinceSeq;

    private void MoveLogStart(long seq)
    {
        var count = _log.FindIndex(operation => operation.Seq > seq) is var index and >= 0 ? index : _log.Count;
        if (count > 0) _logStart = new LogPosition(_log[count - 1].Epoch, _log[count - 1].Seq);
        if (count == _log.Count)
        {
            // Also takes over what copies and repairs did, which the log does not hold.
            _base.Clear();
            foreach (var (block, content) in _blocks) _base.Add(block, content);
        }
        else
        {
            foreach (var operation in _log[..count]) Apply(_base, operation);
        }

        _log.RemoveRange(0, count);
    }

    private sealed record MemoryOperation(long Epoch, long Seq, StoreOperation Operation);

    /// <summary>A block's data (null when unmapped) and the seq that made it so.</summary>
    private readonly record struct MemoryBlock(ReadOnlyMemory<byte>? Data, long Seq)
    {
        /// <summary>Stands for the seq of a block that a rebuild copied: the position at which that rebuild ended.</summary>
        public const long Copied = -1;
    }
}
