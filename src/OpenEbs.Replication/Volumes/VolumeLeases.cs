using OpenEbs.Replication.Replicas;

namespace OpenEbs.Replication.Volumes;

/// <summary>Entitles the coordinator to serve reads (design section 4, Lease; promise P3): with a lease of every in-sync replica or, for those that cannot be asked, because the volume's
/// record has borne this coordinator's epoch so recently that no successor can have acknowledged anything yet.</summary>
/// <remarks>A successor first raises the epoch in the record. Then it fences every in-sync replica, after which none of them answers this coordinator; or it waits for a lease period from the
/// last one that it fenced, and so from the time when it raised the epoch. A coordinator that saw its own epoch in the record at some time may therefore go by what any in-sync replica answers
/// it within a lease period from then. That is what lets reads go on while an in-sync replica is away that may not leave the set, since too few others are left.</remarks>
internal sealed class VolumeLeases(VolumeContext context, ILinkOwner owner)
{
    private Task? _confirmation;
    private long _recordUntil;

    public bool AreHeld()
    {
        var now = context.Now;
        if (_recordUntil > now) return true;
        foreach (var link in context.Links)
        {
            if (IsNeeded(link) && link.LeaseUntil <= now) return false;
        }

        return true;
    }

    /// <summary>Renews what has run out, or will soon. False, after a while, when not all could be had.</summary>
    public async ValueTask<bool> HoldAsync()
    {
        if (context.Faults.SkipLease) return true;
        var now = context.Now;
        var soon = now + (context.Ticks(context.Options.LeaseDuration) / 2);
        List<Task>? renewals = null;
        foreach (var link in context.Links)
        {
            if (!IsNeeded(link) || link.LeaseUntil > soon) continue;
            var renewal = link.State == LinkState.Live ? link.RenewLeaseAsync() : _recordUntil <= soon ? ConfirmRecordAsync() : Task.CompletedTask;
            if (link.LeaseUntil <= now && _recordUntil <= now) (renewals ??= []).Add(renewal);
        }

        if (renewals is null) return true;

        // A renewal may hang; the watch then takes the replica down. (No token: a cancelled delay would complete the WhenAny on the thread pool, outside this scheduling context.)
        await Task.WhenAny(Task.WhenAll(renewals), Task.Delay(context.Options.WatchInterval, context.Time, CancellationToken.None));
        if (AreHeld()) return true;

        // A replica that does not answer in good time is not waited for either.
        await Task.WhenAny(ConfirmRecordAsync(), Task.Delay(context.Options.WatchInterval, context.Time, CancellationToken.None));
        if (AreHeld()) return true;
        await context.Delay(context.Options.RetryDelay);
        return false;
    }

    /// <summary>Waits until it is certain that no other coordinator had acknowledged anything by <paramref name="askedAt"/>. One that had would have fenced each in-sync replica, or waited for
    /// the lease of those that it fenced: so an answer to a request sent since then is enough, while the leases of all hold.</summary>
    public async ValueTask<VolumeIoStatus> ConfirmAsync(long askedAt, IoDeadline deadline)
    {
        for (var tries = 0; !context.IsStopped; tries++)
        {
            if (AreHeld() && Array.Exists(context.Links, l => l.Standing == ReplicaStanding.InSync && l.State == LinkState.Live && l.ConfirmedAt >= askedAt)) return VolumeIoStatus.Ok;
            if (deadline.HasPassed(context)) return VolumeIoStatus.TimedOut;
            var renewals = Task.WhenAll(context.Links.Where(l => l.MustAcknowledge && l.State == LinkState.Live).Select(l => l.RenewLeaseAsync()));
            await Task.WhenAny(renewals, Task.Delay(context.Options.WatchInterval, context.Time, CancellationToken.None));
            if (!AreHeld()) _ = ConfirmRecordAsync();

            // A renewal that was under way when this was asked says nothing of it: the next one does.
            if (tries > 0 || !AreHeld()) await Task.Delay(context.Options.RetryDelay, context.Time, CancellationToken.None);
        }

        return VolumeIoStatus.Fenced;
    }

    /// <summary>In sync by the record, or perhaps so.</summary>
    private static bool IsNeeded(ReplicaLink link) => link.Standing == ReplicaStanding.InSync || link.JoinUnsettled;

    /// <summary>Reads the record; concurrent callers share one reading.</summary>
    private Task ConfirmRecordAsync() => _confirmation is { IsCompleted: false } running ? running : _confirmation = ReadRecordAsync();

    private async Task ReadRecordAsync()
    {
        var askedAt = context.Now;
        try
        {
            await context.Keeper.ConfirmAsync();
            if (!context.IsStopped) _recordUntil = context.Faults.BelieveRecordForever ? long.MaxValue : askedAt + context.Ticks(context.Options.LeaseDuration);
        }
        catch (VolumeRecordConflictException e)
        {
            owner.OnFenced(e.Message);
        }
        catch (Exception) when (!context.IsStopped)
        {
            // The keeper tells people why; nothing is known of the record, so nothing is gained.
            await Task.Delay(context.Options.RetryDelay, context.Time, CancellationToken.None);
        }
    }
}
