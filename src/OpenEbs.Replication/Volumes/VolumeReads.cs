using System.Buffers;
using System.Runtime.CompilerServices;
using System.Threading.Tasks.Sources;
using Microsoft.Extensions.Logging;
using OpenEbs.Replication.Rebuilds;
using OpenEbs.Replication.Replicas;
using OpenEbs.Storage.Store;

namespace OpenEbs.Replication.Volumes;

/// <summary>Reads blocks from in-sync replicas under the leases, asks a second replica when the first is slow, and repairs bad blocks from good ones
/// (design section 4, Lease and Reading; promises P3 and P6).</summary>
internal sealed partial class VolumeReads(VolumeContext context, VolumeLeases leases, ILinkOwner owner)
{
    private readonly ILogger _logger = context.Logger;
    private readonly List<PendingRead> _pending = [];
    private readonly ReadChoice _choice = new(context);

    public bool IsIdle => _pending.Count == 0;

    /// <summary>Reads whole blocks whose range the caller holds. Fails with TimedOut at the deadline, MediumError when no replica has a good copy, Fenced when stopped.</summary>
    public ValueTask<VolumeIoResult> ReadAsync(long block, int blockCount, IoDeadline deadline) => ReadAsync(block, blockCount, deadline, bad: 0);

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<VolumeIoResult> ReadAsync(long block, int blockCount, IoDeadline deadline, long bad)
    {
        try
        {
            return await TryReadAsync(block, blockCount, deadline, bad);
        }
        catch (OperationCanceledException) when (context.IsStopped)
        {
            return new VolumeIoResult(VolumeIoStatus.Fenced);
        }
    }

    /// <summary>Rewrites a block that is bad on one replica from another's good copy; the caller holds its range. False when there is none.</summary>
    public async ValueTask<bool> RepairAsync(ReplicaLink link, long block)
    {
        var good = await ReadAsync(block, 1, IoDeadline.Within(context.Now, context.Ticks(context.Options.ReplicaTimeout)), link.Bit);
        good.Data?.Dispose();
        return good.Status == VolumeIoStatus.Ok;
    }

    /// <summary>At most <paramref name="maxRanges"/> runs from the offset on, alternately mapped and unmapped; none when no replica could say until the deadline.</summary>
    public async ValueTask<IReadOnlyList<AllocatedByteRange>> ListAllocatedAsync(long offsetBytes, int maxRanges, IoDeadline deadline)
    {
        var sizeBytes = context.Keeper.Record!.SizeBytes;
        while (offsetBytes < sizeBytes && !deadline.HasPassed(context) && !context.IsStopped)
        {
            if (context.Source(null) is { } source)
            {
                var (block, count) = VolumeBlocks.Covering(offsetBytes, sizeBytes - offsetBytes);
                var reply = await source.Channel.ListAllocatedAsync(context.Epoch, source.Incarnation, block, count, maxRanges);
                source.Learn(reply.Outcome);
                if (reply.Outcome == ReplicaOutcome.Ok)
                    return [.. reply.Runs.Select(r => AllocatedByteRange.Of(r, offsetBytes, sizeBytes))];
            }

            await context.Delay(context.Options.RetryDelay);
        }

        return [];
    }

    /// <summary>The part that was asked for, of blocks read whole.</summary>
    public VolumeIoResult Trim(VolumeIoResult result, int skipBytes, int lengthBytes)
    {
        if (skipBytes == 0) return result;
        using var whole = result.Data!;
        var part = context.Pool.Rent(lengthBytes);
        whole.Memory.Slice(skipBytes, lengthBytes).CopyTo(part.Memory);
        return result with { Data = part };
    }

    /// <summary>Called at intervals: asks a second replica where the first is slow, and gives up calls that hang.</summary>
    public void Watch()
    {
        var now = context.Now;
        var hedge = context.Ticks(context.Options.HedgeDelay);
        for (var i = _pending.Count - 1; i >= 0; i--)
        {
            var read = _pending[i];
            if (context.IsStopped)
            {
                read.Complete(null, read.First);
            }
            else if (now - read.StartedAt > context.Ticks(context.Options.ReplicaTimeout))
            {
                read.First.GoDown("a read of it hangs");
                read.Complete(null, read.First);
            }
            else if (!read.IsHedged && now - read.StartedAt > hedge && _choice.Choose(read.Block, read.Excluded, read.First) is { } second)
            {
                read.IsHedged = true;
                ReadChoice.Note(read.First, now - read.StartedAt);
                _ = CallAsync(read, second);
            }
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<VolumeIoResult> TryReadAsync(long block, int blockCount, IoDeadline deadline, long bad)
    {
        var detail = "";
        while (!context.IsStopped && !deadline.HasPassed(context))
        {
            if (!await leases.HoldAsync()) continue;
            if (_choice.Choose(block, bad, null) is not { } link)
            {
                // Where every in-sync replica has a bad block in the range it is seldom the same one; and one that is down at the moment may have a good copy.
                if (HasAnswered(bad)) return blockCount > 1 ? await ReadSinglyAsync(block, blockCount, bad, deadline) : new VolumeIoResult(VolumeIoStatus.MediumError, Detail: detail);
                await context.Delay(context.Options.RetryDelay);
                continue;
            }

            var (answer, from) = await AskAsync(link, block, blockCount, bad);
            if (answer is not { } reply) continue;
            switch (reply.Outcome)
            {
                case ReplicaOutcome.Ok when leases.AreHeld() || context.Faults.SkipLease:
                    if (bad != 0) await RepairAsync(bad, block, blockCount, reply.Data!.Memory);
                    return new VolumeIoResult(VolumeIoStatus.Ok, reply.Data);
                case ReplicaOutcome.Ok:
                    // The leases ran out while the media was read: a successor may have written since. Ask again under new ones.
                    reply.Data!.Dispose();
                    break;
                case ReplicaOutcome.BadBlock:
                    detail = reply.Reason;
                    bad |= from.Bit;
                    break;
                case ReplicaOutcome.StaleEpoch:
                    owner.OnFenced($"replica {from.Entry.Id} has seen a higher epoch");
                    break;
                case ReplicaOutcome.Restarted or ReplicaOutcome.NotReadable or ReplicaOutcome.Failed:
                    from.GoDown(reply.Reason.Length > 0 ? reply.Reason : $"it answered a read with {reply.Outcome}");
                    break;
                default:
                    throw new InvalidOperationException($"A replica answered a read with {reply.Outcome}.");
            }
        }

        return new VolumeIoResult(context.IsStopped ? VolumeIoStatus.Fenced : VolumeIoStatus.TimedOut);
    }

    /// <summary>Reads block by block, so that each may come from another replica; then repairs the replicas in the mask.</summary>
    private async ValueTask<VolumeIoResult> ReadSinglyAsync(long block, int blockCount, long bad, IoDeadline deadline)
    {
        var whole = context.Pool.Rent(blockCount * VolumeBlocks.BlockBytes);
        for (var i = 0; i < blockCount; i++)
        {
            var one = await ReadAsync(block + i, 1, deadline);
            if (one.Status != VolumeIoStatus.Ok)
            {
                whole.Dispose();
                return one;
            }

            using (one.Data) one.Data!.Memory[..VolumeBlocks.BlockBytes].CopyTo(whole.Memory[(i * VolumeBlocks.BlockBytes)..]);
        }

        await RepairAsync(bad, block, blockCount, whole.Memory);
        return new VolumeIoResult(VolumeIoStatus.Ok, whole);
    }

    /// <summary>Whether all in-sync replicas, and those that may be in sync already, are among those in the mask, and there is at least one.</summary>
    private bool HasAnswered(long mask)
    {
        foreach (var link in context.Links)
        {
            if ((link.Standing == ReplicaStanding.InSync || link.JoinUnsettled) && (mask & link.Bit) == 0) return false;
        }

        return mask != 0;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<(ReadReply? Reply, ReplicaLink From)> AskAsync(ReplicaLink link, long block, int blockCount, long excluded)
    {
        var read = new PendingRead(link, block, blockCount, excluded, context.Now);
        _pending.Add(read);
        try
        {
            _ = CallAsync(read, link);
            return await read.AsValueTask();
        }
        finally
        {
            _pending.Remove(read);
        }
    }

    private async Task CallAsync(PendingRead read, ReplicaLink link)
    {
        var sentAt = context.Now;
        var lateBad = -1L;
        using var span = ReplicaTraces.Start("replica read", ReplicaTraces.Cause, link.Entry);
        try
        {
            var reply = await link.Channel.ReadAsync(context.Epoch, link.Incarnation, read.Block, read.BlockCount);
            link.Instruments.OnRead(sentAt);
            ReadChoice.Note(link, context.Now - sentAt);
            if (!read.Complete(reply, link) && reply.Outcome == ReplicaOutcome.BadBlock) lateBad = reply.BadBlock;
        }
        catch (Exception e)
        {
            if (!context.IsStopped && link.NoteFailure(e.Message)) await Task.Delay(context.Options.RetryDelay, context.Time, CancellationToken.None);
            read.Complete(null, link);
        }

        if (lateBad >= 0 && !context.IsStopped) await RepairLateAsync(link, lateBad);
    }

    /// <summary>A replica found a block bad when another had already answered for it: the reader is gone, the repair is due all the same.</summary>
    public async Task RepairLateAsync(ReplicaLink link, long block)
    {
        var range = context.Ranges.Enter(block, 1, RangeUse.Read);
        try
        {
            await range.GrantedAsync();
            await RepairAsync(link, block);
        }
        finally
        {
            context.Ranges.Exit(range);
        }
    }

    /// <summary>Rewrites the blocks on the replicas that had a bad one. The caller's range keeps writes away meanwhile.</summary>
    private async Task RepairAsync(long bad, long block, int blockCount, Memory<byte> data)
    {
        foreach (var link in context.Links)
        {
            if ((bad & link.Bit) == 0 || link.State != LinkState.Live) continue;
            try
            {
                // A copy of its own: the caller hands the data on while the request may still be on its way.
                var good = data[..(blockCount * VolumeBlocks.BlockBytes)].ToArray();
                var operation = new StoreOperation(OperationKind.Write, block, blockCount, good, VolumeBlocks.Checksums(good));
                await CopySteps.RepairAsync(context, link, operation);
                LogRepaired(block, blockCount, link.Entry.Id);
            }
            catch (Exception e) when (e is IOException or OperationCanceledException)
            {
                LogNotRepaired(block, blockCount, link.Entry.Id, e.Message);
            }
        }
    }

    /// <summary>One read and who was asked; the first good answer counts, any other is disposed.</summary>
    private sealed class PendingRead(ReplicaLink first, long block, int blockCount, long excluded, long startedAt) : IValueTaskSource<(ReadReply?, ReplicaLink)>
    {
        private ManualResetValueTaskSourceCore<(ReadReply?, ReplicaLink)> _answer = new() { RunContinuationsAsynchronously = false };
        private bool _completed;

        public ReplicaLink First { get; } = first;

        public long Block { get; } = block;

        public int BlockCount { get; } = blockCount;

        public long Excluded { get; } = excluded;

        public long StartedAt { get; } = startedAt;

        public bool IsHedged { get; set; }

        public ValueTask<(ReadReply? Reply, ReplicaLink From)> AsValueTask() => new(this, _answer.Version);

        /// <summary>A null reply says that the call failed. False when another had answered before.</summary>
        public bool Complete(ReadReply? reply, ReplicaLink from)
        {
            if (_completed)
            {
                reply?.Data?.Dispose();
                return false;
            }

            _completed = true;
            _answer.SetResult((reply, from));
            return true;
        }

        (ReadReply?, ReplicaLink) IValueTaskSource<(ReadReply?, ReplicaLink)>.GetResult(short token) => _answer.GetResult(token);

        ValueTaskSourceStatus IValueTaskSource<(ReadReply?, ReplicaLink)>.GetStatus(short token) => _answer.GetStatus(token);

        void IValueTaskSource<(ReadReply?, ReplicaLink)>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
            _answer.OnCompleted(continuation, state, token, flags);
    }

    [LoggerMessage(2301, LogLevel.Warning, "Blocks from {Block} on ({Count}) were bad on replica {Replica} and have been rewritten from a good copy")]
    private partial void LogRepaired(long block, int count, string replica);

    [LoggerMessage(2302, LogLevel.Warning, "Blocks from {Block} on ({Count}) are bad on replica {Replica} and could not be rewritten: {Reason}")]
    private partial void LogNotRepaired(long block, int count, string replica, string reason);
}
