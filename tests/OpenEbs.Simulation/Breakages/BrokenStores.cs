using OpenEbs.Storage.Store;

namespace OpenEbs.Simulation.Breakages;

/// <summary>A store that hands everything on; the broken ones differ in one call.</summary>
internal abstract class StoreWrapper(IReplicaStore store) : IReplicaStore
{
    protected IReplicaStore Store => store;

    public virtual StoreStatus Status => store.Status;

    public virtual ValueTask SetFenceAsync(long epoch) => store.SetFenceAsync(epoch);

    public virtual ValueTask AppendAsync(StoreBatch batch) => store.AppendAsync(batch);

    public virtual ValueTask<long> FlushAsync() => store.FlushAsync();

    public void SetCommit(long seq) => store.SetCommit(seq);

    public virtual ValueTask ReadAsync(long block, int blockCount, Memory<byte> destination) => store.ReadAsync(block, blockCount, destination);

    public virtual ValueTask ReadMediaAsync(long block, int blockCount, Memory<byte> destination) => store.ReadMediaAsync(block, blockCount, destination);

    public ValueTask<long[]> ListSeqsAsync(long block, int blockCount) => store.ListSeqsAsync(block, blockCount);

    public virtual ValueTask<StoreScrubStep> ScrubAsync(bool restart) => store.ScrubAsync(restart);

    public virtual ValueTask RepairAsync(long block, int blockCount, ReadOnlyMemory<byte> data, ReadOnlyMemory<uint> checksums) => store.RepairAsync(block, blockCount, data, checksums);

    public ValueTask MarkDamagedAsync() => store.MarkDamagedAsync();

    public ValueTask TruncateAsync(long lastSeq) => store.TruncateAsync(lastSeq);

    public ValueTask<StoreBatch?> ReadLogAsync(long fromSeq, int maxBytes) => store.ReadLogAsync(fromSeq, maxBytes);

    public ValueTask<ChangedBlocks> ListChangedAsync(long sinceSeq, long fromBlock, int maxRuns) => store.ListChangedAsync(sinceSeq, fromBlock, maxRuns);

    public ValueTask BeginRebuildAsync(LogPosition from, long baseSeq) => store.BeginRebuildAsync(from, baseSeq);

    public ValueTask CopyAsync(ReadOnlyMemory<StoreOperation> operations) => store.CopyAsync(operations);

    public ValueTask EndRebuildAsync() => store.EndRebuildAsync();

    public ValueTask<IReadOnlyList<AllocatedRun>> ListAllocatedAsync(long fromBlock, long blockCount, int maxRuns) => store.ListAllocatedAsync(fromBlock, blockCount, maxRuns);

    public ValueTask<bool> MaintainAsync() => store.MaintainAsync();

    public ValueTask CloseAsync() => store.CloseAsync();

    public ValueTask DisposeAsync() => store.DisposeAsync();
}

/// <summary>Says that everything is durable without making it so.</summary>
internal sealed class LyingFlushStore(IReplicaStore store) : StoreWrapper(store)
{
    private long _flushedSeq;

    public override StoreStatus Status => Store.Status is var status && status.DurableSeq < _flushedSeq ? status with { DurableSeq = Math.Min(_flushedSeq, status.Last.Seq) } : Store.Status;

    public override ValueTask<long> FlushAsync()
    {
        _flushedSeq = Store.Status.Last.Seq;
        return ValueTask.FromResult(_flushedSeq);
    }
}

/// <summary>Applies only the first half of a write of many blocks before the next call; a crash in between leaves a torn write.</summary>
internal sealed class TearingStore(IReplicaStore store) : StoreWrapper(store)
{
    public override ValueTask AppendAsync(StoreBatch batch)
    {
        var operations = batch.Operations.ToArray();
        var last = operations[^1];
        if (last.Kind == OperationKind.Write && last.BlockCount >= 64)
        {
            // The second half keeps what was there before: as if the media had lost it.
            var half = last.BlockCount / 2;
            operations[^1] = last with { BlockCount = half, Data = last.Data[..(int)(half * 4096)], Checksums = last.Checksums[..(int)half] };
        }

        return Store.AppendAsync(batch with { Operations = operations });
    }
}

/// <summary>Returns bad blocks as they are.</summary>
internal sealed class UncheckedStore(IReplicaStore store) : StoreWrapper(store)
{
    public override ValueTask ReadMediaAsync(long block, int blockCount, Memory<byte> destination) => ReadAsync(block, blockCount, destination);

    public override async ValueTask ReadAsync(long block, int blockCount, Memory<byte> destination)
    {
        for (var i = 0; i < blockCount; i++)
        {
            var target = destination.Slice(i * 4096, 4096);
            try
            {
                await Store.ReadAsync(block + i, 1, target);
            }
            catch (BadBlockException)
            {
                target.Span[17] ^= 4;
            }
        }
    }
}

/// <summary>Checks what is cached and not what is on media.</summary>
internal sealed class CachedStore(IReplicaStore store) : StoreWrapper(store)
{
    public override ValueTask ReadMediaAsync(long block, int blockCount, Memory<byte> destination) => Store.ReadAsync(block, blockCount, destination);

    public override ValueTask<StoreScrubStep> ScrubAsync(bool restart) => ValueTask.FromResult(StoreScrubStep.Nothing);
}

/// <summary>Does not repair what it is told to.</summary>
internal sealed class UnrepairedStore(IReplicaStore store) : StoreWrapper(store)
{
    public override ValueTask RepairAsync(long block, int blockCount, ReadOnlyMemory<byte> data, ReadOnlyMemory<uint> checksums) => ValueTask.CompletedTask;
}

/// <summary>Takes a lack of space for a failure of the disk.</summary>
internal sealed class FailingWhenFullStore(IReplicaStore store) : StoreWrapper(store)
{
    public override StoreStatus Status => Store.Status with { WritableBytes = 1L << 30 };

    public override async ValueTask AppendAsync(StoreBatch batch)
    {
        try
        {
            await Store.AppendAsync(batch with { MayUseReserve = false });
        }
        catch (Storage.Devices.StorageFullException e)
        {
            throw new IOException(e.Message);
        }
    }
}
