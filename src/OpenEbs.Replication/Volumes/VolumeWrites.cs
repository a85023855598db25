using System.Buffers;
using OpenEbs.Storage.Store;

namespace OpenEbs.Replication.Volumes;

/// <summary>What changes a volume's blocks: takes their range, brings parts of blocks to whole ones, and gives the operation its place in the order (promise P5).</summary>
internal sealed class VolumeWrites(VolumeContext context, VolumeReads reads, WriteOrder order, Action watch)
{
    /// <summary>The common case, without waiting for anything: whole blocks, nothing in the way. Null, and nothing taken over, when it is not that.</summary>
    public PendingOperation? TryWrite(long offsetBytes, IMemoryOwner<byte> data, int lengthBytes, bool forceUnitAccess, IoDeadline deadline)
    {
        if ((offsetBytes | (uint)lengthBytes) % VolumeBlocks.BlockBytes != 0 || lengthBytes == 0 || !order.IsWindowOpen || !order.HasRoom(lengthBytes)) return null;
        var block = offsetBytes / VolumeBlocks.BlockBytes;
        var blockCount = lengthBytes / VolumeBlocks.BlockBytes;
        var range = context.Ranges.Enter(block, blockCount, RangeUse.Write);
        if (range.IsGranted) return order.SubmitData(block, data.Memory[..lengthBytes], data, forceUnitAccess, range, deadline);
        context.Ranges.Exit(range);
        return null;
    }

    /// <summary>Any write. Takes over <paramref name="data"/>.</summary>
    public async ValueTask<VolumeIoResult> WriteAsync(long offsetBytes, IMemoryOwner<byte> data, int lengthBytes, bool forceUnitAccess, IoDeadline deadline)
    {
        IMemoryOwner<byte>? owned = data;
        RangeLock? range = null;
        try
        {
            if (lengthBytes == 0) return new VolumeIoResult(VolumeIoStatus.Ok);
            if (await order.AdmitAsync(lengthBytes, deadline) is var refused && refused != VolumeIoStatus.Ok) return new VolumeIoResult(refused);
            var (block, count) = VolumeBlocks.Covering(offsetBytes, lengthBytes);
            var whole = (offsetBytes | (uint)lengthBytes) % VolumeBlocks.BlockBytes == 0;
            range = context.Ranges.Enter(block, count, whole ? RangeUse.Write : RangeUse.Exclusive);
            watch();
            if (!await range.GrantedAsync(deadline)) return new VolumeIoResult(VolumeIoStatus.TimedOut);
            if (context.IsStopped) return new VolumeIoResult(VolumeIoStatus.Fenced);
            if (!whole)
            {
                var merged = await MergeAsync(block, count, (int)(offsetBytes - (block * VolumeBlocks.BlockBytes)), data.Memory[..lengthBytes], deadline);
                if (merged.Status != VolumeIoStatus.Ok) return merged;
                data.Dispose();
                owned = data = merged.Data!;
                if (context.IsStopped) return new VolumeIoResult(VolumeIoStatus.Fenced);
            }

            var operation = order.SubmitData(block, data.Memory[..(count * VolumeBlocks.BlockBytes)], data, forceUnitAccess, range, deadline);
            range = null;
            owned = null;
            return await operation.AsValueTask();
        }
        finally
        {
            if (range is not null) context.Ranges.Exit(range);
            owned?.Dispose();
        }
    }

    /// <summary>Makes runs of bytes read as zeros, one after the other: whole blocks are unmapped, parts of blocks are written.</summary>
    public async ValueTask<VolumeIoResult> ZeroAsync(IReadOnlyList<BlockByteRange> ranges, bool forceUnitAccess, IoDeadline deadline)
    {
        foreach (var range in ranges)
        {
            var result = await ZeroAsync(range.OffsetBytes, range.LengthBytes, forceUnitAccess, deadline);
            if (result.Status != VolumeIoStatus.Ok) return result;
        }

        return new VolumeIoResult(VolumeIoStatus.Ok);
    }

    private async ValueTask<VolumeIoResult> ZeroAsync(long offsetBytes, long lengthBytes, bool forceUnitAccess, IoDeadline deadline)
    {
        if (lengthBytes == 0) return new VolumeIoResult(VolumeIoStatus.Ok);
        var first = offsetBytes / VolumeBlocks.BlockBytes;
        var end = (offsetBytes + lengthBytes + VolumeBlocks.BlockBytes - 1) / VolumeBlocks.BlockBytes;
        RangeLock? range = context.Ranges.Enter(first, end - first, RangeUse.Exclusive);
        var edges = new List<(long Block, IMemoryOwner<byte> Data)>(2);
        watch();
        try
        {
            if (!await range.GrantedAsync(deadline)) return new VolumeIoResult(VolumeIoStatus.TimedOut);
            var wholeFirst = (offsetBytes + VolumeBlocks.BlockBytes - 1) / VolumeBlocks.BlockBytes;
            var wholeEnd = (offsetBytes + lengthBytes) / VolumeBlocks.BlockBytes;
            foreach (var block in new[] { first, end - 1 }.Distinct().Where(b => b < wholeFirst || b >= wholeEnd))
            {
                if (await order.AdmitAsync(VolumeBlocks.BlockBytes, deadline) is var refused && refused != VolumeIoStatus.Ok) return new VolumeIoResult(refused);
                var read = await reads.ReadAsync(block, 1, deadline);
                if (read.Status != VolumeIoStatus.Ok) return read;
                edges.Add((block, read.Data!));
                var from = Math.Max(offsetBytes - (block * VolumeBlocks.BlockBytes), 0);
                var to = Math.Min(offsetBytes + lengthBytes - (block * VolumeBlocks.BlockBytes), VolumeBlocks.BlockBytes);
                read.Data!.Memory.Span[(int)from..(int)to].Clear();
            }

            if (context.IsStopped) return new VolumeIoResult(VolumeIoStatus.Fenced);
            PendingOperation? last = null;
            var steps = edges.Count + (wholeEnd > wholeFirst ? 1 : 0);
            foreach (var (block, data) in edges)
            {
                var operation = order.SubmitData(block, data.Memory[..VolumeBlocks.BlockBytes], data, forceUnitAccess, --steps == 0 ? range : null, deadline);
                last = operation;
            }

            edges.Clear();
            if (wholeEnd > wholeFirst)
                last = order.Submit(new StoreOperation(OperationKind.Unmap, wholeFirst, wholeEnd - wholeFirst, default, default), null, forceUnitAccess, range, deadline);
            range = null;

            // Operations are acknowledged in order of seq: the last one answers for all.
            return await last!.AsValueTask();
        }
        finally
        {
            if (range is not null) context.Ranges.Exit(range);
            foreach (var (_, data) in edges) data.Dispose();
        }
    }

    public async ValueTask<VolumeIoResult> CompareAndWriteAsync(long offsetBytes, ReadOnlyMemory<byte> compareThenWrite, bool forceUnitAccess, IoDeadline deadline)
    {
        var lengthBytes = compareThenWrite.Length / 2;
        if (lengthBytes == 0) return new VolumeIoResult(VolumeIoStatus.Ok);
        if (await order.AdmitAsync(lengthBytes + (2 * VolumeBlocks.BlockBytes), deadline) is var refused && refused != VolumeIoStatus.Ok) return new VolumeIoResult(refused);
        var (block, count) = VolumeBlocks.Covering(offsetBytes, lengthBytes);
        RangeLock? range = context.Ranges.Enter(block, count, RangeUse.Exclusive);
        IMemoryOwner<byte>? data = null;
        watch();
        try
        {
            if (!await range.GrantedAsync(deadline)) return new VolumeIoResult(VolumeIoStatus.TimedOut);
            var read = await reads.ReadAsync(block, count, deadline);
            if (read.Status != VolumeIoStatus.Ok) return read;
            data = read.Data!;
            if (context.IsStopped) return new VolumeIoResult(VolumeIoStatus.Fenced);
            var target = data.Memory.Slice((int)(offsetBytes - (block * VolumeBlocks.BlockBytes)), lengthBytes);
            var same = target.Span.CommonPrefixLength(compareThenWrite.Span[..lengthBytes]);
            if (same < lengthBytes) return new VolumeIoResult(VolumeIoStatus.Miscompare, MiscompareOffset: same);
            compareThenWrite[lengthBytes..].CopyTo(target);
            var operation = order.SubmitData(block, data.Memory[..(count * VolumeBlocks.BlockBytes)], data, forceUnitAccess, range, deadline);
            range = null;
            data = null;
            return await operation.AsValueTask();
        }
        finally
        {
            if (range is not null) context.Ranges.Exit(range);
            data?.Dispose();
        }
    }

    private async ValueTask<VolumeIoResult> MergeAsync(long block, int count, int skipBytes, ReadOnlyMemory<byte> data, IoDeadline deadline)
    {
        var merged = context.Pool.Rent(count * VolumeBlocks.BlockBytes);
        var taken = false;
        try
        {
            var endBytes = skipBytes + data.Length;
            var lastIsPartial = endBytes % VolumeBlocks.BlockBytes != 0;
            var parts = new List<int>(2);
            if (skipBytes != 0 || (count == 1 && lastIsPartial)) parts.Add(0);
            if (lastIsPartial && count > 1) parts.Add(count - 1);
            foreach (var part in parts)
            {
                var read = await reads.ReadAsync(block + part, 1, deadline);
                if (read.Status != VolumeIoStatus.Ok) return read;
                using (read.Data) read.Data!.Memory[..VolumeBlocks.BlockBytes].CopyTo(merged.Memory[(part * VolumeBlocks.BlockBytes)..]);
            }

            data.CopyTo(merged.Memory[skipBytes..]);
            taken = true;
            return new VolumeIoResult(VolumeIoStatus.Ok, merged);
        }
        finally
        {
            if (!taken) merged.Dispose();
        }
    }
}
