using OpenEbs.Replication.Volumes;
using OpenEbs.Simulation.Faults;
using OpenEbs.Simulation.Gateways;
using OpenEbs.Simulation.Histories;
using OpenEbs.Simulation.Hosts;

namespace OpenEbs.Simulation;

/// <summary>One run: work under faults, then healing, then everything is read back and compared, then power is lost everywhere and it is read back once more.</summary>
public static class SimulationRun
{
    private const int SectorsPerRead = 2048;
    private static readonly TimeSpan Limit = TimeSpan.FromHours(6);
    private static readonly TimeSpan HealingLimit = TimeSpan.FromMinutes(5);

    public static RunResult Run(RunOptions options)
    {
        var world = new World(options);
        var gateways = Enumerable.Range(0, world.Settings.GatewayRetries ? 1 : world.Settings.InitiatorCount).Select(i => new Gateway(world, i, world.Settings.GatewayRetries)).ToArray();
        var faults = new FaultInjector(world, gateways, world.Random.Fork());
        Exception? failure = null;
        try
        {
            world.Scheduler.RunUntil(() => RunAsync(world, gateways, faults), Limit);
        }
        catch (Exception e)
        {
            failure = e;
            world.Log($"FAILED: {e}");
        }

        var counts = new Dictionary<string, long>(faults.Counts)
        {
            ["MessagesLost"] = world.Network.LostCount,
            ["MessagesDuplicated"] = world.Network.DuplicatedCount,
            ["RecordConflicts"] = world.Records.ConflictCount,
            ["RecordStoreFailures"] = world.Records.FailureCount,
            ["Coordinators"] = world.Placement.Activations.Count,
            ["RefusedForSpace"] = world.RefusedForSpaceCount,
            ["DeclaredLosses"] = world.History.LossCount,
            ["UndecidedSectors"] = world.History.UndecidedCount,
            ["Discarded"] = world.DiscardCount,
            ["SetAside"] = world.Records.Record.Events.Count(happened => happened.Kind == VolumeEventKind.ReplicaLeft && happened.Cause.StartsWith(SlowReplicas.SetAsideBecause, StringComparison.Ordinal)),
        };
        return new RunResult
        {
            Seed = options.Seed,
            Failure = failure,
            TraceHash = world.Scheduler.Trace.Hash,
            VirtualTime = TimeSpan.FromTicks(world.Scheduler.Now),
            Commands = world.History.Commands.Count,
            Events = world.Scheduler.EventCount,
            Faults = counts,
            Trace = world.Scheduler.Trace.Lines,
        };
    }

    private static async Task RunAsync(World world, Gateway[] gateways, FaultInjector faults)
    {
        var settings = world.Settings;
        world.Log($"{settings.ReplicaCount} replicas on {settings.HostCount} hosts, minInSync {settings.MinInSync}, {settings.InitiatorCount} initiators, retries {settings.GatewayRetries}, write cache {settings.WriteCache}");
        foreach (var replica in world.Replicas) replica.Start();
        var watching = WatchAsync(world, gateways, faults);
        var injecting = faults.RunAsync();
        var share = Math.Max(1, world.Options.Commands / settings.InitiatorCount);
        var initiators = Enumerable.Range(0, settings.InitiatorCount).Select(i => new Initiator(world, gateways[i % gateways.Length], world.Random.Fork())).ToArray();
        var working = Task.WhenAll(initiators.Skip(settings.HasReader ? 1 : 0).Select(initiator => initiator.RunAsync(share)));
        if (settings.HasReader) working = Task.WhenAll(working, initiators[0].ReadAlongAsync(working));
        await await Task.WhenAny(working, FailWhenStuckAsync(world));
        faults.Heal();
        foreach (var replica in world.Replicas) replica.Ledger.BadBlocksSeen.Clear();
        await VerifyAsync(world, "after healing", 90);
        await FinalScrub.RunAsync(world);
        await VerifyAsync(world, "after a scrub", 93);
        if (world.Settings.PoolsFill) await WriteAgainAsync(world);
        await faults.LosePowerOfAllAsync(TimeSpan.FromSeconds(1));
        await VerifyAsync(world, "after the last power loss", 91);
        await CloseAsync(world);
        world.History.Check();
    }

    private static async Task WatchAsync(World world, Gateway[] gateways, FaultInjector faults)
    {
        for (var round = 1; ; round++)
        {
            await world.Scheduler.Delay(TimeSpan.FromMilliseconds(500));

            // Every five minutes: hardly any run takes so long that is not stuck.
            if (round % 600 == 0) faults.RecoverMedia();
            world.Placement.Sweep();
            foreach (var gateway in gateways) gateway.Watch();
        }
    }

    /// <summary>P7: work never stops for good while faults come and go.</summary>
    private static async Task FailWhenStuckAsync(World world)
    {
        var limit = world.Settings.IoTimeout + TimeSpan.FromMinutes(30);
        for (var count = -1; count != Count();)
        {
            count = Count();
            await world.Scheduler.Delay(limit);
        }

        // One that reads along goes on reading when the others are stuck.
        int Count() => world.Settings.HasReader ? world.History.Commands.Count(command => command.Kind != CommandKind.Read) : world.History.Commands.Count;

        if (world.History.Commands.Any(command => command.Outcome == CommandOutcome.Pending)) throw Stuck(world, $"no command ended for {limit}");
    }

    /// <summary>Waits for all replicas to be in sync, flushes, reads the whole volume and compares every replica with what was read.</summary>
    private static async Task VerifyAsync(World world, string when, int gatewayNumber)
    {
        var gateway = new Gateway(world, gatewayNumber, retries: true);
        await ReadAllAsync(world, gateway);
        var deadline = world.Scheduler.Now + HealingLimit.Ticks;
        long[] found;
        do
        {
            await AwaitInSyncAsync(world, gateway, when, deadline);

            // Anew: a write whose initiator gave up may have taken effect meanwhile.
            found = await ReadAllAsync(world, gateway);
            await SubmitAsync(world, gateway, () => new VolumeCommand { Id = world.NextCommandId(), Kind = CommandKind.Flush, FirstSector = 0, SectorCount = 0, ForceUnitAccess = false });
        }
        while (!AreInSync(world)); // One that was being brought back may have been left out rather than waited for.

        foreach (var replica in world.Members.ToArray())
        {
            var bad = replica.Ledger.BadBlocksSeen;
            for (var tries = 0; bad.Count > 0 && tries < 50; tries++) await world.Scheduler.Delay(TimeSpan.FromMilliseconds(200));
            if (bad.Count > 0) throw new PromiseBrokenException(Promise.BadBlocksAreHidden, $"{when} replica {replica.Id} still has bad blocks that reads have met: {string.Join(", ", bad)}.");
            await replica.CheckContentAsync();
            var expected = world.History.Order.Replay(replica.Ledger.Last);
            var different = found.AsSpan().CommonPrefixLength(expected);
            if (different < found.Length)
            {
                throw new PromiseBrokenException(Promise.PrefixAfterPowerLoss,
                    $"{when} replica {replica.Id} at {replica.Ledger.Last} has write {expected[different]} in sector {different}, the volume answered {found[different]}.");
            }
        }
    }

    private static bool AreInSync(World world) => world.Records.Record.Replicas.All(entry => entry.Standing == ReplicaStanding.InSync);

    private static async Task AwaitInSyncAsync(World world, Gateway gateway, string when, long deadline)
    {
        while (!AreInSync(world) || world.Members.Any(replica => !replica.IsOpen || replica.IsClosing)
            || world.Placement.Activations.Any(activation => activation.IsChangingReplicas))
        {
            if (world.Scheduler.Now > deadline) throw Stuck(world, $"{HealingLimit} {when} not all replicas are in sync");

            // Without I/O: the coordinator's heartbeat has to find out what is missing. Only where there is none a read opens the volume, as the cluster's upkeep does.
            if (!world.Placement.Activations.Any(activation => activation.IsUsable)) await SubmitAsync(world, gateway, () => CreateRead(world, 0, 8));
            await world.Scheduler.Delay(TimeSpan.FromMilliseconds(200));
            world.Placement.Sweep();
        }
    }

    /// <summary>P8: there is space again, and nobody started anything anew because of it.</summary>
    private static async Task WriteAgainAsync(World world)
    {
        var gateway = new Gateway(world, 92, retries: true);
        for (var i = 0; i < 4; i++)
        {
            var first = world.Settings.HotBegin + (i % 2 * 8);
            await SubmitAsync(world, gateway, () => new VolumeCommand { Id = world.NextCommandId(), Kind = CommandKind.Write, FirstSector = first, SectorCount = 8, ForceUnitAccess = i > 1, WriteId = world.NextWriteId() });
        }
    }

    private static async Task<long[]> ReadAllAsync(World world, Gateway gateway)
    {
        var found = new long[world.Settings.SectorCount];
        for (var sector = 0; sector < found.Length; sector += SectorsPerRead)
        {
            var (first, count) = (sector, Math.Min(SectorsPerRead, found.Length - sector));
            var read = await SubmitAsync(world, gateway, () => CreateRead(world, first, count));
            read.Found.CopyTo(found, sector);
        }

        return found;
    }

    private static VolumeCommand CreateRead(World world, long first, int count) => new()
    {
        Id = world.NextCommandId(),
        Kind = CommandKind.Read,
        FirstSector = first,
        SectorCount = count,
        ForceUnitAccess = false,
    };

    /// <summary>Carries out a command that must succeed; where commands may time out it may have to be given again, as coordinators are still changing at first.</summary>
    private static async Task<VolumeCommand> SubmitAsync(World world, Gateway gateway, Func<VolumeCommand> create)
    {
        for (var tries = 0; ; tries++)
        {
            var command = create();
            await SubmitAsync(world, gateway, command);
            if (command.Outcome == CommandOutcome.Ok) return command;
            if (!world.Settings.AllowsTimeouts || tries > 60) throw new PromiseBrokenException(Promise.FaultsAreInvisible, $"{command} failed though nothing is wrong any more.");
        }
    }

    private static async Task SubmitAsync(World world, Gateway gateway, VolumeCommand command)
    {
        var done = gateway.SubmitAsync(command);
        for (var waited = TimeSpan.Zero; !done.IsCompleted; waited += TimeSpan.FromSeconds(1))
        {
            if (waited > HealingLimit) throw Stuck(world, $"{command} has not ended though nothing is wrong any more");
            await Task.WhenAny(done, world.Scheduler.Delay(TimeSpan.FromSeconds(1)));
            gateway.Watch();
            world.Placement.Sweep();
        }
    }

    /// <summary>Closes all coordinators that are left; then every buffer must be back.</summary>
    private static async Task CloseAsync(World world)
    {
        foreach (var activation in world.Placement.Activations) activation.Close();
        await world.Scheduler.Delay(TimeSpan.FromSeconds(60));
        foreach (var activation in world.Placement.Activations.Where(activation => !activation.Process.IsDead))
        {
            if (!activation.IsQuiet) throw Stuck(world, $"coordinator-{activation.Number} has not closed");
            EnsureReturned(activation.Pool, $"coordinator-{activation.Number}");
        }

        foreach (var replica in world.Replicas.Where(replica => !replica.IsDeleted)) EnsureReturned(replica.Pool, $"replica {replica.Id}");
    }

    private static void EnsureReturned(CountingPool pool, string owner)
    {
        if (pool.OutstandingCount == 0) return;
        throw new PromiseBrokenException(Promise.BuffersAreReturned, $"{owner} kept {pool.OutstandingCount} of {pool.RentalCount} buffers: {string.Join("\n", pool.Outstanding.Take(3))}");
    }

    private static PromiseBrokenException Stuck(World world, string what)
    {
        var coordinators = world.Placement.Activations.Where(activation => activation.IsUsable).Select(activation => $"coordinator-{activation.Number} {activation.Describe()}");
        return new PromiseBrokenException(Promise.FaultsAreInvisible, $"{what}. {string.Join("\n", coordinators)}\nRecord: {world.Records.Record.Replicas.Aggregate("", (text, entry) => $"{text}{entry.Id} {entry.Standing} {entry.Reason}; ")}");
    }
}
