using OpenEbs.Storage.Devices;
using OpenEbs.Storage.Formats;
using OpenEbs.Storage.Segments;

namespace OpenEbs.Storage.Store;

/// <summary>Brings a store to the state after the last record of its log: loads the installed checkpoint, finds the records after it, and carries them over into the map.</summary>
internal sealed class LogRecovery(StoreState state, MapUpdates updates)
{
    private IReadOnlyList<SegmentFile> _files = [];

    public async ValueTask RunAsync()
    {
        await LoadCheckpointAsync();
        var records = await new LogScan(state, _files).RunAsync();
        ReleaseUnused();
        CutTruncated(records);
        foreach (var record in records) await ApplyAsync(record);
        state.NextLsn = state.Superblock.CheckpointLsn + 1 + (ulong)records.Count;
        state.LogBytes = records.Sum(r => (long)r.Header.TotalBytes);
        state.Segments.SealCurrent();
    }

    private async ValueTask LoadCheckpointAsync()
    {
        var superblock = state.Superblock;
        state.Last = superblock.Position;
        state.LogStart = superblock.LogStart;
        state.DurableSeq = superblock.Position.Seq;
        state.CommitSeq = Math.Max(state.CommitSeq, superblock.CommitSeq);
        state.Consistency = superblock.Rebuilding ? ReplicaConsistency.Rebuilding : ReplicaConsistency.Prefix;
        state.RebuildBaseSeq = superblock.RebuildBaseSeq;
        state.Index.Clear();
        await state.Map.LoadAsync(superblock.Root);
        state.TablePages = [];
        var table = await SegmentSet.ReadTableAsync(superblock.SegmentTable, state.Pages, state.TablePages);
        foreach (var page in state.TablePages) state.Pages.MarkUsed(page);
        state.Segments.Clear();
        state.Segments.NextNumber = Math.Max(superblock.NextSegmentNumber, state.Segments.NextNumber);
        _files = await state.Segments.OpenFilesAsync();
        foreach (var (number, slot, live) in table)
        {
            var (_, file, header) = _files.FirstOrDefault(f => f.Slot == slot);
            if (file is null) throw new StoreCorruptException($"{state.Device.Path}: segment file {slot:x8} is missing. Let the replica be rebuilt from another.");
            if (header is { } h && h.Number != number)
                throw new StoreCorruptException($"{state.Device.Path}: segment file {slot:x8} should hold segment {number} and holds {h.Number}. Let the replica be rebuilt from another.");
            if (header is null && number == superblock.ReplaySegment)
                throw new StoreCorruptException($"{state.Device.Path}: the header of segment file {slot:x8}, where the log goes on after the checkpoint, is damaged. Let the replica be rebuilt from another.");
            var segment = new Segment(number, slot, file, header?.StartLsn ?? 0, header?.Revision ?? 0) { IsSealed = true, WriteOffset = state.Segments.SegmentBytes, IsCompacted = header is null };
            state.Segments.Add(segment);
            state.Segments.CountLive(number, live);
        }
    }

    /// <summary>Files that neither the checkpoint nor the log after it uses.</summary>
    private void ReleaseUnused()
    {
        var used = state.Segments.All.Select(s => s.Slot).ToHashSet();
        foreach (var (slot, _, _) in _files.Where(f => !used.Contains(f.Slot))) state.Segments.AddFree(slot);
        _files = [];
    }

    /// <summary>A Truncate record takes back operations of records before it.</summary>
    private static void CutTruncated(List<FoundRecord> records)
    {
        var cut = long.MaxValue;
        for (var i = records.Count - 1; i >= 0; i--)
        {
            records[i] = records[i] with { CutSeq = cut };
            cut = records[i].Header.Kind switch
            {
                RecordKind.Truncate => Math.Min(cut, records[i].Header.Argument),
                RecordKind.RebuildBegin => long.MaxValue,
                _ => cut,
            };
        }
    }

    private async ValueTask ApplyAsync(FoundRecord record)
    {
        var header = record.Header;
        state.CommitSeq = Math.Max(state.CommitSeq, header.CommitSeq);
        switch (header.Kind)
        {
            case RecordKind.Batch:
                await ApplyBatchAsync(record);
                break;
            case RecordKind.Copy:
                await ApplyOperationsAsync(record, _ => state.Last.Seq + 1, header.Operations.Length);
                break;
            case RecordKind.Relocate or RecordKind.Repair:
                await ApplyMovesAsync(record);
                break;
            case RecordKind.RebuildBegin:
                state.Consistency = ReplicaConsistency.Rebuilding;
                state.RebuildBaseSeq = header.Argument;
                state.Last = state.LogStart = new LogPosition(header.Epoch, header.FirstSeq);
                state.DurableSeq = Math.Min(state.DurableSeq, header.FirstSeq);
                state.Index.Clear();
                break;
            case RecordKind.RebuildEnd:
                state.Consistency = ReplicaConsistency.Prefix;
                state.RebuildBaseSeq = 0;
                state.LogStart = state.Last;
                state.Index.Clear();
                break;
            case RecordKind.Truncate:
                break;
            default:
                throw new StoreForeignException($"{state.Device.Path}: segment {header.SegmentNumber} has a record of unknown kind {header.Kind}; it was written by a newer release. Use that one.");
        }
    }

    private async ValueTask ApplyBatchAsync(FoundRecord record)
    {
        var header = record.Header;
        var count = (int)Math.Clamp(record.CutSeq - header.FirstSeq + 1, 0, header.Operations.Length);
        if (count == 0) return;
        await ApplyOperationsAsync(record, i => header.FirstSeq + i, count);
        state.Last = new LogPosition(header.Epoch, header.FirstSeq + count - 1);
        state.Index.Add(new LogIndexEntry(header.Epoch, header.FirstSeq, state.Last.Seq, header.Lsn, record.Segment.Number, record.OffsetBytes, header.HeaderBytes));
    }

    private async ValueTask ApplyOperationsAsync(FoundRecord record, Func<int, long> seqOf, int count)
    {
        var header = record.Header;
        var offset = (uint)((record.OffsetBytes + header.HeaderBytes) / FormatTags.PageBytes);
        var dataBlock = 0;
        for (var i = 0; i < count; i++)
        {
            var operation = header.Operations[i];
            if (operation.Kind == OperationKind.Write)
            {
                await updates.WriteAsync(operation.Block, header.Checksums.AsMemory(dataBlock, (int)operation.BlockCount), record.Segment.Number, offset + (uint)dataBlock, seqOf(i));
                dataBlock += (int)operation.BlockCount;
            }
            else if (operation.Kind == OperationKind.Unmap && header.Kind == RecordKind.Copy)
            {
                await updates.EmptyAsync(operation.Block, operation.BlockCount, seqOf(i));
            }
            else if (operation.Kind == OperationKind.Mark && header.Kind == RecordKind.Copy)
            {
                await updates.TouchAsync(operation.Block, operation.BlockCount, seqOf(i));
            }
            else if (operation.Kind == OperationKind.Unmap)
            {
                await updates.UnmapAsync(operation.Block, operation.BlockCount, seqOf(i));
            }
        }
    }

    private async ValueTask ApplyMovesAsync(FoundRecord record)
    {
        var header = record.Header;
        var offset = (uint)((record.OffsetBytes + header.HeaderBytes) / FormatTags.PageBytes);
        var dataBlock = 0;
        foreach (var operation in header.Operations)
        {
            for (var i = 0; i < operation.BlockCount; i++, dataBlock++)
                await updates.MoveAsync(operation.Block + i, header.Checksums[dataBlock], header.Relocated[dataBlock], record.Segment.Number, offset + (uint)dataBlock);
        }
    }
}
