using Microsoft.Extensions.Logging;
using OpenEbs.Replication.Replicas;

namespace OpenEbs.Replication.Volumes;

/// <summary>Has a replica's damaged store deleted, so that it can be rebuilt from nothing; but only while others have everything (promise P6: what is bad is answered from a good copy, and made good again).</summary>
internal sealed partial class ReplicaDiscard(VolumeContext context, ReplicaLink link, ILinkOwner owner)
{
    private readonly ILogger _logger = context.Logger;

    /// <param name="opened">What the replica answered to being opened.</param>
    /// <returns>False when the replica must be taken as it is: nobody else has everything that it may have.</returns>
    public async Task<bool> TryAsync(OpenReply opened)
    {
        var isLost = opened.Outcome == ReplicaOutcome.Lost;
        link.Reason = isLost ? opened.Reason : "its store is damaged";
        if (!(isLost ? context.Source(link) is not null : context.CanDoWithout(link))) return false;
        if (link.Standing == ReplicaStanding.InSync)
        {
            // It has to leave the in-sync set first, and does when it has been down for a moment; unless too few would be left. Those could not go on either, for the writes that wait for it
            // hold the ranges that a rebuild needs: whoever opens the volume anew need not wait for what is lost.
            if (isLost && !context.CanDoWithout(link)) owner.OnFenced($"replica {link.Entry.Id} is lost ({opened.Reason}); the volume is opened anew without it");
            return true;
        }

        if (isLost && context.Keeper.Record!.Find(link.Entry.Id) is { Created: false }) return false;
        LogDiscarding(link.Entry.Id, link.Reason);
        var reason = link.Reason;
        await context.Keeper.ChangeAsync(record => record.Find(link.Entry.Id) is null ? record
            : record.Tell(new VolumeEvent(context.UtcNow, VolumeEventKind.ReplicaDiscarded, link.Entry.Id, "", "empty", reason)), context.Stopped);
        var outcome = await link.Channel.DiscardAsync(context.Epoch, opened.Incarnation);
        if (outcome == ReplicaOutcome.StaleEpoch) owner.OnFenced($"replica {link.Entry.Id} has seen a higher epoch");
        return true;
    }

    [LoggerMessage(2108, LogLevel.Warning, "Replica {Replica} is discarded and rebuilt from others: {Reason}")]
    private partial void LogDiscarding(string replica, string reason);
}
