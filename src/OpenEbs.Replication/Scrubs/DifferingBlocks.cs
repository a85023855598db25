using System.Buffers;
using Microsoft.Extensions.Logging;
using OpenEbs.Replication.Replicas;
using OpenEbs.Replication.Volumes;
using OpenEbs.Storage.Store;

namespace OpenEbs.Replication.Scrubs;

/// <summary>Makes blocks the same on all replicas that differ though every checksum is right: decides which copy is right (<see cref="BlockChoice"/>), and writes that as an operation of the volume like any
/// other, so that every replica, also one that is away now, gets it in its place in the order.</summary>
internal sealed partial class DifferingBlocks(VolumeContext context, WriteOrder order)
{
    private readonly ILogger _logger = context.Logger;

    /// <summary>How many blocks were made equal; null when that was not possible, since some replica of the volume is out of sync or did not say what it has: of
    /// fewer than there are another one may seem right.</summary>
    public async Task<int?> SettleAsync(long block, int blockCount)
    {
        if (context.Faults.LeaveDifferences) return null;
        RangeLock? range = context.Ranges.Enter(block, blockCount, RangeUse.Exclusive);
        var right = new List<(long Block, IMemoryOwner<byte>? Data)>();
        try
        {
            await range.GrantedAsync();
            if (context.IsStopped || await DescribeAsync(block, blockCount) is not { Count: > 1 } described) return null;
            var deadline = IoDeadline.Within(context.Now, context.Ticks(context.Keeper.Record!.IoTimeout));
            var told = new List<string>();
            for (var i = 0; i < blockCount; i++)
            {
                var copies = described.ConvertAll(d => new BlockCopy(d.Reply.Digests.AsMemory(i * BlockDigests.DigestBytes, BlockDigests.DigestBytes), d.Reply.Seqs[i]));
                if (copies.TrueForAll(copy => copy.Digest.Span.SequenceEqual(copies[0].Digest.Span))) continue;
                var (index, rule) = BlockChoice.Choose(copies);
                var read = await ReadAsync(described[index].Link, block + i, copies[index].Digest, deadline);
                if (!read.IsRead) return null;
                right.Add((block + i, read.Data));
                var wrong = described.Where((_, other) => !copies[other].Digest.Span.SequenceEqual(copies[index].Digest.Span)).Select(d => d.Link.Entry.Id);
                told.Add($"block {block + i} of {string.Join(", ", wrong)} is made what {described[index].Link.Entry.Id} has ({rule})");
            }

            if (right.Count == 0) return 0;
            if (context.IsStopped) return null;
            var count = right.Count;
            foreach (var what in told) LogSettled(what);
            var last = Submit(right, range, deadline);
            range = null;
            right.Clear();
            if ((await last.AsValueTask()).Status != VolumeIoStatus.Ok) return null;
            await TellAsync(count, told);
            return count;
        }
        finally
        {
            if (range is not null) context.Ranges.Exit(range);
            foreach (var (_, data) in right) data?.Dispose();
        }
    }

    private PendingOperation Submit(List<(long Block, IMemoryOwner<byte>? Data)> right, RangeLock range, IoDeadline deadline)
    {
        PendingOperation? last = null;
        for (var i = 0; i < right.Count; i++)
        {
            var (block, data) = right[i];
            var held = i == right.Count - 1 ? range : null;
            last = data is not null
                ? order.SubmitData(block, data.Memory[..VolumeBlocks.BlockBytes], data, forceUnitAccess: false, held, deadline)
                : order.Submit(new StoreOperation(OperationKind.Unmap, block, 1, default, default), null, forceUnitAccess: false, held, deadline);
        }

        // Operations are acknowledged in order of seq: the last one answers for all.
        return last!;
    }

    /// <summary>What all replicas hold there, first that from which the volume is read; null when one did not say.</summary>
    private async Task<List<(ReplicaLink Link, BlocksReply Reply)>?> DescribeAsync(long block, int blockCount)
    {
        if (!AreAllCurrent()) return null;
        var first = context.Source(null);
        var links = context.Links.Where(context.IsCurrent).OrderByDescending(link => link == first).ToList();
        var asked = Task.WhenAll(links.Select(AskAsync));
        await Task.WhenAny(asked, Task.Delay(context.Options.ReplicaTimeout, context.Time, CancellationToken.None));
        if (!asked.IsCompleted) return null;
        var replies = await asked;
        return Array.TrueForAll(replies, reply => reply is { Outcome: ReplicaOutcome.Ok }) && AreAllCurrent() ? [.. links.Zip(replies, (link, reply) => (link, reply!))] : null;

        // One that is away for the moment may have the vote that decides.
        bool AreAllCurrent() => Array.TrueForAll(context.Links, context.IsCurrent);

        async Task<BlocksReply?> AskAsync(ReplicaLink link)
        {
            try
            {
                var reply = await link.Channel.DescribeBlocksAsync(context.Epoch, link.Incarnation, block, blockCount);
                if (!context.IsStopped) link.Learn(reply.Outcome);
                return reply;
            }
            catch (Exception e) when (e is not OutOfMemoryException)
            {
                if (!context.IsStopped) link.NoteFailure(e.Message);
                return null;
            }
        }
    }

    /// <summary>The block from the replica that has it right; no data for one that reads as zeros. False when it could not be had as it was a moment ago, or there is no room for it.</summary>
    private async Task<(bool IsRead, IMemoryOwner<byte>? Data)> ReadAsync(ReplicaLink link, long block, ReadOnlyMemory<byte> digest, IoDeadline deadline)
    {
        if (!digest.Span.ContainsAnyExcept((byte)0)) return (true, null);
        if (await order.AdmitAsync(VolumeBlocks.BlockBytes, deadline) != VolumeIoStatus.Ok) return default;
        ReadReply reply;
        try
        {
            reply = await link.Channel.ReadAsync(context.Epoch, link.Incarnation, block, 1);
        }
        catch (Exception e) when (!context.IsStopped)
        {
            link.NoteFailure(e.Message);
            return default;
        }

        if (reply.Outcome == ReplicaOutcome.Ok && BlockDigests.Of(reply.Data!.Memory.Span[..VolumeBlocks.BlockBytes]).AsSpan().SequenceEqual(digest.Span)) return (true, reply.Data);
        reply.Data?.Dispose();
        return default;
    }

    private async Task TellAsync(int count, List<string> told) => await context.Keeper.ChangeAsync(
        record => record.Tell(new VolumeEvent(
            context.UtcNow, VolumeEventKind.ReplicasDiffer, "", "", $"{string.Join("; ", told.Take(4))}{(count > 4 ? $"; and {count - 4} more" : "")}", "found by a scrub; every checksum was right")),
        context.Stopped);

    [LoggerMessage(2611, LogLevel.Error, "Replicas differ though every checksum is right: {What}")]
    private partial void LogSettled(string what);
}
