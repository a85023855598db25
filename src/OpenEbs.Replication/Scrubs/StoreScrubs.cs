using Microsoft.Extensions.Logging;
using OpenEbs.Replication.Replicas;
using OpenEbs.Replication.Volumes;

namespace OpenEbs.Replication.Scrubs;

/// <summary>Has every in-sync replica read and check what its store has beside the blocks. What it put right is told as an event; a replica with damage that it cannot mend is rebuilt from the others, as soon as
/// they can do without it.</summary>
internal sealed partial class StoreScrubs(VolumeContext context)
{
    private readonly ILogger _logger = context.Logger;

    /// <param name="tally">What was found so far.</param>
    /// <param name="pace">Waits as is due for so many bytes read; false when the scrub is to end.</param>
    public async Task<ScrubTally> RunAsync(ScrubTally tally, Func<ReplicaLink, long, Task<bool>> pace)
    {
        foreach (var link in context.Links)
        {
            if (context.IsCurrent(link)) tally = await ScrubAsync(link, tally, pace);
        }

        return tally;
    }

    private async Task<ScrubTally> ScrubAsync(ReplicaLink link, ScrubTally tally, Func<ReplicaLink, long, Task<bool>> pace)
    {
        var incarnation = link.Incarnation;
        IReadOnlyList<string> repaired = [];
        IReadOnlyList<string> damage = [];
        for (var restart = true; context.IsCurrent(link) && link.Incarnation == incarnation && !context.IsStopped; restart = false)
        {
            if (await AskAsync(link, restart) is not { Outcome: ReplicaOutcome.Ok } reply) break;
            repaired = reply.Repaired;
            damage = reply.Damage;
            tally = tally with { CheckedBytes = tally.CheckedBytes + reply.CheckedBytes };
            if (reply.IsDone || damage.Count > 0 || !await pace(link, reply.CheckedBytes)) break;
        }

        if (repaired.Count == 0 && damage.Count == 0) return tally;
        await TellAsync(link, repaired, damage);
        if (damage.Count == 0) return tally with { RepairedStructures = tally.RepairedStructures + repaired.Count };

        // It remembers that it is damaged: when it is opened again it is discarded, as soon as the others have everything.
        if (context.CanDoWithout(link)) link.GoDown($"its store is damaged: {damage[0]}");
        return tally with { RepairedStructures = tally.RepairedStructures + repaired.Count, DamagedReplicas = tally.DamagedReplicas + 1 };
    }

    private async Task<StoreScrubReply?> AskAsync(ReplicaLink link, bool restart)
    {
        try
        {
            var reply = await link.Channel.ScrubStoreAsync(context.Epoch, link.Incarnation, restart);
            if (context.IsStopped) return null;
            link.Learn(reply.Outcome);
            return reply;
        }
        catch (Exception e) when (!context.IsStopped)
        {
            // A node of an older release does not know how.
            LogNotScrubbed(link.Entry.Id, e.Message);
            return null;
        }
    }

    private async Task TellAsync(ReplicaLink link, IReadOnlyList<string> repaired, IReadOnlyList<string> damage)
    {
        foreach (var what in repaired.Concat(damage)) LogFound(link.Entry.Id, what);
        await context.Keeper.ChangeAsync(
            record =>
            {
                if (repaired.Count > 0) record = record.Tell(Happened(VolumeEventKind.StoreRepaired, repaired));
                return damage.Count > 0 ? record.Tell(Happened(VolumeEventKind.StoreDamaged, damage)) : record;
            },
            context.Stopped);

        VolumeEvent Happened(VolumeEventKind kind, IReadOnlyList<string> found) =>
            new(context.UtcNow, kind, link.Entry.Id, "", $"{string.Join("; ", found.Take(4))}{(found.Count > 4 ? $"; and {found.Count - 4} more" : "")}", "found by a scrub");
    }

    [LoggerMessage(2612, LogLevel.Warning, "A scrub of replica {Replica} found that {What}")]
    private partial void LogFound(string replica, string what);

    [LoggerMessage(2613, LogLevel.Information, "Replica {Replica} could not be asked to scrub its store: {Reason}")]
    private partial void LogNotScrubbed(string replica, string reason);
}
