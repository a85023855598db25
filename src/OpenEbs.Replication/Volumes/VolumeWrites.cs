using System.Buffers;
using OpenEbs.Replication.Replicas;
using OpenEbs.Storage;
using OpenEbs.Storage.Store;

namespace OpenEbs.Replication.Volumes;

/// <summary>What changes a volume: gives operations their place in the order, hands them to the links, and answers when all in-sync replicas have them, or have them on stable media
/// (design section 4, Writing and Write cache; promises P1, P2, P5).</summary>
internal sealed class VolumeWrites(VolumeContext context, VolumeReads reads, Action watch)
{
    /// <summary>What a write occupies in a log beside its data: at worst a record header of its own.</summary>
    private const int OperationOverheadBytes = VolumeBlocks.BlockBytes;

    private readonly Queue<PendingOperation> _awaitingMedia = new();
    private readonly Queue<FlushWaiter> _flushes = new();
    private readonly Queue<TaskCompletionSource> _awaitingWindow = new();
    private long _unackedBytes;
    private long _flushTarget;
    private bool _flusherRuns;

    public bool IsIdle => context.AckedSeq >= context.Log.LastSeq && _awaitingMedia.Count == 0 && _flushes.Count == 0 && _awaitingWindow.Count == 0;

    /// <summary>The common case, without waiting for anything: whole blocks, nothing in the way. Null, and nothing taken over, when it is not that.</summary>
    public PendingOperation? TryWrite(long offsetBytes, IMemoryOwner<byte> data, int lengthBytes, bool forceUnitAccess, long deadline)
    {
        if ((offsetBytes | (uint)lengthBytes) % VolumeBlocks.BlockBytes != 0 || lengthBytes == 0 || !IsWindowOpen || !HasRoom(lengthBytes)) return null;
        var block = offsetBytes / VolumeBlocks.BlockBytes;
        var blockCount = lengthBytes / VolumeBlocks.BlockBytes;
        var range = context.Ranges.Enter(block, blockCount, RangeUse.Write);
        if (range.IsGranted) return SubmitData(block, data.Memory[..lengthBytes], data, forceUnitAccess, range, deadline);
        context.Ranges.Exit(range);
        return null;
    }

    /// <summary>Any write. Takes over <paramref name="data"/>.</summary>
    public async ValueTask<VolumeIoResult> WriteAsync(long offsetBytes, IMemoryOwner<byte> data, int lengthBytes, bool forceUnitAccess, long deadline)
    {
        IMemoryOwner<byte>? owned = data;
        RangeLock? range = null;
        try
        {
            if (lengthBytes == 0) return new VolumeIoResult(VolumeIoStatus.Ok);
            if (await AdmitAsync(lengthBytes, deadline) is var refused && refused != VolumeIoStatus.Ok) return new VolumeIoResult(refused);
            var (block, count) = VolumeBlocks.Covering(offsetBytes, lengthBytes);
            var whole = (offsetBytes | (uint)lengthBytes) % VolumeBlocks.BlockBytes == 0;
            range = context.Ranges.Enter(block, count, whole ? RangeUse.Write : RangeUse.Exclusive);
            watch();
            await range.GrantedAsync();
            if (context.IsStopped) return new VolumeIoResult(VolumeIoStatus.Fenced);
            if (!whole)
            {
                var merged = await MergeAsync(block, count, (int)(offsetBytes - (block * VolumeBlocks.BlockBytes)), data.Memory[..lengthBytes], deadline);
                if (merged.Status != VolumeIoStatus.Ok) return merged;
                data.Dispose();
                owned = data = merged.Data!;
                if (context.IsStopped) return new VolumeIoResult(VolumeIoStatus.Fenced);
            }

            var operation = SubmitData(block, data.Memory[..(count * VolumeBlocks.BlockBytes)], data, forceUnitAccess, range, deadline);
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

    /// <summary>Makes a run of bytes read as zeros: whole blocks are unmapped, parts of blocks are written.</summary>
    public async ValueTask<VolumeIoResult> ZeroAsync(long offsetBytes, long lengthBytes, bool forceUnitAccess, long deadline)
    {
        if (lengthBytes == 0) return new VolumeIoResult(VolumeIoStatus.Ok);
        var first = offsetBytes / VolumeBlocks.BlockBytes;
        var end = (offsetBytes + lengthBytes + VolumeBlocks.BlockBytes - 1) / VolumeBlocks.BlockBytes;
        RangeLock? range = context.Ranges.Enter(first, end - first, RangeUse.Exclusive);
        var edges = new List<(long Block, IMemoryOwner<byte> Data)>(2);
        watch();
        try
        {
            await range.GrantedAsync();
            var wholeFirst = (offsetBytes + VolumeBlocks.BlockBytes - 1) / VolumeBlocks.BlockBytes;
            var wholeEnd = (offsetBytes + lengthBytes) / VolumeBlocks.BlockBytes;
            foreach (var block in new[] { first, end - 1 }.Distinct().Where(b => b < wholeFirst || b >= wholeEnd))
            {
                if (await AdmitAsync(VolumeBlocks.BlockBytes, deadline) is var refused && refused != VolumeIoStatus.Ok) return new VolumeIoResult(refused);
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
                var operation = SubmitData(block, data.Memory[..VolumeBlocks.BlockBytes], data, forceUnitAccess, --steps == 0 ? range : null, deadline);
                last = operation;
            }

            edges.Clear();
            if (wholeEnd > wholeFirst)
                last = Submit(new StoreOperation(OperationKind.Unmap, wholeFirst, wholeEnd - wholeFirst, default, default), null, forceUnitAccess, range, deadline);
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

    public async ValueTask<VolumeIoResult> CompareAndWriteAsync(long offsetBytes, ReadOnlyMemory<byte> compareThenWrite, bool forceUnitAccess, long deadline)
    {
        var lengthBytes = compareThenWrite.Length / 2;
        if (lengthBytes == 0) return new VolumeIoResult(VolumeIoStatus.Ok);
        if (await AdmitAsync(lengthBytes + (2 * VolumeBlocks.BlockBytes), deadline) is var refused && refused != VolumeIoStatus.Ok) return new VolumeIoResult(refused);
        var (block, count) = VolumeBlocks.Covering(offsetBytes, lengthBytes);
        RangeLock? range = context.Ranges.Enter(block, count, RangeUse.Exclusive);
        IMemoryOwner<byte>? data = null;
        watch();
        try
        {
            await range.GrantedAsync();
            var read = await reads.ReadAsync(block, count, deadline);
            if (read.Status != VolumeIoStatus.Ok) return read;
            data = read.Data!;
            if (context.IsStopped) return new VolumeIoResult(VolumeIoStatus.Fenced);
            var target = data.Memory.Slice((int)(offsetBytes - (block * VolumeBlocks.BlockBytes)), lengthBytes);
            var same = target.Span.CommonPrefixLength(compareThenWrite.Span[..lengthBytes]);
            if (same < lengthBytes) return new VolumeIoResult(VolumeIoStatus.Miscompare, MiscompareOffset: same);
            compareThenWrite[lengthBytes..].CopyTo(target);
            var operation = SubmitData(block, data.Memory[..(count * VolumeBlocks.BlockBytes)], data, forceUnitAccess, range, deadline);
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

    /// <summary>An operation that changes no block.</summary>
    public void Mark(long deadline) => Submit(new StoreOperation(OperationKind.Mark, 0, 0, default, default), null, false, null, deadline).Answer(VolumeIoStatus.Ok);

    public async ValueTask<VolumeIoStatus> FlushAsync(long deadline)
    {
        var target = context.Log.LastSeq;
        if (context.CommitSeq >= target || context.Faults.SkipFlush) return VolumeIoStatus.Ok;
        if (context.IsStopped) return VolumeIoStatus.Fenced;
        var waiter = new FlushWaiter(target, deadline);
        _flushes.Enqueue(waiter);
        _flushTarget = target;
        FlushLinks(target);
        watch();
        return await waiter.Answer.Task;
    }

    /// <summary>Answers what the replicas' progress allows.</summary>
    public void Advance()
    {
        var acked = long.MaxValue;
        var durable = long.MaxValue;
        var inSync = 0;
        foreach (var link in context.Links)
        {
            if (!link.MustAcknowledge) continue;
            inSync++;
            acked = context.Faults.AcknowledgeEarly && acked != long.MaxValue ? Math.Max(acked, link.AckedSeq) : Math.Min(acked, link.AckedSeq);
            durable = Math.Min(durable, link.DurableSeq);
        }

        if (inSync < context.Keeper.Record!.MinInSync) return;
        acked = Math.Min(acked, context.Log.LastSeq);
        while (context.AckedSeq < acked)
        {
            var operation = context.Log[++context.AckedSeq];
            _unackedBytes -= operation.DataBytes + OperationOverheadBytes;
            if (operation.Range is { } range)
            {
                operation.Range = null;
                context.Ranges.Exit(range);
            }

            if (operation.Durable && !context.Faults.SkipFlush) _awaitingMedia.Enqueue(operation);
            else operation.Answer(VolumeIoStatus.Ok);
        }

        context.CommitSeq = Math.Max(context.CommitSeq, Math.Min(durable, context.AckedSeq));
        AnswerDurable();
    }

    /// <summary>Ends what is overdue; the operations themselves go on.</summary>
    public void Watch()
    {
        var now = context.Now;
        for (var seq = context.AckedSeq + 1; seq <= context.Log.LastSeq && context.Log[seq].Deadline <= now; seq++) context.Log[seq].Answer(VolumeIoStatus.TimedOut);
        foreach (var operation in _awaitingMedia)
        {
            if (operation.Deadline <= now) operation.Answer(VolumeIoStatus.TimedOut);
        }

        foreach (var waiter in _flushes)
        {
            if (waiter.Deadline <= now) waiter.Answer.TrySetResult(VolumeIoStatus.TimedOut);
        }

        // A flush that failed or a replica that came back needs another push.
        if (_flushes.Count > 0 || _awaitingMedia.Count > 0 || _awaitingWindow.Count > 0) FlushLinks(Math.Max(_flushTarget, context.AckedSeq));
    }

    /// <summary>Ends everything with <paramref name="status"/>.</summary>
    public void Stop(VolumeIoStatus status)
    {
        for (var seq = context.AckedSeq + 1; seq <= context.Log.LastSeq; seq++)
        {
            var operation = context.Log[seq];
            operation.Answer(status);
            if (operation.Range is not { } range) continue;
            operation.Range = null;
            context.Ranges.Exit(range);
        }

        while (_awaitingMedia.TryDequeue(out var operation)) operation.Answer(status);
        while (_flushes.TryDequeue(out var waiter)) waiter.Answer.TrySetResult(status);
        while (_awaitingWindow.TryDequeue(out var waiter)) waiter.TrySetResult();
        context.Log.ReleaseTo(context.Log.LastSeq);
    }

    private bool IsWindowOpen => context.Log.Bytes < 2 * context.Options.FlushWindowBytes;

    private bool HasRoom(long bytes)
    {
        foreach (var link in context.Links)
        {
            if (link.MustAcknowledge && link.WritableBytes - _unackedBytes < bytes + OperationOverheadBytes) return false;
        }

        return true;
    }

    /// <summary>Waits for the window of unflushed data to open; refuses what a pool has no room for, before it has a place in the order (promise P8).</summary>
    private async ValueTask<VolumeIoStatus> AdmitAsync(long bytes, long deadline)
    {
        while (!IsWindowOpen && !context.IsStopped)
        {
            FlushLinks(context.AckedSeq);
            var waiter = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _awaitingWindow.Enqueue(waiter);
            watch();
            await waiter.Task;
            if (context.Now >= deadline) return VolumeIoStatus.TimedOut;
        }

        if (!HasRoom(bytes) && !context.IsStopped)
        {
            // The figures may be old: ask for new ones before refusing.
            await Task.WhenAny(
                Task.WhenAll(context.Links.Where(l => l.MustAcknowledge && l.State == LinkState.Live).Select(l => l.RenewLeaseAsync())),
                Task.Delay(context.Options.ReplicaTimeout, context.Time, CancellationToken.None));
            if (!HasRoom(bytes)) return VolumeIoStatus.NoSpace;
        }

        return context.IsStopped ? VolumeIoStatus.Fenced : VolumeIoStatus.Ok;
    }

    private async ValueTask<VolumeIoResult> MergeAsync(long block, int count, int skipBytes, ReadOnlyMemory<byte> data, long deadline)
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

    private PendingOperation SubmitData(long block, ReadOnlyMemory<byte> data, IMemoryOwner<byte> owner, bool forceUnitAccess, RangeLock? range, long deadline)
    {
        var checksums = ReplicaRejoin.Checksums(data.Span);
        return Submit(new StoreOperation(OperationKind.Write, block, checksums.Length, data, checksums), owner, forceUnitAccess, range, deadline);
    }

    private PendingOperation Submit(StoreOperation stored, IMemoryOwner<byte>? owner, bool forceUnitAccess, RangeLock? range, long deadline)
    {
        var operation = new PendingOperation(stored, owner, forceUnitAccess || !context.Keeper.Record!.WriteCache, range, deadline);
        context.Log.Add(operation);
        _unackedBytes += operation.DataBytes + OperationOverheadBytes;
        foreach (var link in context.Links) link.Kick();
        if (!_flusherRuns)
        {
            _flusherRuns = true;
            _ = FlushAtIntervalsAsync();
        }

        watch();
        return operation;
    }

    private void AnswerDurable()
    {
        while (_awaitingMedia.TryPeek(out var operation) && operation.Seq <= context.CommitSeq) _awaitingMedia.Dequeue().Answer(VolumeIoStatus.Ok);
        while (_flushes.TryPeek(out var waiter) && waiter.Seq <= context.CommitSeq) _flushes.Dequeue().Answer.TrySetResult(VolumeIoStatus.Ok);
        Release();
        if (_awaitingMedia.Count > 0 || _flushes.Count > 0) FlushLinks(Math.Max(_flushTarget, context.AckedSeq));
        else if (context.Log.Bytes >= context.Options.FlushWindowBytes) FlushLinks(context.AckedSeq);
    }

    /// <summary>Lets go of what is durable everywhere, but for a while not of what a replica that is being brought level still lacks.</summary>
    private void Release()
    {
        var keep = context.CommitSeq;
        if (context.Log.Bytes < context.Options.FlushWindowBytes)
        {
            foreach (var link in context.Links)
            {
                if (link.State == LinkState.Live && !link.MustAcknowledge) keep = Math.Min(keep, link.AckedSeq);
            }
        }

        context.Log.ReleaseTo(Math.Min(keep, context.AckedSeq));
        if (!IsWindowOpen) return;
        while (_awaitingWindow.TryDequeue(out var waiter)) waiter.TrySetResult();
    }

    private void FlushLinks(long seq)
    {
        foreach (var link in context.Links)
        {
            if (link.MustAcknowledge) link.Flush(seq);
        }
    }

    /// <summary>Bounds how long an acknowledged write stays off stable media.</summary>
    private async Task FlushAtIntervalsAsync()
    {
        try
        {
            while (context.CommitSeq < context.Log.LastSeq)
            {
                await context.Delay(context.Options.FlushInterval);
                FlushLinks(context.AckedSeq);
            }
        }
        catch (OperationCanceledException) when (context.IsStopped)
        {
        }
        finally
        {
            _flusherRuns = false;
        }
    }

    private sealed class FlushWaiter(long seq, long deadline)
    {
        public long Seq { get; } = seq;

        public long Deadline { get; } = deadline;

        public TaskCompletionSource<VolumeIoStatus> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
