using Microsoft.Extensions.Logging;
using OpenEbs.Replication.Rebuilds;
using OpenEbs.Replication.Replicas;
using OpenEbs.Storage.Store;

namespace OpenEbs.Replication.Volumes;

/// <summary>Brings one replica back: opens it, matches its log with the volume's, discards what it alone has, sends or copies what it lacks while new operations
/// already flow to it, and takes it into the in-sync set (design section 4, Rejoin and rebuild).</summary>
internal sealed partial class ReplicaRejoin(VolumeContext context, VolumeReads reads, ReplicaLink link, ILinkOwner owner)
{
    private readonly ILogger _logger = context.Logger;

    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(10);

    /// <summary>Sends operations that the coordinator no longer holds, from a source's log, until the coordinator's own follow on.</summary>
    /// <exception cref="IOException">The log no longer reaches back so far, or a replica failed.</exception>
    public static async Task ShipAsync(VolumeContext context, ReplicaLink target, long fromSeq, Action<long> onShipped)
    {
        var next = fromSeq;
        while (next < context.Log.FirstSeq)
        {
            context.Stopped.ThrowIfCancellationRequested();
            var source = context.Source(target) ?? throw new IOException("no in-sync replica is reachable to copy from");
            var read = await source.Channel.ReadLogAsync(context.Epoch, source.Incarnation, next, context.Options.MaxBatchBytes);
            source.Learn(read.Outcome);
            if (read.Outcome != ReplicaOutcome.Ok) throw new LogUnavailableException($"replica {source.Entry.Id} cannot send its log from seq {next}: {read.Reason}{read.Outcome}");
            if (read.Batch is not { } batch) return;
            using var request = new AppendRequest(context.Epoch, target.Incarnation, context.CommitSeq, batch with { EndsDoubt = batch.LastSeq >= target.LevelSeq }, flush: false) { IsReadElsewhere = context.IsReadElsewhere(target) };
            var reply = await target.Channel.AppendAsync(request.AddReference());
            if (reply.Outcome != ReplicaOutcome.Ok || reply.LastSeq < batch.LastSeq) throw new IOException($"replica {target.Entry.Id} refused operations from its source: {reply.Outcome} {reply.Reason}");

            // One that is out of sync takes nothing of the reserve, which others need to go on.
            if (target.Standing != ReplicaStanding.InSync && reply.WritableBytes <= 0) throw new IOException("its pool is full: it cannot be sent what it missed; free space on the pool or enlarge it");
            next = batch.LastSeq + 1;
            onShipped(next);
        }
    }

    /// <summary>Tries until the replica is live and in sync, or the coordinator ends. Starts again when it goes down meanwhile.</summary>
    public async Task RunAsync()
    {
        var delay = context.Options.AwayDelay;
        try
        {
            while (!context.IsStopped && !link.IsRetired && !(link.State == LinkState.Live && link.Standing == ReplicaStanding.InSync))
            {
                if (link.Channel.Obstacle is { } obstacle)
                {
                    link.GoDown(obstacle);
                    await context.Delay(delay = context.Options.AwayDelay);
                    continue;
                }

                TimeSpan? retryAfter = null;
                try
                {
                    if (link.State == LinkState.Live) link.GoDown("it has to join again");
                    if (await BringLevelAsync()) await JoinAsync();
                }
                catch (Exception e) when (e is not VolumeRecordConflictException && !context.IsStopped)
                {
                    LogRejoinFailed(link.Entry.Id, e.Message);
                    link.GoDown(e.Message);
                    retryAfter = (e as RebuildFailedException)?.RetryAfter;
                }

                if (link.State == LinkState.Live && link.Standing == ReplicaStanding.InSync) break;
                await (retryAfter is { } wait ? BackOffAsync(wait) : context.Delay(delay));
                delay = delay * 2 < context.Options.RejoinDelay ? delay * 2 : context.Options.RejoinDelay;
            }
        }
        catch (VolumeRecordConflictException e)
        {
            owner.OnFenced(e.Message);
        }
        catch (OperationCanceledException) when (context.IsStopped)
        {
        }
    }

    /// <summary>Waits before a rebuild is tried again. That its process ended and began anew meanwhile is news: what failed before need not fail again, and is tried at once. (A replica that begins
    /// anew by itself, since its store failed, is no news.)</summary>
    private async Task BackOffAsync(TimeSpan wait)
    {
        var (until, failed, wasAway) = (context.Now + context.Ticks(wait), link.Incarnation, false);
        while (context.Now < until && !link.IsRetired)
        {
            await context.Delay(wait < context.Options.RejoinDelay ? wait : context.Options.RejoinDelay);
            var incarnation = await FindIncarnationAsync();
            wasAway |= incarnation is null;
            if (!wasAway || incarnation is null || incarnation == failed) continue;
            link.Rebuild?.BeginAnew();
            return;
        }
    }

    /// <summary>The life that the replica is in; null when it does not answer.</summary>
    private async Task<Guid?> FindIncarnationAsync()
    {
        if (link.Channel.Obstacle is not null) return null;
        try
        {
            var reply = await link.Channel.OpenAsync(new OpenRequest(context.Epoch, Create: false, Opener: context.Options.Process));
            if (reply.Outcome == ReplicaOutcome.StaleEpoch) link.Learn(reply.Outcome);
            return reply.Incarnation;
        }
        catch (Exception) when (!context.IsStopped)
        {
            return null;
        }
    }

    /// <summary>True when operations flow to the replica and nothing older is missing on it.</summary>
    private async Task<bool> BringLevelAsync()
    {
        // Only a replica that the record never listed as created may start empty: an absent one that was created is lost and must be rebuilt knowingly.
        var opened = await link.Channel.OpenAsync(new OpenRequest(context.Epoch, Create: context.Keeper.Record!.Find(link.Entry.Id) is not { Created: true } || link.Standing != ReplicaStanding.InSync, link.NextStepNumber(), context.Keeper.ForReplicas, Opener: context.Options.Process));
        if (opened.Outcome == ReplicaOutcome.StaleEpoch)
        {
            owner.OnFenced($"replica {link.Entry.Id} has seen a higher epoch");
            return false;
        }

        if ((opened.Outcome == ReplicaOutcome.Lost || opened.Status is { IsDamaged: true }) && await new ReplicaDiscard(context, link, owner).TryAsync(opened)) return false;
        if (opened.Outcome != ReplicaOutcome.Ok || opened.Status is null)
        {
            link.Reason = opened.Reason.Length > 0 ? opened.Reason : $"it answered {opened.Outcome}";

            // Whether it leaves the in-sync set is for the coordinator's watch, which keeps minInSync.
            return false;
        }

        link.Incarnation = opened.Incarnation;
        link.LevelSeq = context.Faults.EndDoubtEarly ? 0 : context.Log.LastSeq;
        link.UsedBytes = opened.Status.UsedBytes;
        context.History!.LastSeq = context.Log.LastSeq;
        var match = context.History.Match(opened.Status);
        // Never above the commit point: what lies below that is in every in-sync replica for good; what an earlier rebuild took for common may have been lost since, with a power loss of all.
        var baseSeq = opened.Status.Consistency == ReplicaConsistency.Rebuilding ? Math.Min(opened.Status.RebuildBaseSeq, opened.Status.CommitSeq) : opened.Status.CommitSeq;
        var cause = opened.Status.Consistency == ReplicaConsistency.Rebuilding ? "its rebuild was cut short" : opened.Status.Last.Seq == 0 ? "it is empty" : "its log could not be matched with the volume's";
        if (match is { } seq && seq >= opened.Status.LogStart.Seq)
        {
            if (seq < opened.Status.Last.Seq) await TruncateAsync(seq);
            baseSeq = seq;
            try
            {
                var lastSeq = seq;
                await ShipAsync(context, link, seq + 1, next => lastSeq = next - 1);
                LogMatched(link.Entry.Id, seq, lastSeq);
                link.GoLive(lastSeq, 0);
                return true;
            }
            catch (LogUnavailableException e)
            {
                LogLogUnavailable(link.Entry.Id, e.Message);
                cause = "the operations that it lacks are no longer in a log";
            }
        }

        link.Rebuild ??= new ReplicaRebuild(context, reads, link, owner);
        await link.Rebuild.RunAsync(baseSeq, cause, opened.Status.WritableBytes);
        return link.State == LinkState.Live;
    }

    private async Task TruncateAsync(long seq)
    {
        var request = new RebuildRequest(context.Epoch, link.Incarnation, RebuildStep.Truncate, seq, default, link.NextStepNumber());
        var reply = await link.Channel.RebuildAsync(request);
        if (reply.Outcome != ReplicaOutcome.Ok) throw new IOException($"it could not discard what it alone has: {reply.Outcome} {reply.Reason}");
    }

    /// <summary>Takes a live replica that misses nothing into the in-sync set.</summary>
    private async Task JoinAsync()
    {
        if (link.Standing == ReplicaStanding.InSync)
        {
            // It never left the set: acknowledgements waited for it.
            owner.OnProgress();
            return;
        }

        while (context.Slow.IsHeld(link) || context.Log.LastSeq - link.AckedSeq > context.Options.MaxBatchOperations)
        {
            context.Slow.Probe(link);
            await PollAsync();
        }

        // From here on acknowledgements and the commit point need this replica too, so they cannot run ahead of it.
        link.Joining = true;
        try
        {
            var joinSeq = context.Log.LastSeq;
            while (link.AckedSeq < joinSeq) await PollAsync();
            var commitSeq = context.CommitSeq;
            while (link.DurableSeq < commitSeq)
            {
                link.Flush(commitSeq);
                await PollAsync();
            }

            link.JoinUnsettled = true;
            await SetStandingAsync(ReplicaStanding.InSync, link.Rebuild?.Progress is { } rebuilt ? $"it is rebuilt: {rebuilt.Summary}" : "it has everything again");
        }
        catch (Exception e) when (e is not VolumeRecordConflictException)
        {
            EndJoining();
            throw;
        }

        // Not so when another coordinator has taken over: the record may list the replica, so nothing that it lacks may be acknowledged any more.
        EndJoining();
        link.Rebuild?.End();
        LogJoined(link.Entry.Id);
    }

    private void EndJoining()
    {
        link.JoinUnsettled = link.Joining = false;
        owner.OnProgress();
    }

    private async Task SetStandingAsync(ReplicaStanding standing, string cause)
    {
        await context.Keeper.ChangeAsync(record => record.With(link.Entry.Id, standing, "", cause, context.UtcNow), context.Stopped);
        if (link.IsRetired || context.Keeper.Record!.Find(link.Entry.Id) is null) throw new IOException("it was removed from the volume");
        link.Standing = standing;
        owner.OnProgress();
    }

    private async Task PollAsync()
    {
        if (link.State != LinkState.Live) throw new IOException(link.Reason);
        await context.Delay(Poll);
        if (link.State != LinkState.Live) throw new IOException(link.Reason);
    }

    [LoggerMessage(2101, LogLevel.Information, "Replica {Replica} matches up to seq {Seq} and was sent operations up to {LastSeq}")]
    private partial void LogMatched(string replica, long seq, long lastSeq);

    [LoggerMessage(2102, LogLevel.Information, "Replica {Replica} cannot be caught up from a log, its blocks are copied: {Reason}")]
    private partial void LogLogUnavailable(string replica, string reason);

    [LoggerMessage(2105, LogLevel.Information, "Replica {Replica} is in sync")]
    private partial void LogJoined(string replica);

    [LoggerMessage(2106, LogLevel.Debug, "Replica {Replica} could not be brought back yet: {Reason}")]
    private partial void LogRejoinFailed(string replica, string reason);
}

/// <summary>A log does not reach back as far as a replica needs: its blocks must be copied.</summary>
internal sealed class LogUnavailableException(string message) : IOException(message);
