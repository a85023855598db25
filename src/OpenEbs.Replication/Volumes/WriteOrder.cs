using System.Buffers;
using OpenEbs.Replication.Replicas;
using OpenEbs.Storage;
using OpenEbs.Storage.Store;

namespace OpenEbs.Replication.Volumes;

/// <summary>The volume's one order of operations: gives them their place in it, hands them to the links, and answers when all in-sync replicas have them, or have them on stable media
/// (design section 4, Writing and Write cache; promises P1, P2).</summary>
internal sealed class WriteOrder(VolumeContext context, Action watch)
{
    /// <summary>What a write occupies in a log beside its data: at worst a record header of its own.</summary>
    private const int OperationOverheadBytes = VolumeBlocks.BlockBytes;

    private readonly Queue<PendingOperation> _awaitingMedia = new();
    private readonly Queue<FlushWaiter> _flushes = new();
    private readonly Queue<FlushWaiter> _awaitingWindow = new();
    private long _unackedBytes;
    private long _flushTarget;
    private bool _flusherRuns;

    /// <summary>Room on the fullest pool when a write was last refused; -1 when there has been enough since.</summary>
    private long _refusedAtBytes = -1;

    public bool IsIdle => context.AckedSeq >= context.Log.LastSeq && _awaitingMedia.Count == 0 && _flushes.Count == 0 && _awaitingWindow.Count == 0;

    /// <summary>An operation that changes no block.</summary>
    public void Mark(IoDeadline deadline) => Submit(new StoreOperation(OperationKind.Mark, 0, 0, default, default), null, false, null, deadline).Answer(VolumeIoStatus.Ok);

    public async ValueTask<VolumeIoStatus> FlushAsync(IoDeadline deadline)
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
        if (context.AckedSeq < acked) context.Pace.OnClientIo(context.Log[acked].Deadline.StartedAt);
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
        for (var seq = context.AckedSeq + 1; seq <= context.Log.LastSeq && context.Log[seq].Deadline.HasPassed(context); seq++) context.Log[seq].Answer(VolumeIoStatus.TimedOut);
        foreach (var operation in _awaitingMedia)
        {
            if (operation.Deadline.HasPassed(context)) operation.Answer(VolumeIoStatus.TimedOut);
        }

        foreach (var waiter in _flushes)
        {
            if (waiter.Deadline.HasPassed(context)) waiter.Answer.TrySetResult(VolumeIoStatus.TimedOut);
        }

        // They look for themselves whether they may go on.
        if (_awaitingWindow.Count > 0 && _awaitingWindow.Peek().Deadline.HasPassed(context)) ReleaseWindow();

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
        ReleaseWindow();
        context.Log.ReleaseTo(context.Log.LastSeq);
    }

    /// <summary>Whether the data that waits for stable media is within its bound.</summary>
    public bool IsWindowOpen => context.Log.Bytes < 2 * context.Options.FlushWindowBytes;

    /// <summary>Whether every in-sync replica has room for so many bytes and for what is on its way to it.</summary>
    public bool HasRoom(long bytes)
    {
        if (context.Faults.StayFull && _refusedAtBytes >= 0) return false;
        foreach (var link in context.Links)
        {
            if (link.MustAcknowledge && link.WritableBytes - _unackedBytes < bytes + OperationOverheadBytes) return false;
        }

        return true;
    }

    /// <summary>Waits for the window of unflushed data to open; refuses what a pool has no room for, before it has a place in the order (promise P8).</summary>
    public async ValueTask<VolumeIoStatus> AdmitAsync(long bytes, IoDeadline deadline)
    {
        while (!IsWindowOpen && !context.IsStopped)
        {
            FlushLinks(context.AckedSeq);
            var waiter = new FlushWaiter(0, deadline);
            _awaitingWindow.Enqueue(waiter);
            watch();
            await waiter.Answer.Task;
            if (deadline.HasPassed(context)) return VolumeIoStatus.TimedOut;
        }

        if (!HasRoom(bytes) && !context.IsStopped && await FindRoomAsync(bytes, deadline) is var refused && refused != VolumeIoStatus.Ok) return refused;
        return context.IsStopped ? VolumeIoStatus.Fenced : VolumeIoStatus.Ok;
    }

    /// <summary>Takes over <paramref name="owner"/> and <paramref name="range"/>.</summary>
    public PendingOperation SubmitData(long block, ReadOnlyMemory<byte> data, IMemoryOwner<byte> owner, bool forceUnitAccess, RangeLock? range, IoDeadline deadline)
    {
        var checksums = VolumeBlocks.Checksums(data.Span);
        return Submit(new StoreOperation(OperationKind.Write, block, checksums.Length, data, checksums), owner, forceUnitAccess, range, deadline);
    }

    /// <summary>Takes over <paramref name="owner"/> and <paramref name="range"/>.</summary>
    public PendingOperation Submit(StoreOperation stored, IMemoryOwner<byte>? owner, bool forceUnitAccess, RangeLock? range, IoDeadline deadline)
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

    /// <summary>Asks again how much room there is: the figures may be old; and waits a while for dead space to be given back, which needs what was written before to be durable everywhere.
    /// While an in-sync replica does not answer nobody knows: then the write waits as any other.</summary>
    private async ValueTask<VolumeIoStatus> FindRoomAsync(long bytes, IoDeadline deadline)
    {
        var options = context.Options;
        var askedAt = context.Now;
        var patience = askedAt + context.Ticks(options.ReclaimPatience);
        while (!context.IsStopped)
        {
            FlushLinks(context.AckedSeq);
            await Task.WhenAny(
                Task.WhenAll(context.Links.Where(l => l.MustAcknowledge && l.State == LinkState.Live).Select(l => l.RenewLeaseAsync())),
                Task.Delay(options.ReplicaTimeout, context.Time, CancellationToken.None));
            if (HasRoom(bytes))
            {
                _refusedAtBytes = -1;
                return VolumeIoStatus.Ok;
            }

            var (now, writable, isKnown) = (context.Now, long.MaxValue, true);
            foreach (var link in context.Links.Where(l => l.MustAcknowledge))
            {
                writable = Math.Min(writable, link.WritableBytes);
                isKnown &= link.ConfirmedAt >= askedAt;
            }

            if (isKnown && (now >= patience || writable == _refusedAtBytes))
            {
                _refusedAtBytes = writable;
                return VolumeIoStatus.NoSpace;
            }

            if (deadline.HasPassed(context)) return VolumeIoStatus.TimedOut;
            await Task.Delay(options.RetryDelay * 2, context.Time, CancellationToken.None);
        }

        return VolumeIoStatus.Fenced;
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
        ReleaseWindow();
    }

    private void ReleaseWindow()
    {
        while (_awaitingWindow.TryDequeue(out var waiter)) waiter.Answer.TrySetResult(VolumeIoStatus.Ok);
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

    private sealed class FlushWaiter(long seq, IoDeadline deadline)
    {
        public long Seq { get; } = seq;

        public IoDeadline Deadline { get; } = deadline;

        public TaskCompletionSource<VolumeIoStatus> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
