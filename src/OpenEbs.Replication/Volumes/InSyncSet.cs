using Microsoft.Extensions.Logging;
using OpenEbs.Replication.Replicas;

namespace OpenEbs.Replication.Volumes;

/// <summary>Which replicas acknowledgements rest on: takes out those that stay away, and brings back those that return.</summary>
internal sealed partial class InSyncSet(VolumeContext context, VolumeReads reads, ILinkOwner owner)
{
    private const int BeatsUntilQuiet = 10;
    private const int QuietBeats = 5;
    private readonly ILogger _logger = context.Logger;
    private VolumeRecord? _told;

    /// <summary>Brings a replica back, for as long as it takes.</summary>
    public async Task RejoinAsync(ReplicaLink link)
    {
        if (link.Rejoining || link.IsRetired) return;
        link.Rejoining = true;
        try
        {
            await new ReplicaRejoin(context, reads, link, owner).RunAsync();
        }
        catch (Exception e) when (!context.IsStopped)
        {
            LogRejoinEnded(link.Entry.Id, e);
        }
        finally
        {
            link.Rejoining = false;
        }

        if (!context.IsStopped && !link.IsRetired && (link.State == LinkState.Down || link.Standing != ReplicaStanding.InSync)) _ = RejoinAsync(link);
    }

    /// <summary>Asks every live replica what it occupies. Opening again at the same epoch changes nothing.</summary>
    public async ValueTask RefreshUsageAsync()
    {
        var asked = Task.WhenAll(context.Links.Where(l => l.State == LinkState.Live).Select(AskUsageAsync));
        await Task.WhenAny(asked, Task.Delay(context.Options.FailureGrace, context.Time, CancellationToken.None));
    }

    /// <summary>Calls every live replica now and then: with no I/O under way nothing else would find out that one is gone, nor tell them how far the commit point has come, up to which
    /// they may free space. Those of a volume that has not been written to for a while are called less often; what is known of them without asking is looked at as before.</summary>
    public async Task BeatAsync()
    {
        try
        {
            var (quiet, lastSeq) = (0, 0L);
            while (true)
            {
                await context.Delay(context.Options.HeartbeatInterval);
                (quiet, lastSeq) = (context.Log.LastSeq == lastSeq ? quiet + 1 : 0, context.Log.LastSeq);
                Watch(opened: true);
                _ = SharedUnit.WitnessAsync(context);
                if (_told != context.Keeper.Record)
                {
                    // The record changed: replicas keep a copy.
                    _told = context.Keeper.Record;
                    _ = RefreshUsageAsync().AsTask();
                }

                foreach (var link in context.Links)
                {
                    if (link.State != LinkState.Live) continue;
                    if (quiet < BeatsUntilQuiet || quiet % QuietBeats == 0) _ = link.RenewLeaseAsync();
                    else if (link.Channel.Obstacle is { } obstacle) link.GoDown(obstacle);
                }
            }
        }
        catch (OperationCanceledException) when (context.IsStopped)
        {
        }
    }

    /// <summary>Called at intervals: gives up calls that hang, and drops replicas that stay away.</summary>
    public void Watch(bool opened)
    {
        var now = context.Now;
        var options = context.Options;
        foreach (var link in context.Links)
        {
            if (Overdue(link.InFlightSince, options.ReplicaTimeout) || Overdue(link.RenewalSince, options.ReplicaTimeout)) link.GoDown($"it has not answered for {options.ReplicaTimeout.TotalSeconds:0.#} s");
            else if (Overdue(link.FlushSince, options.FlushTimeout)) link.GoDown($"a flush of it takes longer than {options.FlushTimeout.TotalSeconds:0.#} s");
        }

        if (!opened) return;
        if (context.Slow.Watch())
        {
            foreach (var link in context.Links)
            {
                if (!link.Dropping && context.Slow.IsTooSlow(link)) _ = DropAsync(link, SlowReplicas.SetAsideBecause + link.Times.Slowness);
            }
        }

        foreach (var link in context.Links)
        {
            if (link.Standing != ReplicaStanding.InSync || link.Dropping || (link.State != LinkState.Down && !link.IsLeaving) || !MayLeave(link)) continue;

            // Grace is for one that may answer again in a moment; a process that has ended, or is about to, takes longer than writes should wait.
            if (Overdue(link.DownSince, options.FailureGrace) || link.Channel.Obstacle is not null || link.IsLeaving) _ = DropAsync(link, link.Reason);
        }

        bool Overdue(long since, TimeSpan limit) => since != 0 && now - since > context.Ticks(limit);
    }

    /// <summary>The process of a replica is about to end in order: lets go of it while it still answers, so that nothing has to wait for it. When the volume cannot do without it now, as soon as
    /// it can.</summary>
    /// <returns>Whether nothing rests on it any more.</returns>
    public async Task<bool> LetGoAsync(ReplicaLink link)
    {
        link.LeavingIncarnation = link.Incarnation;
        if (link is { Standing: not ReplicaStanding.InSync, JoinUnsettled: false })
        {
            link.GoDown(ReplicaSession.LeavingReason);
            return true;
        }

        link.Reason = ReplicaSession.LeavingReason;
        if (!link.Dropping && MayLeave(link)) await DropAsync(link, link.Reason);
        return link.Standing != ReplicaStanding.InSync;
    }

    private async Task AskUsageAsync(ReplicaLink link)
    {
        var incarnation = link.Incarnation;
        try
        {
            var reply = await link.Channel.OpenAsync(new OpenRequest(context.Epoch, Create: false, Record: context.Keeper.ForReplicas, Opener: context.Options.Process));
            if (incarnation != link.Incarnation) return;
            if (reply.Status is { } status && reply.Incarnation == incarnation) link.UsedBytes = status.UsedBytes;
            else link.Learn(reply.Outcome == ReplicaOutcome.Ok ? ReplicaOutcome.Restarted : reply.Outcome);
        }
        catch (Exception e) when (!context.IsStopped)
        {
            link.NoteFailure(e.Message);
        }
    }

    /// <summary>While too few others are live, the record stays as it is and I/O waits: whichever replica returns first has everything acknowledged.</summary>
    private bool MayLeave(ReplicaLink link) => ((link.State == LinkState.Down || link.IsLeaving) && context.CanDoWithout(link)) || context.Slow.IsTooSlow(link);

    /// <summary>Takes a replica that cannot be reached, or is too slow, out of the in-sync set: in the record first, then for acknowledgements (promise P1).</summary>
    private async Task DropAsync(ReplicaLink link, string reason)
    {
        var isSlow = context.Slow.IsTooSlow(link);
        link.Dropping = true;
        try
        {
            // Asked again before every attempt: while the record could not be written the replica may have returned, and the others may have gone.
            if (!context.Faults.DropWithoutRecord)
            {
                await context.Keeper.ChangeAsync(record => MayLeave(link) ? record.With(link.Entry.Id, ReplicaStanding.Faulted, reason, reason, context.UtcNow) : record, context.Stopped);
                if (context.Keeper.Record!.Find(link.Entry.Id)?.Standing == ReplicaStanding.InSync) return;
            }

            LogDropped(link.Entry.Id, reason);
            if (isSlow) context.Slow.SetAside(link);
            link.Standing = ReplicaStanding.Faulted;

            // It may have come back while the record was written: it has to join again.
            link.GoDown(reason);
            owner.OnProgress();
        }
        catch (VolumeRecordConflictException e)
        {
            owner.OnFenced(e.Message);
        }
        catch (OperationCanceledException) when (context.IsStopped)
        {
        }
        finally
        {
            link.Dropping = false;
        }
    }

    [LoggerMessage(2404, LogLevel.Warning, "Replica {Replica} is out of the in-sync set: {Reason}")]
    private partial void LogDropped(string replica, string reason);

    [LoggerMessage(2406, LogLevel.Error, "Bringing replica {Replica} back ended unexpectedly")]
    private partial void LogRejoinEnded(string replica, Exception exception);
}
