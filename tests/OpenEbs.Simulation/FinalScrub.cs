using OpenEbs.Replication.Volumes;
using OpenEbs.Simulation.Histories;

namespace OpenEbs.Simulation;

/// <summary>After the last fault: a scrub that was asked for finds everything that has rotted on media, also where nobody has read since, and makes blocks equal that were made to differ with right checksums.
/// Afterwards nothing is excused any more.</summary>
internal static class FinalScrub
{
    private const int MostScrubs = 10;
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan AskAgain = TimeSpan.FromMinutes(1);

    /// <summary>Until a store has taken the checkpoint that does without what was damaged.</summary>
    private static readonly TimeSpan UpkeepTime = TimeSpan.FromSeconds(20);

    public static async Task RunAsync(World world)
    {
        var hasRot = world.Settings.FaultWeights.ContainsKey(FaultKind.HiddenRot);
        var isAltering = world.Breakage.CoordinatorFaults.LeaveDifferences || world.Random.Chance(0.25);
        if (!hasRot && !isAltering) return;

        // First for what has rotted: what is altered below must have right copies elsewhere.
        await ScrubUntilCleanAsync(world);
        await WaitUntilInSyncAsync(world);
        if (isAltering && await AlterAsync(world)) await ScrubUntilCleanAsync(world);
        await world.Scheduler.Delay(UpkeepTime);
        await WaitUntilInSyncAsync(world);
        if (!hasRot) return;
        world.IsScrubbed = true;
        foreach (var replica in world.Replicas) replica.Ledger.IsDamaged = replica.Ledger.MayEndEarly = false;
    }

    /// <summary>One replica of three or more gets other contents, with right checksums, in some blocks: the others are right by majority.</summary>
    private static async Task<bool> AlterAsync(World world)
    {
        var members = world.Members.Where(replica => replica.IsOpen && !replica.IsClosing).ToArray();
        if (members.Length < 3 || members.Length < world.Records.Record.Replicas.Count) return false;
        var replica = world.Random.Pick(members);
        var sectors = world.History.Order.Replay(replica.Ledger.Last);
        var written = Enumerable.Range(0, sectors.Length / 8).Where(block => sectors.AsSpan(block * 8, 8).ContainsAnyExcept(SectorStamp.Zero)).ToArray();
        if (written.Length == 0) return false;
        for (var i = 0; i < 3; i++)
        {
            var block = world.Random.Pick(written);
            var data = new byte[4096];
            SectorStamp.Fill(data, block * 8L, world.NextWriteId());
            world.Log($"replica {replica.Id} gets other contents in block {block}, with the right checksum");
            await replica.AlterAsync(block, data);
        }

        return true;
    }

    /// <summary>One that found something, or could not ask everybody, says so, and is made again.</summary>
    private static async Task ScrubUntilCleanAsync(World world)
    {
        for (var scrubs = 0; scrubs < MostScrubs && (scrubs == 0 || !world.Records.Record.LastScrub!.IsClean); scrubs++)
        {
            await WaitUntilInSyncAsync(world);
            await ScrubAsync(world);
        }
    }

    private static async Task ScrubAsync(World world)
    {
        var before = world.Records.Record.LastScrub;
        var deadline = world.Scheduler.Now + Limit.Ticks;
        for (var askedAt = -AskAgain.Ticks - 1; world.Records.Record.LastScrub is not { IsAskedFor: true } last || last == before;)
        {
            if (world.Scheduler.Now > deadline) throw new PromiseBrokenException(Promise.FaultsAreInvisible, $"a scrub has not ended within {Limit} though nothing is wrong any more");
            if (world.Scheduler.Now - askedAt > AskAgain.Ticks)
            {
                // Opens the volume anew where nobody has it any more, as a call that asks for a scrub does.
                askedAt = world.Scheduler.Now;
                world.Placement.Locate(static _ => false).Scrub();
            }

            await world.Scheduler.Delay(TimeSpan.FromMilliseconds(200));
            world.Placement.Sweep();
        }
    }

    private static async Task WaitUntilInSyncAsync(World world)
    {
        var deadline = world.Scheduler.Now + Limit.Ticks;
        while (world.Records.Record.Replicas.Any(entry => entry.Standing != ReplicaStanding.InSync) || world.Members.Any(replica => !replica.IsOpen || replica.IsClosing))
        {
            if (world.Scheduler.Now > deadline) throw new PromiseBrokenException(Promise.FaultsAreInvisible, $"not all replicas are in sync {Limit} after a scrub");
            await world.Scheduler.Delay(TimeSpan.FromMilliseconds(200));
            world.Placement.Sweep();
        }
    }
}
