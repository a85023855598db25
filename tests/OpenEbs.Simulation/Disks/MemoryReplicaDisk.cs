using OpenEbs.Replication.Replicas;
using OpenEbs.Simulation.Scheduling;
using OpenEbs.Storage.Store;
using OpenEbs.Testing.Store;

namespace OpenEbs.Simulation.Disks;

/// <summary>A replica kept as the list of calls that made it: a power loss forgets some of the calls since the last flush, from the end. Quick, and right by reading; runs on it
/// find errors of the protocol alone.</summary>
public sealed class MemoryReplicaDisk(SeededRandom random, TimeProvider time, Func<long, long[]> stampsOf) : IReplicaDisk
{
    private readonly List<Func<MemoryReplicaStore, ValueTask>> _calls = [];
    private readonly HashSet<long> _rotten = [];
    private int _durableCount;
    private long _durableSeq;
    private long _fenceEpoch;
    private bool _exists;
    private bool _mayHaveLostTail;
    private bool _isClosed;
    private string _bootId = "";

    public TimeSpan Slowness { get; set; }

    public bool Exists => _exists;

    public ValueTask DiscardAsync()
    {
        _calls.Clear();
        _rotten.Clear();
        (_durableCount, _durableSeq, _fenceEpoch, _exists, _mayHaveLostTail) = (0, 0, 0, false, false);
        return ValueTask.CompletedTask;
    }

    /// <summary>It has neither map nor superblock.</summary>
    public bool Damage() => false;

    /// <summary>It has no files.</summary>
    public bool RotAnywhere(bool onMediaOnly, out long? block)
    {
        block = null;
        return false;
    }

    public async ValueTask<IReplicaStore> OpenAsync(StoreOpening opening, string bootId)
    {
        if (!_exists && opening == StoreOpening.Existing) throw new StoreNotFoundException("There is no replica here.");
        if (!_exists && opening == StoreOpening.CreateRebuilding)
        {
            _calls.Add(store => store.BeginRebuildAsync(LogPosition.Zero, 0));
            _durableCount = 1;
        }

        if (_exists && _bootId != bootId && !_isClosed) _mayHaveLostTail = true;
        _exists = true;
        _bootId = bootId;
        _isClosed = false;
        var inner = new MemoryReplicaStore();
        foreach (var call in _calls) await call(inner);
        await inner.SetFenceAsync(_fenceEpoch);
        _durableSeq = Math.Min(_durableSeq, inner.Status.Last.Seq);
        return new Store(this, inner);
    }

    public void Kill()
    {
    }

    public void LosePower()
    {
        var kept = _durableCount + random.Next(_calls.Count - _durableCount + 1);
        _calls.RemoveRange(kept, _calls.Count - kept);
        _durableCount = kept;
        _durableSeq = long.MaxValue;
    }

    public bool Rot(long block) => stampsOf(block).AsSpan().ContainsAnyExcept(0) && _rotten.Add(block);

    public long RoomBytes => long.MaxValue;

    public bool Fill(long leftBytes) => false;

    public void Relieve()
    {
    }

    public void Unrot(long block) => _rotten.Remove(block);

    private Task DelayAsync() => Task.Delay(random.Between(TimeSpan.FromMilliseconds(0.1), TimeSpan.FromMilliseconds(2)) + Slowness * random.NextDouble(), time);

    private void Heal(long block, long blockCount)
    {
        for (var i = block; i < block + blockCount && _rotten.Count > 0; i++) _rotten.Remove(i);
    }

    private static StoreOperation Copy(StoreOperation operation) => operation with { Data = operation.Data.ToArray(), Checksums = operation.Checksums.ToArray() };

    private sealed class Store(MemoryReplicaDisk disk, MemoryReplicaStore inner) : IReplicaStore
    {
        public StoreStatus Status => inner.Status is var status
            ? status with { MayHaveLostTail = disk._mayHaveLostTail, DurableSeq = Math.Min(status.Last.Seq, disk._durableSeq) }
            : null!;

        public async ValueTask SetFenceAsync(long epoch)
        {
            if (epoch <= disk._fenceEpoch) return;
            await disk.DelayAsync();
            disk._fenceEpoch = Math.Max(disk._fenceEpoch, epoch);
            await inner.SetFenceAsync(epoch);
        }

        public async ValueTask AppendAsync(StoreBatch batch)
        {
            if (batch.EndsDoubt) disk._mayHaveLostTail = false;
            var copy = batch with { Operations = batch.Operations.ToArray().Select(Copy).ToArray() };
            await inner.AppendAsync(copy);
            disk._calls.Add(store => store.AppendAsync(copy));
            foreach (var operation in copy.Operations.ToArray()) disk.Heal(operation.Block, operation.BlockCount);
        }

        public async ValueTask<long> FlushAsync()
        {
            var (count, seq) = (disk._calls.Count, inner.Status.Last.Seq);
            await disk.DelayAsync();
            disk._durableCount = Math.Max(disk._durableCount, count);
            disk._durableSeq = Math.Max(Math.Min(disk._durableSeq, inner.Status.Last.Seq), Math.Min(seq, inner.Status.Last.Seq));
            return disk._durableSeq;
        }

        public void SetCommit(long seq)
        {
            if (seq <= inner.Status.CommitSeq) return;
            inner.SetCommit(seq);
            disk._calls.Add(store =>
            {
                store.SetCommit(seq);
                return ValueTask.CompletedTask;
            });
        }

        public async ValueTask ReadAsync(long block, int blockCount, Memory<byte> destination)
        {
            await inner.ReadAsync(block, blockCount, destination);
            for (var i = block; i < block + blockCount && disk._rotten.Count > 0; i++)
            {
                if (disk._rotten.Contains(i)) throw new BadBlockException(i, $"Block {i} has rotted.");
            }
        }

        public ValueTask RepairAsync(long block, int blockCount, ReadOnlyMemory<byte> data, ReadOnlyMemory<uint> checksums)
        {
            disk.Heal(block, blockCount);
            var (copy, sums) = (data.ToArray(), checksums.ToArray());
            return ApplyDurablyAsync(store => store.RepairAsync(block, blockCount, copy, sums));
        }

        public ValueTask<long[]> ListSeqsAsync(long block, int blockCount) => inner.ListSeqsAsync(block, blockCount);

        public ValueTask MarkDamagedAsync() => ValueTask.CompletedTask;

        public ValueTask TruncateAsync(long lastSeq) => ApplyDurablyAsync(store => store.TruncateAsync(lastSeq));

        public async ValueTask<StoreBatch?> ReadLogAsync(long fromSeq, int maxBytes) => await inner.ReadLogAsync(fromSeq, maxBytes);

        public ValueTask<ChangedBlocks> ListChangedAsync(long sinceSeq, long fromBlock, int maxRuns) => inner.ListChangedAsync(sinceSeq, fromBlock, maxRuns);

        public ValueTask BeginRebuildAsync(LogPosition from, long baseSeq) => ApplyDurablyAsync(store => store.BeginRebuildAsync(from, baseSeq));

        public async ValueTask CopyAsync(ReadOnlyMemory<StoreOperation> operations)
        {
            var copy = operations.ToArray().Select(Copy).ToArray();
            await inner.CopyAsync(copy);
            disk._calls.Add(store => store.CopyAsync(copy));
            foreach (var operation in copy) disk.Heal(operation.Block, operation.BlockCount);
        }

        public async ValueTask EndRebuildAsync()
        {
            await ApplyDurablyAsync(store => store.EndRebuildAsync());
            disk._mayHaveLostTail = false;
        }

        public ValueTask<IReadOnlyList<AllocatedRun>> ListAllocatedAsync(long fromBlock, long blockCount, int maxRuns) => inner.ListAllocatedAsync(fromBlock, blockCount, maxRuns);

        public async ValueTask<bool> MaintainAsync()
        {
            var moved = await inner.MaintainAsync();
            if (moved) disk._calls.Add(async store => await store.MaintainAsync());
            return moved;
        }

        public async ValueTask CloseAsync()
        {
            await FlushAsync();
            disk._isClosed = true;
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;

        private async ValueTask ApplyDurablyAsync(Func<MemoryReplicaStore, ValueTask> call)
        {
            await disk.DelayAsync();
            await call(inner);
            disk._calls.Add(call);
            disk._durableCount = disk._calls.Count;
            disk._durableSeq = inner.Status.Last.Seq;
        }
    }
}
