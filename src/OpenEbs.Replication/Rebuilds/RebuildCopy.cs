using System.Buffers;
using System.Runtime.ExceptionServices;
using OpenEbs.Replication.Replicas;
using OpenEbs.Replication.Volumes;
using OpenEbs.Storage.Store;

namespace OpenEbs.Replication.Rebuilds;

/// <summary>Copies to a replica whatever differs from its sources, many pieces at a time: each is held exclusively from before it is compared and read until the replica has it, so that no
/// copy overtakes or undoes a write (rule 9).</summary>
internal sealed class RebuildCopy(VolumeContext context, VolumeReads reads, ReplicaLink link, RebuildProgress progress)
{
    private const int MaxPieces = 64;
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(10);

    private readonly CopySteps _steps = new(context, link);
    private TaskCompletionSource? _room;
    private ExceptionDispatchInfo? _failure;
    private long _underWayBytes;
    private int _underWay;
    private long _unflushedBytes;
    private bool _isFlushing;
    private bool _ended;

    /// <summary>Ends when the replica holds, durably, all that changed since the base; what has a seq above <paramref name="fromSeq"/> flows to it by itself.</summary>
    /// <exception cref="IOException">A replica failed, or none is in sync.</exception>
    /// <exception cref="OperationCanceledException">The replica went down.</exception>
    public async Task RunAsync(long baseSeq, long fromSeq)
    {
        try
        {
            progress.TotalBytes = await ChangedPieces.CountAsync(context, Source(), baseSeq);
            for (long block = 0; block >= 0;)
            {
                // What the sources are asked for must include every operation that does not flow to the replica by itself: also when one of them comes back while blocks are copied.
                while (context.Links.Any(l => l.Standing == ReplicaStanding.InSync && l.State == LinkState.Live && l.AckedSeq < fromSeq)) await PollAsync();
                var (pieces, next) = await ChangedPieces.ListAsync(context, Source(), link, baseSeq, block);
                foreach (var piece in pieces) await CopyInPartsAsync(piece);

                block = next;
            }

            while (_underWay > 0) await ChangeAsync();

            // The last piece may have failed before anybody waited for it.
            ThrowIfFailed();

            // Not left to the end of the rebuild, which must not take longer than other calls.
            await FlushToAsync(1);
            ThrowIfFailed();
        }
        finally
        {
            // Pieces that are still waiting for something find that they come too late.
            _ended = true;
            _steps.End();
        }
    }

    private ReplicaLink Source() => context.Source(link) ?? throw new IOException("no in-sync replica is reachable to copy from");

    /// <summary>As small as the pace wants pieces to be just now.</summary>
    private async Task CopyInPartsAsync(CopyPiece piece)
    {
        for (int done = 0, count; done < piece.BlockCount; done += count)
        {
            count = Math.Min(piece.BlockCount - done, context.Pace.PieceBytes / VolumeBlocks.BlockBytes);
            await AdmitAsync((long)count * VolumeBlocks.BlockBytes);
            Begin(piece with { Block = piece.Block + done, BlockCount = count });
        }
    }

    /// <summary>Waits until so much more may be begun: so much is under way, and so much not durable, and no more; and so much a second.</summary>
    private async Task AdmitAsync(long bytes)
    {
        ThrowIfFailed();
        while (_underWay > 0 && (_underWay >= MaxPieces || _underWayBytes + bytes > context.Pace.WindowBytes)) await ChangeAsync();
        await FlushToAsync(2 * context.Options.FlushWindowBytes);
        if (context.Pace.Admit(bytes, out var isQuiet) is var wait && wait <= TimeSpan.Zero) return;
        while (isQuiet && _underWay > 0) await ChangeAsync();
        await context.Delay(wait + TimeSpan.FromMilliseconds(1));
        ThrowIfFailed();
    }

    private void ThrowIfFailed()
    {
        _failure?.Throw();
        if (link.State != LinkState.Live) throw new IOException(link.Reason);
    }

    /// <summary>Until a piece has ended or a flush; or the link is down, while pieces wait for writes that do not end.</summary>
    private async Task ChangeAsync()
    {
        ThrowIfFailed();

        // Continues within whoever completes it, which does nothing more: through WhenAny it would else leave this scheduling context.
        _room = new TaskCompletionSource();
        await Task.WhenAny(_room.Task, Task.Delay(context.Options.ReplicaTimeout / 4, context.Time, CancellationToken.None));
        context.Stopped.ThrowIfCancellationRequested();
        ThrowIfFailed();
    }

    private void Begin(CopyPiece piece)
    {
        if (_underWay++ == 0) context.Pace.BeginCopying();
        _underWayBytes += (long)piece.BlockCount * VolumeBlocks.BlockBytes;
        _ = CopyAsync(piece);
    }

    private async Task CopyAsync(CopyPiece piece)
    {
        var range = context.Ranges.Enter(piece.Block, piece.BlockCount, RangeUse.Exclusive);
        try
        {
            await range.GrantedAsync();
            await CopyHeldAsync(piece);
        }
        catch (Exception e)
        {
            _failure ??= ExceptionDispatchInfo.Capture(e);
        }
        finally
        {
            context.Ranges.Exit(range);
            if (--_underWay == 0) context.Pace.EndCopying();
            _underWayBytes -= (long)piece.BlockCount * VolumeBlocks.BlockBytes;
            if (_unflushedBytes >= context.Options.FlushWindowBytes && !_isFlushing && !_ended) _ = FlushAsync();
            _room?.TrySetResult();
        }
    }

    /// <summary>Held exclusively the blocks have no write in flight: what is read is acknowledged, and whatever is written later follows the copy on the way to the replica.</summary>
    private async Task CopyHeldAsync(CopyPiece piece)
    {
        var owners = new List<IMemoryOwner<byte>>();
        try
        {
            ThrowIfEnded();
            var equal = piece.MayHold ? await CompareAsync(piece) : null;
            var source = Source();
            progress.ReadFrom(source);
            var allocated = await source.Channel.ListAllocatedAsync(context.Epoch, source.Incarnation, piece.Block, piece.BlockCount, piece.BlockCount);
            source.Learn(allocated.Outcome);
            if (allocated.Outcome != ReplicaOutcome.Ok) throw new IOException($"replica {source.Entry.Id} could not list its blocks: {allocated.Outcome} {allocated.Reason}");
            var operations = new List<StoreOperation>();
            foreach (var run in allocated.Runs)
            {
                if (!run.Mapped) operations.Add(new StoreOperation(OperationKind.Unmap, run.Block, run.BlockCount, default, default));
                else await ReadAsync(piece, run, equal, operations, owners);
            }

            ThrowIfEnded();
            var (sent, bytes) = (_steps.SendAsync(operations, [.. owners]), operations.Sum(operation => (long)operation.Data.Length));
            owners.Clear();
            await sent;
            _unflushedBytes += bytes;
            progress.Count(operations);
        }
        finally
        {
            foreach (var owner in owners) owner.Dispose();
        }
    }

    /// <summary>Adds what is to be done with a run of mapped blocks: those that are equal count as copied, the others are read.</summary>
    private async Task ReadAsync(CopyPiece piece, AllocatedRun run, bool[]? equal, List<StoreOperation> operations, List<IMemoryOwner<byte>> owners)
    {
        for (long block = run.Block, end = run.Block + run.BlockCount; block < end;)
        {
            var isEqual = IsEqual(block);
            var count = 1;
            while (block + count < end && IsEqual(block + count) == isEqual) count++;
            if (isEqual) operations.Add(new StoreOperation(OperationKind.Mark, block, count, default, default));
            else operations.Add(await ReadAsync(block, count, owners));
            block += count;
        }

        bool IsEqual(long block) => equal is not null && equal[block - piece.Block];
    }

    private async Task<StoreOperation> ReadAsync(long block, int blockCount, List<IMemoryOwner<byte>> owners)
    {
        // Not from one source alone: where that has a bad block, another in-sync replica answers, and the bad one is repaired.
        var deadline = IoDeadline.Within(context.Now, context.Ticks(context.Options.ReplicaTimeout * 2));
        var read = await reads.ReadAsync(block, blockCount, deadline);
        if (read.Status != VolumeIoStatus.Ok) throw new IOException($"no in-sync replica could read blocks from {block} on: {read.Status} {read.Detail}");
        owners.Add(read.Data!);
        var data = read.Data!.Memory[..(blockCount * VolumeBlocks.BlockBytes)];
        return new StoreOperation(OperationKind.Write, block, blockCount, data, VolumeBlocks.Checksums(data.Span));
    }

    /// <summary>Which blocks hold on the replica what they hold on the source; null when one of them cannot say. That operations may be on their way to the replica does no harm: a block that
    /// they change will be as they leave it, which is how the source has it already.</summary>
    private async Task<bool[]?> CompareAsync(CopyPiece piece)
    {
        var source = Source();
        var asked = (Theirs: AskAsync(source, piece), Own: AskAsync(link, piece));
        var (theirs, own) = (await asked.Theirs, await asked.Own);
        if (theirs is null || own is null) return null;
        var equal = new bool[piece.BlockCount];
        for (var i = 0; i < equal.Length; i++) equal[i] = BlockDigests.AreEqual(theirs, own, i);
        progress.ComparedBytes += (long)piece.BlockCount * VolumeBlocks.BlockBytes;
        return equal;
    }

    private async Task<byte[]?> AskAsync(ReplicaLink replica, CopyPiece piece)
    {
        try
        {
            var reply = await replica.Channel.DigestAsync(context.Epoch, replica.Incarnation, piece.Block, piece.BlockCount);
            replica.Learn(reply.Outcome);
            return reply.Outcome == ReplicaOutcome.Ok && reply.Digests.Length == piece.BlockCount * BlockDigests.DigestBytes ? reply.Digests : null;
        }
        catch (Exception e) when (!context.IsStopped)
        {
            // What cannot be compared is copied; whether the replica answers at all shows then.
            replica.NoteFailure(e.Message);
            return null;
        }
    }

    /// <summary>Waits until less than so much has yet to be made durable.</summary>
    private async Task FlushToAsync(long bytes)
    {
        while (_unflushedBytes >= bytes)
        {
            if (!_isFlushing) _ = FlushAsync();
            await ChangeAsync();
        }
    }

    /// <summary>Keeps what the replica has yet to make durable small: nothing else asks it to flush until it is in sync.</summary>
    private async Task FlushAsync()
    {
        _isFlushing = true;
        var bytes = _unflushedBytes;
        try
        {
            var sentAt = context.Now;
            var reply = await link.Channel.FlushAsync(context.Epoch, link.Incarnation, context.CommitSeq, flush: true);
            if (!_ended && link.State == LinkState.Live && link.Accept(reply, sentAt)) _unflushedBytes -= bytes;
        }
        catch (Exception e)
        {
            // Tried again until it has been failing for too long; then the link is down, which ends the rebuild.
            if (!_ended && link.NoteFailure(e.Message)) await Task.Delay(context.Options.RetryDelay, context.Time, CancellationToken.None);
        }
        finally
        {
            _isFlushing = false;
            _room?.TrySetResult();
        }
    }

    private void ThrowIfEnded()
    {
        _failure?.Throw();
        if (_ended || link.State != LinkState.Live) throw new OperationCanceledException("The rebuild has ended.");
    }

    private async Task PollAsync()
    {
        ThrowIfFailed();
        await context.Delay(Poll);
        ThrowIfFailed();
    }
}
