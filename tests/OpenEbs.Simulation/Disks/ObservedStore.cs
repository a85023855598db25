using OpenEbs.Simulation.Histories;
using OpenEbs.Simulation.Scheduling;
using OpenEbs.Storage.Store;

namespace OpenEbs.Simulation.Disks;

/// <summary>Tells the history what a replica's store is given, and compares what it holds after each opening with what it must hold.</summary>
public sealed class ObservedStore(IReplicaStore store, ReplicaLedger ledger, History history, SimulatedScheduler scheduler, Func<bool> isAlive) : IReplicaStore
{
    private const int SectorsPerBlock = 8;
    private const int CheckedBlocks = 256;

    /// <summary>Counts what takes the log's end back, at its beginning and at its end.</summary>
    private int _resets;

    public StoreStatus Status => store.Status;

    public long FenceEpoch => store.FenceEpoch;

    public LogPosition Last => store.Last;

    public long DurableSeq => store.DurableSeq;

    public long WritableBytes => store.WritableBytes;

    public ReplicaConsistency Consistency => store.Consistency;

    /// <summary>To be called once, before the store is used.</summary>
    public async ValueTask CheckOpenedAsync(Func<long, bool> mayBeBad)
    {
        var status = store.Status;
        Trace($"opens at {status.Last}, durable {status.DurableSeq}, commit {status.CommitSeq}, log from {status.LogStart}, {status.Consistency}");
        CheckLogEnd(status);
        ledger.Last = status.Last;
        ledger.Intended = null;
        ledger.PowerLost = false;
        ledger.RebuildInDoubt = false;
        ledger.Consistency = status.Consistency;
        if (!history.Order.Contains(status.Last, ledger.Floor)) ledger.Floor = LogPosition.Zero;
        if (!history.Order.Contains(ledger.Highest, status.Last)) ledger.Highest = status.Last;
        if (status.Consistency == ReplicaConsistency.Prefix) await CheckContentAsync(mayBeBad);
    }

    /// <summary>Compares every block with the state after the log's last operation.</summary>
    public async ValueTask CheckContentAsync(Func<long, bool> mayBeBad)
    {
        var expected = history.Order.Replay(store.Status.Last);
        var blocks = expected.Length / SectorsPerBlock;
        var buffer = new byte[CheckedBlocks * 4096];
        for (var block = 0; block < blocks; block += CheckedBlocks)
        {
            var count = Math.Min(CheckedBlocks, blocks - block);
            try
            {
                await store.ReadAsync(block, count, buffer.AsMemory(0, count * 4096));
            }
            catch (StoreCorruptException) when (ledger.IsDamaged)
            {
                return;
            }
            catch (BadBlockException)
            {
                await CheckSinglyAsync(block, count, expected, mayBeBad);
                continue;
            }

            for (var i = 0; i < count; i++) CheckBlock(block + i, buffer.AsSpan(i * 4096, 4096), expected);
        }
    }

    public async ValueTask SetFenceAsync(long epoch)
    {
        await store.SetFenceAsync(epoch);
        Trace($"is fenced at {epoch}");
    }

    public async ValueTask AppendAsync(StoreBatch batch)
    {
        history.Order.Observe(ledger.Id, store.Status.Last, batch, history.RangeOf);
        ledger.Intended = new LogPosition(batch.Epoch, batch.LastSeq);
        Trace($"appends {batch.Epoch}/{batch.FirstSeq}..{batch.LastSeq}");
        await store.AppendAsync(batch);
        if (!isAlive()) return;
        ledger.Last = store.Status.Last;
        ledger.Intended = null;
        if (!history.Order.Contains(ledger.Highest, ledger.Last)) ledger.Highest = ledger.Last;
        foreach (var operation in batch.Operations.Span) ledger.BadBlocksSeen.RemoveWhere(block => block >= operation.Block && block < operation.Block + operation.BlockCount);
    }

    public async ValueTask<long> FlushAsync()
    {
        var (applied, resets) = (store.Last.Seq, _resets);
        var seq = await store.FlushAsync();
        Trace($"flushed up to {seq}");
        if (!isAlive() || resets != _resets || (seq >= applied && seq <= store.Last.Seq)) return seq;

        // Too little is as wrong as too much: who waits for the rest asks again, is told the same, and never answers.
        throw new PromiseBrokenException(Promise.FlushedIsDurable, $"replica {ledger.Id} had applied {applied} when a flush began, has {store.Last} now, and says that what is durable ends at {seq}.");
    }

    public void SetCommit(long seq) => store.SetCommit(seq);

    public ValueTask ReadAsync(long block, int blockCount, Memory<byte> destination) => NoteBadAsync(() => store.ReadAsync(block, blockCount, destination));

    public ValueTask ReadMediaAsync(long block, int blockCount, Memory<byte> destination) => NoteBadAsync(() => store.ReadMediaAsync(block, blockCount, destination));

    public ValueTask<long[]> ListSeqsAsync(long block, int blockCount) => store.ListSeqsAsync(block, blockCount);

    /// <summary>Stores something else in a block, with the right checksum, as nothing that works ever would.</summary>
    public ValueTask AlterAsync(long block, byte[] data) => store.RepairAsync(block, 1, data, new[] { Storage.Crc32C.Compute(data) });

    public async ValueTask<StoreScrubStep> ScrubAsync(bool restart)
    {
        var step = await store.ScrubAsync(restart);
        foreach (var found in step.Repaired.Concat(step.Damage)) Trace($"finds that {found}");
        return step;
    }

    private async ValueTask NoteBadAsync(Func<ValueTask> read)
    {
        try
        {
            await read();
        }
        catch (BadBlockException e)
        {
            Trace($"finds block {e.Block} bad");
            ledger.BadBlocksSeen.Add(e.Block);
            throw;
        }
    }

    public async ValueTask RepairAsync(long block, int blockCount, ReadOnlyMemory<byte> data, ReadOnlyMemory<uint> checksums)
    {
        Trace($"repairs {block}+{blockCount}");
        var rotCount = ledger.RotCount;
        await store.RepairAsync(block, blockCount, data, checksums);
        if (!isAlive()) return;
        try
        {
            await store.ReadAsync(block, blockCount, new byte[blockCount * 4096]);
        }
        catch (BadBlockException) when (ledger.RotCount != rotCount)
        {
            return;
        }
        catch (BadBlockException e)
        {
            throw new PromiseBrokenException(Promise.BadBlocksAreHidden, $"replica {ledger.Id} was given good data for its blocks from {block} on ({blockCount}), and block {e.Block} is still bad.");
        }

        for (var i = 0; i < blockCount; i++) ledger.BadBlocksSeen.Remove(block + i);
    }

    public async ValueTask TruncateAsync(long lastSeq)
    {
        var before = store.Status.Last;
        var after = history.Order.Chain(before).Select(entry => entry.Position).LastOrDefault(position => position.Seq <= lastSeq);
        Trace($"truncates {before} to {after}");
        if (lastSeq < before.Seq && !history.Order.Contains(after, ledger.Floor) && history.Order.Contains(before, ledger.Floor) && ledger.Consistency == ReplicaConsistency.Prefix)
            history.TruncatedBelowFloor(ledger, after);
        ledger.Intended = after;
        _resets++;
        await store.TruncateAsync(lastSeq);
        _resets++;
        if (!isAlive()) return;
        ledger.Intended = null;
        ledger.Last = ledger.Highest = store.Status.Last;
    }

    public ValueTask MarkDamagedAsync()
    {
        Trace("is marked as damaged");
        return store.MarkDamagedAsync();
    }

    public ValueTask<StoreBatch?> ReadLogAsync(long fromSeq, int maxBytes) => store.ReadLogAsync(fromSeq, maxBytes);

    public ValueTask<ChangedBlocks> ListChangedAsync(long sinceSeq, long fromBlock, int maxRuns) => store.ListChangedAsync(sinceSeq, fromBlock, maxRuns);

    public async ValueTask BeginRebuildAsync(LogPosition from, long baseSeq)
    {
        Trace($"begins a rebuild from {from}, base {baseSeq}, its log ends at {store.Status.Last}");
        ledger.RebuildInDoubt = true;
        ledger.Consistency = ReplicaConsistency.Rebuilding;
        ledger.Floor = LogPosition.Zero;
        _resets++;
        await store.BeginRebuildAsync(from, baseSeq);
        _resets++;
        if (!isAlive()) return;
        ledger.RebuildInDoubt = false;
        ledger.Last = ledger.Highest = store.Status.Last;
    }

    public async ValueTask CopyAsync(ReadOnlyMemory<StoreOperation> operations)
    {
        await store.CopyAsync(operations);
        foreach (var operation in operations.Span)
        {
            Trace($"copies {operation.Kind} {operation.Block}+{operation.BlockCount}");
            for (long block = operation.Block; block < operation.Block + operation.BlockCount; block++) ledger.BadBlocksSeen.Remove(block);
        }
    }

    public async ValueTask EndRebuildAsync()
    {
        Trace($"ends its rebuild at {store.Status.Last}");
        ledger.RebuildInDoubt = true;
        await store.EndRebuildAsync();
        if (!isAlive()) return;
        ledger.RebuildInDoubt = false;
        ledger.Consistency = ReplicaConsistency.Prefix;
        ledger.Last = ledger.Highest = store.Status.Last;
    }

    public ValueTask<IReadOnlyList<AllocatedRun>> ListAllocatedAsync(long fromBlock, long blockCount, int maxRuns) => store.ListAllocatedAsync(fromBlock, blockCount, maxRuns);

    public ValueTask<bool> MaintainAsync() => store.MaintainAsync();

    public async ValueTask CloseAsync()
    {
        await store.CloseAsync();
        Trace("closed");
    }

    public ValueTask DisposeAsync() => store.DisposeAsync();

    /// <summary>A kill loses nothing that a call returned for; a power loss leaves a prefix, with all that was flushed.</summary>
    private void CheckLogEnd(StoreStatus status)
    {
        if (ledger.RebuildInDoubt || (status.Consistency == ReplicaConsistency.Rebuilding && ledger.Consistency == ReplicaConsistency.Rebuilding)) return;
        if (status.Consistency != ledger.Consistency && !ledger.MayEndEarly)
            throw new PromiseBrokenException(Promise.PrefixAfterPowerLoss, $"replica {ledger.Id} opens as {status.Consistency} at {status.Last}, but was {ledger.Consistency}.");
        if (status.Last == ledger.Last || status.Last == ledger.Intended) return;
        if (!ledger.PowerLost && !ledger.MayEndEarly)
        {
            throw new PromiseBrokenException(Promise.AcknowledgedIsReplicated,
                $"replica {ledger.Id} opens at {status.Last} after its process was killed, but it had applied {ledger.Last}{(ledger.Intended is { } i ? $" and perhaps {i}" : "")}.");
        }

        var order = history.Order;
        if (!order.Contains(ledger.Last, status.Last) && !(ledger.Intended is { } intended && order.Contains(intended, status.Last)))
            throw new PromiseBrokenException(Promise.PrefixAfterPowerLoss, $"replica {ledger.Id} opens at {status.Last} after a power loss, which is no prefix of its log up to {ledger.Last}.");
        if (!order.Contains(status.Last, ledger.Floor) && !ledger.MayEndEarly)
            throw new PromiseBrokenException(Promise.FlushedIsDurable, $"replica {ledger.Id} opens at {status.Last} after a power loss, but a flush up to {ledger.Floor} was acknowledged while it was in sync.");
    }

    private async ValueTask CheckSinglyAsync(int first, int count, long[] expected, Func<long, bool> mayBeBad)
    {
        var buffer = new byte[4096];
        for (var block = first; block < first + count; block++)
        {
            try
            {
                await store.ReadAsync(block, 1, buffer);
            }
            catch (BadBlockException e)
            {
                if (mayBeBad(block)) continue;
                throw new PromiseBrokenException(Promise.BadBlocksAreHidden, $"replica {ledger.Id} has a bad block {block} at {store.Status.Last} though nothing harmed it: {e.Message}");
            }

            CheckBlock(block, buffer, expected);
        }
    }

    private void CheckBlock(long block, ReadOnlySpan<byte> data, long[] expected)
    {
        for (var i = 0; i < SectorsPerBlock; i++)
        {
            var sector = block * SectorsPerBlock + i;
            var found = SectorStamp.Decode(data.Slice(i * SectorStamp.SectorBytes, SectorStamp.SectorBytes), sector);
            if (found == expected[sector]) continue;
            throw new PromiseBrokenException(found == SectorStamp.Corrupt ? Promise.BadBlocksAreHidden : Promise.PrefixAfterPowerLoss,
                $"replica {ledger.Id} at {store.Status.Last} has write {found} in sector {sector}; after that operation it must be {expected[sector]}.");
        }
    }

    private void Trace(string what)
    {
        scheduler.Trace.Add(store.Status.Last.Seq);
        if (scheduler.Trace.KeepsText) scheduler.Trace.Write(scheduler.Now, $"replica {ledger.Id} {what}");
    }
}
