using System.Runtime.ExceptionServices;
using OpenEbs.Storage.Formats;
using OpenEbs.Storage.Maps;
using OpenEbs.Storage.Segments;

namespace OpenEbs.Storage.Store;

/// <summary>Reads of blocks, of the log and of the map.</summary>
internal sealed class LogReader(StoreState state)
{
    /// <summary>Operations without data take room in a record's header too.</summary>
    private const int MaxOperations = 1024;

    /// <summary>Fills <paramref name="destination"/>; blocks that lie side by side come in one read of the device.</summary>
    public async ValueTask ReadAsync(long block, int blockCount, Memory<byte> destination, bool fromMedia = false)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(destination.Length, blockCount * FormatTags.PageBytes, nameof(destination));
        for (var done = 0; done < blockCount;)
        {
            var leafIndex = (block + done) >> MapNode.LeafBits;
            if (!state.Map.TryGetLeaf(leafIndex, out var leaf)) leaf = await state.Map.GetLeafAsync(leafIndex);
            var index = (int)((block + done) & (MapNode.LeafBlocks - 1));
            var count = Math.Min(blockCount - done, MapNode.LeafBlocks - index);
            if (leaf is null) destination.Slice(done * FormatTags.PageBytes, count * FormatTags.PageBytes).Span.Clear();
            else if (!await ReadLeafAsync(leaf, index, count, block + done, destination.Slice(done * FormatTags.PageBytes, count * FormatTags.PageBytes), fromMedia)) continue;
            done += count;
        }
    }

    public async ValueTask<StoreBatch?> ReadLogAsync(long fromSeq, int maxBytes)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(fromSeq, state.LogStart.Seq);
        var index = state.Index.Find(fromSeq);
        if (index < 0) return null;
        var operations = new List<StoreOperation>();
        var epoch = state.Index.At(index)!.Value.Epoch;
        var resets = state.Resets;
        var next = fromSeq;
        var isFull = false;
        for (long bytes = 0; !isFull && state.Index.Find(next) is var at and >= 0; next = fromSeq + operations.Count)
        {
            var entry = state.Index.At(at)!.Value;
            if (entry.Epoch != epoch) break;
            var read = await ReadRecordAsync(entry);
            if (resets != state.Resets) throw new IOException($"{state.Device.Path}: the log was truncated while it was read");
            foreach (var operation in read.Take((int)(entry.LastSeq - entry.FirstSeq + 1)).Skip((int)(next - entry.FirstSeq)))
            {
                isFull = operations.Count == MaxOperations || (operations.Count > 0 && bytes + operation.Data.Length > maxBytes);
                if (isFull) break;
                operations.Add(operation);
                bytes += operation.Data.Length;
            }
        }

        return operations.Count == 0 ? null : new StoreBatch(epoch, fromSeq, operations.ToArray());
    }

    public async ValueTask<ChangedBlocks> ListChangedAsync(long sinceSeq, long fromBlock, int maxRuns)
    {
        var runs = new List<BlockRun>();
        for (var leafIndex = state.Map.NextLeaf(fromBlock >> MapNode.LeafBits, (ulong)sinceSeq, emptied: true); leafIndex >= 0;
             leafIndex = state.Map.NextLeaf(leafIndex + 1, (ulong)sinceSeq, emptied: true))
        {
            var leaf = await state.Map.GetLeafAsync(leafIndex);
            for (var i = 0; i < MapNode.LeafBlocks; i++)
            {
                var block = (leafIndex << MapNode.LeafBits) + i;
                if (block < fromBlock || (leaf is not null && !HasChanged(leaf, i, sinceSeq))) continue;
                if (runs.Count > 0 && runs[^1].Block + runs[^1].BlockCount == block) runs[^1] = runs[^1] with { BlockCount = runs[^1].BlockCount + 1 };
                else if (runs.Count == maxRuns) return new ChangedBlocks(runs, block);
                else runs.Add(new BlockRun(block, 1));
            }
        }

        return new ChangedBlocks(runs, -1);
    }

    public async ValueTask<IReadOnlyList<AllocatedRun>> ListAllocatedAsync(long fromBlock, long blockCount, int maxRuns)
    {
        var runs = new List<AllocatedRun>();
        var end = fromBlock + blockCount;
        for (var block = fromBlock; block < end && runs.Count <= maxRuns;)
        {
            var leafIndex = state.Map.NextLeaf(block >> MapNode.LeafBits, 0, emptied: false);
            var first = leafIndex < 0 ? end : Math.Min(leafIndex << MapNode.LeafBits, end);
            if (first > block)
            {
                Extend(runs, block, first - block, mapped: false);
                block = first;
                continue;
            }

            var leaf = await state.Map.GetLeafAsync(leafIndex);
            var leafEnd = Math.Min((leafIndex + 1) << MapNode.LeafBits, end);
            for (; block < leafEnd; block++) Extend(runs, block, 1, leaf is not null && leaf.Entries[block & (MapNode.LeafBlocks - 1)].IsMapped);
        }

        return runs.Count <= maxRuns ? runs : runs.GetRange(0, maxRuns);
    }

    public async ValueTask<long[]> ListSeqsAsync(long block, int blockCount)
    {
        var seqs = new long[blockCount];
        for (var i = 0; i < blockCount; i++)
        {
            var leafIndex = (block + i) >> MapNode.LeafBits;
            if (!state.Map.TryGetLeaf(leafIndex, out var leaf)) leaf = await state.Map.GetLeafAsync(leafIndex);
            if (leaf is null) seqs[i] = (long)state.Map.AbsentSeq(leafIndex);
            else if (leaf.Entries[(block + i) & (MapNode.LeafBlocks - 1)] is { HasHistory: true } entry) seqs[i] = (long)leaf.SeqOf(entry);
        }

        return seqs;
    }

    private static void Extend(List<AllocatedRun> runs, long block, long count, bool mapped)
    {
        if (runs.Count > 0 && runs[^1].Mapped == mapped) runs[^1] = runs[^1] with { BlockCount = runs[^1].BlockCount + count };
        else runs.Add(new AllocatedRun(block, count, mapped));
    }

    private static bool HasChanged(MapNode leaf, int index, long sinceSeq)
    {
        ref readonly var entry = ref leaf.Entries[index];
        return entry.HasHistory && (sinceSeq == 0 || leaf.SeqOf(entry) > (ulong)sinceSeq);
    }

    /// <summary>Reads what lies apart all at once: pieces that are not in the page cache come from the disk side by side. False when blocks were written meanwhile: then it is to be done
    /// again, for what was read has no checksum any more and would pass for a bad block.</summary>
    private async ValueTask<bool> ReadLeafAsync(MapNode leaf, int index, int count, long block, Memory<byte> destination, bool fromMedia)
    {
        List<(ValueTask Read, int First, int Count, ExtentEntry Entry)>? waiting = null;
        var isOvertaken = false;
        Exception? bad = null;
        for (var i = 0; i < count;)
        {
            var run = RunLength(leaf, index + i, count - i);
            var entry = leaf.Entries[index + i];
            var part = destination.Slice(i * FormatTags.PageBytes, run * FormatTags.PageBytes);
            if (!entry.IsMapped)
            {
                part.Span.Clear();
            }
            else
            {
                var read = ReadRunAsync(state.Segments[entry.Segment], entry.Offset, block + i, part, fromMedia);
                if (read.IsCompletedSuccessfully) bad ??= FindBad(leaf, index + i, run, block + i, part.Span);
                else (waiting ??= []).Add((read, i, run, entry));
            }

            i += run;
        }

        for (var i = 0; i < waiting?.Count; i++)
        {
            // All of them, whatever became of the others: they fill the caller's memory.
            var (read, first, run, entry) = waiting[i];
            try
            {
                await read;
                if (FindBad(leaf, index + first, run, block + first, destination.Slice(first * FormatTags.PageBytes, run * FormatTags.PageBytes).Span) is not { } found) continue;
                if (IsWhereItWas(leaf, index + first, run, entry)) bad ??= found;
                else isOvertaken = true;
            }
            catch (Exception e)
            {
                bad ??= e;
            }
        }

        if (bad is not null) ExceptionDispatchInfo.Throw(bad);
        return !isOvertaken;
    }

    /// <summary>Whether a run of blocks is still where it was read: a leaf that no checkpoint has captured is changed in place.</summary>
    private static bool IsWhereItWas(MapNode leaf, int index, int count, ExtentEntry was)
    {
        for (var i = 0; i < count; i++)
        {
            ref readonly var entry = ref leaf.Entries[index + i];
            if (!entry.IsMapped || entry.Segment != was.Segment || entry.Offset != was.Offset + (uint)i) return false;
        }

        return true;
    }

    /// <summary>Blocks that are all unmapped, or lie one after the other in one segment.</summary>
    private static int RunLength(MapNode leaf, int index, int maxCount)
    {
        var first = leaf.Entries[index];
        var run = 1;
        while (run < maxCount)
        {
            ref readonly var next = ref leaf.Entries[index + run];
            if (next.IsMapped != first.IsMapped || (first.IsMapped && (next.Segment != first.Segment || next.Offset != first.Offset + (uint)run))) break;
            run++;
        }

        return run;
    }

    private async ValueTask ReadRunAsync(Segment segment, uint offset, long block, Memory<byte> destination, bool fromMedia)
    {
        segment.Readers++;
        try
        {
            var read = fromMedia ? segment.File.ReadMediaAsync((long)offset * FormatTags.PageBytes, destination) : segment.File.ReadAsync((long)offset * FormatTags.PageBytes, destination);
            await read;
        }
        catch (IOException e)
        {
            throw new BadBlockException(block, $"{state.Device.Path}/{segment.File.Name}: the block at {(long)offset * FormatTags.PageBytes} cannot be read: {e.Message}", e);
        }
        finally
        {
            segment.Readers--;
        }
    }

    private BadBlockException? FindBad(MapNode leaf, int index, int count, long block, ReadOnlySpan<byte> data)
    {
        for (var i = 0; i < count; i++)
        {
            ref readonly var entry = ref leaf.Entries[index + i];
            if (Crc32C.Compute(data.Slice(i * FormatTags.PageBytes, FormatTags.PageBytes)) == entry.Crc) continue;
            return new BadBlockException(
                block + i, $"{state.Device.Path}: block {block + i} (segment {entry.Segment}, offset {(long)entry.Offset * FormatTags.PageBytes}) does not match its checksum");
        }

        return null;
    }

    private async ValueTask<StoreOperation[]> ReadRecordAsync(LogIndexEntry entry)
    {
        var segment = state.Segments[entry.Segment];
        segment.Readers++;
        try
        {
            var header = await LogScan.ReadHeaderAsync(state, segment, entry.OffsetBytes, entry.Lsn)
                ?? throw new StoreCorruptException($"{state.Device.Path}/{segment.File.Name}: the record at {entry.OffsetBytes} does not check");
            var data = new byte[header.DataBlocks * FormatTags.PageBytes];
            await segment.File.ReadAsync(entry.OffsetBytes + header.HeaderBytes, data);
            var operations = new StoreOperation[header.Operations.Length];
            var dataBlock = 0;
            for (var i = 0; i < operations.Length; i++)
            {
                var operation = header.Operations[i];
                var blocks = operation.Kind == OperationKind.Write ? (int)operation.BlockCount : 0;
                for (var b = dataBlock; b < dataBlock + blocks; b++)
                {
                    if (Crc32C.Compute(data.AsSpan(b * FormatTags.PageBytes, FormatTags.PageBytes)) != header.Checksums[b])
                        throw new BadBlockException(operation.Block + b - dataBlock, $"{state.Device.Path}/{segment.File.Name}: a block in the log at {entry.OffsetBytes} does not match its checksum");
                }

                operations[i] = new StoreOperation(
                    operation.Kind, operation.Block, operation.BlockCount, data.AsMemory(dataBlock * FormatTags.PageBytes, blocks * FormatTags.PageBytes), header.Checksums.AsMemory(dataBlock, blocks));
                dataBlock += blocks;
            }

            return operations;
        }
        finally
        {
            segment.Readers--;
        }
    }
}
