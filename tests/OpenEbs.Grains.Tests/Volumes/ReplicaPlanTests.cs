using OpenEbs.Grains.Cluster;
using OpenEbs.Pools;
using OpenEbs.Replication.Volumes;
using Xunit;

namespace OpenEbs.Grains.Tests.Volumes;

/// <summary>What is to be done about a volume's replicas, from its record and the pools.</summary>
public sealed class ReplicaPlanTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 12, 0, 0, TimeSpan.Zero);
    private static readonly PlanRules Rules = new(TimeSpan.FromMinutes(10), MaxOverprovisioning: 10);

    [Fact]
    public void AllInSync_AsManyAsWanted_Nothing() => Expect(ReplicaStepKind.None, null, wanted: 3, [In("a"), In("b"), In("c")], [Pool("a"), Pool("b"), Pool("c"), Pool("d")]);

    [Fact]
    public void LostForLessThanTheDelay_Nothing() =>
        Expect(ReplicaStepKind.None, null, wanted: 3, [In("a"), In("b"), Out("c", minutes: 9)], [Pool("a"), Pool("b"), Pool("c", online: false), Pool("d")]);

    [Fact]
    public void LostForLonger_OneMoreOnAPoolWithoutOne() =>
        Expect(ReplicaStepKind.Add, "d", wanted: 3, [In("a"), In("b"), Out("c", minutes: 10)], [Pool("a"), Pool("b"), Pool("c", online: false), Pool("d")]);

    [Fact]
    public void LostWithItsPoolOnline_OneMore() =>
        Expect(ReplicaStepKind.Add, "d", wanted: 3, [In("a"), In("b"), Out("c", minutes: 10)], [Pool("a"), Pool("b"), Pool("c"), Pool("d")]);

    [Fact]
    public void BeingRebuilt_Nothing_UnlessItsPoolIsAway()
    {
        ReplicaEntry[] replicas = [In("a"), In("b"), Out("c", minutes: 60, ReplicaStanding.Rebuilding)];
        Expect(ReplicaStepKind.None, null, wanted: 3, replicas, [Pool("a"), Pool("b"), Pool("c"), Pool("d")]);
        Expect(ReplicaStepKind.Add, "d", wanted: 3, replicas, [Pool("a"), Pool("b"), Pool("c", online: false), Pool("d")]);
    }

    [Fact]
    public void ReplacementUnderWay_NoSecondOne() =>
        Expect(ReplicaStepKind.None, null, wanted: 3, [In("a"), In("b"), Out("c", minutes: 60), Out("d", minutes: 1, ReplicaStanding.Rebuilding)], [Pool("a"), Pool("b"), Pool("c", online: false), Pool("d"), Pool("e")]);

    [Fact]
    public void ReplacementThatHasNotBegun_IsGivenTime_UnlessItsPoolIsAway()
    {
        ReplicaEntry[] replicas = [In("a"), In("b"), Out("c", minutes: 60), Out("d", minutes: 9) with { Created = false }];
        Expect(ReplicaStepKind.None, null, wanted: 3, replicas, [Pool("a"), Pool("b"), Pool("c", online: false), Pool("d"), Pool("e")], TimeSpan.Zero);
        Expect(ReplicaStepKind.Add, "e", wanted: 3, replicas, [Pool("a"), Pool("b"), Pool("c", online: false), Pool("d", online: false), Pool("e")], TimeSpan.Zero);
    }

    [Fact]
    public void ReplacementInSync_TheLostOneGoes() =>
        Expect(ReplicaStepKind.Remove, "r-c", wanted: 3, [In("a"), In("b"), Out("c", minutes: 60), In("d")], [Pool("a"), Pool("b"), Pool("c", online: false), Pool("d")]);

    [Fact]
    public void LostOneIsBackFirst_ItsReplacementGoes() =>
        Expect(ReplicaStepKind.Remove, "r-d", wanted: 3, [In("a"), In("b"), In("c"), Out("d", minutes: 1, ReplicaStanding.Rebuilding)], [Pool("a"), Pool("b"), Pool("c"), Pool("d")]);

    [Fact]
    public void UsedThroughANodeWithout_OneMovesThere_WhenThatIsWanted()
    {
        // Pool d is on node d. The emptiest would be e; the one that is missed least is c, on the fullest pool.
        PoolView[] pools = [Pool("a", freeGi: 30), Pool("b", freeGi: 30), Pool("c", freeGi: 5), Pool("d"), Pool("e", freeGi: 90)];
        var record = Record(3, [In("a"), In("b"), In("c")]);
        Assert.Equal(ReplicaStepKind.None, ReplicaPlan.Next(record, pools, Rules, Now).Kind);
        var gateway = pools[3].Node;
        var step = ReplicaPlan.Next(record, pools, Rules, Now, gateway);
        Assert.Equal((ReplicaStepKind.Move, "d", "c"), (step.Kind, step.Subject, step.Source));
        Assert.Contains(gateway, step.Reason, StringComparison.Ordinal);

        // Not while one is out of sync; then what is too much goes, and never the one beside the gateway, though its pool is the fullest; then nothing is left to do.
        Assert.Equal(ReplicaStepKind.None, ReplicaPlan.Next(Record(3, [In("a"), In("b"), Out("c", minutes: 1)]), pools, Rules, Now, gateway).Kind);
        PoolView[] after = [Pool("a", freeGi: 30), Pool("b", freeGi: 30), Pool("c", freeGi: 5), Pool("d", freeGi: 1), Pool("e", freeGi: 90)];
        Assert.Equal((ReplicaStepKind.Remove, "r-c"), ReplicaPlan.Next(Record(3, [In("a"), In("b"), In("c"), In("d")]), after, Rules, Now, gateway) is var removal ? (removal.Kind, removal.Subject) : default);
        Assert.Equal(ReplicaStepKind.None, ReplicaPlan.Next(Record(3, [In("a"), In("b"), In("d")]), after, Rules, Now, gateway).Kind);

        // Nor to a node that cannot have one.
        Assert.Equal(ReplicaStepKind.None, ReplicaPlan.Next(record, [.. pools.Where(pool => pool.Id != "d"), Pool("d", online: false)], Rules, Now, gateway).Kind);
    }

    [Fact]
    public void SettledGateway_IsTheSameForLong()
    {
        var gateways = new SettledGateways(TimeSpan.FromMinutes(10));
        Assert.Equal("", gateways.Observe("v", "n1", Now));
        Assert.Equal("", gateways.Observe("v", "n1", Now.AddMinutes(9)));
        Assert.Equal("n1", gateways.Observe("v", "n1", Now.AddMinutes(10)));
        Assert.Equal("", gateways.Observe("v", "n2", Now.AddMinutes(11)));
        Assert.Equal("", gateways.Observe("v", "n1", Now.AddMinutes(12)));
        Assert.Equal("n1", gateways.Observe("v", "n1", Now.AddMinutes(22)));
    }

    [Fact]
    public void NoPoolLeft_SaysSo() => Expect(ReplicaStepKind.Add, null, wanted: 3, [In("a"), In("b"), Out("c", minutes: 60)], [Pool("a"), Pool("b"), Pool("c", online: false)]);

    [Fact]
    public void MoreWanted_OneMoreOnANodeWithoutOne() =>
        Expect(ReplicaStepKind.Add, "c", wanted: 3, [In("a"), In("b")], [Pool("a", node: "1"), Pool("b", node: "2"), Pool("a2", node: "1", freeGi: 99), Pool("c", node: "3")]);

    [Fact]
    public void FewerWanted_OneOfTwoOnTheSameNodeGoes() =>
        Expect(ReplicaStepKind.Remove, "r-b", wanted: 2, [In("a"), In("b"), In("c")], [Pool("a", node: "1", freeGi: 9), Pool("b", node: "1", freeGi: 8), Pool("c", node: "2", freeGi: 1)]);

    [Fact]
    public void FewerWanted_NothingGoesBeforeSoManyAreInSync() =>
        Expect(ReplicaStepKind.None, null, wanted: 2, [In("a"), Out("b", minutes: 1), Out("c", minutes: 1)], [Pool("a"), Pool("b"), Pool("c")]);

    [Fact]
    public void FilesOfARemovedOneStillThere_NotOnThatPool()
    {
        var record = Record(3, [In("a"), In("b")]) with { Leaving = [Out("c", minutes: 1)] };
        Assert.Equal("d", ReplicaPlan.Next(record, [Pool("a"), Pool("b"), Pool("c", freeGi: 99), Pool("d")], Rules, Now).Subject);
    }

    [Fact]
    public void OnADrainingPool_FirstAnotherElsewhere_ThenItGoes()
    {
        PoolView[] pools = [Pool("a", availability: Availability.Draining), Pool("b"), Pool("c"), Pool("d")];
        Expect(ReplicaStepKind.Move, "d", wanted: 3, [In("a"), In("b"), In("c")], pools);
        Expect(ReplicaStepKind.None, null, wanted: 3, [In("a"), In("b"), In("c"), Out("d", minutes: 1, ReplicaStanding.Rebuilding)], pools);
        Expect(ReplicaStepKind.Remove, "r-a", wanted: 3, [In("a"), In("b"), In("c"), In("d")], pools);
        Expect(ReplicaStepKind.None, null, wanted: 3, [In("b"), In("c"), In("d")], pools);
    }

    [Fact]
    public void OnlyReplicaDrains_AnotherFirst()
    {
        PoolView[] pools = [Pool("a", availability: Availability.Draining), Pool("b")];
        Expect(ReplicaStepKind.Move, "b", wanted: 1, [In("a")], pools);
        Expect(ReplicaStepKind.None, null, wanted: 1, [In("a"), Out("b", minutes: 1, ReplicaStanding.Rebuilding)], pools);
        Expect(ReplicaStepKind.Remove, "r-a", wanted: 1, [In("a"), In("b")], pools);
    }

    [Fact]
    public void TwoDrain_OneAfterTheOther_NeverFewerInSync()
    {
        PoolView[] pools = [Pool("a", availability: Availability.Draining), Pool("b", availability: Availability.Draining), Pool("c"), Pool("d"), Pool("e")];
        Expect(ReplicaStepKind.Move, "d", wanted: 3, [In("a"), In("b"), In("c")], pools);
        Expect(ReplicaStepKind.None, null, wanted: 3, [In("a"), In("b"), In("c"), Out("d", minutes: 1)], pools);
        Expect(ReplicaStepKind.Remove, "r-a", wanted: 3, [In("a"), In("b"), In("c"), In("d")], pools);
        Expect(ReplicaStepKind.Move, "e", wanted: 3, [In("b"), In("c"), In("d")], pools);
    }

    [Fact]
    public void OneDrainsAndAnotherIsOut_TheNewOneStays_UntilEnoughAreInSync()
    {
        PoolView[] pools = [Pool("a", availability: Availability.Draining), Pool("b"), Pool("c"), Pool("d"), Pool("e")];
        Expect(ReplicaStepKind.None, null, wanted: 3, [In("a"), In("b"), Out("c", minutes: 1), In("d")], pools);
        Expect(ReplicaStepKind.None, null, wanted: 3, [In("a"), In("b"), In("c"), Out("d", minutes: 1, ReplicaStanding.Rebuilding)], pools);
        Expect(ReplicaStepKind.Move, "e", wanted: 3, [In("a"), In("b"), In("c"), Out("d", minutes: 60)], pools);
        Expect(ReplicaStepKind.Remove, "r-d", wanted: 3, [In("a"), In("b"), In("c"), Out("d", minutes: 60), In("e")], pools);
    }

    [Fact]
    public void OneBeingRebuilt_NoMoveBeforeThat() => Expect(
        ReplicaStepKind.None, null, wanted: 3, [In("a"), In("b"), Out("c", minutes: 1, ReplicaStanding.Rebuilding)], [Pool("a", availability: Availability.Draining), Pool("b"), Pool("c"), Pool("d")]);

    [Fact]
    public void OutOfSyncOnADrainingPool_IsReplacedAtOnce() => Expect(
        ReplicaStepKind.Add, "d", wanted: 3, [In("a"), In("b"), Out("c", minutes: 0)], [Pool("a"), Pool("b"), Pool("c", availability: Availability.Drained), Pool("d")]);

    [Fact]
    public void DrainStopped_TheNewOneThatIsNotReadyGoes() =>
        Expect(ReplicaStepKind.Remove, "r-d", wanted: 3, [In("a"), In("b"), In("c"), Out("d", minutes: 1, ReplicaStanding.Rebuilding)], [Pool("a", availability: Availability.Cordoned), Pool("b"), Pool("c"), Pool("d")]);

    [Fact]
    public void FewerWantedThanDrain_SomeGoWithoutAnother() => Expect(
        ReplicaStepKind.Remove, "r-a", wanted: 1, [In("a"), In("b"), In("c")], [Pool("a", availability: Availability.Draining), Pool("b", availability: Availability.Draining), Pool("c", availability: Availability.Draining)]);

    [Fact]
    public void NoPlaceForOneThatDrains_SaysSo_AndTakesOneThatAppears()
    {
        PoolView[] pools = [Pool("a", availability: Availability.Draining), Pool("b"), Pool("c"), Pool("d", availability: Availability.Cordoned), Pool("e", online: false)];
        Expect(ReplicaStepKind.Move, null, wanted: 3, [In("a"), In("b"), In("c")], pools);
        Expect(ReplicaStepKind.Move, "f", wanted: 3, [In("a"), In("b"), In("c")], [.. pools, Pool("f")]);
    }

    [Fact]
    public void NoPlace_EveryPoolSaysWhy()
    {
        PoolView[] pools = [Pool("a", availability: Availability.Draining), Pool("b"), Pool("c"), Pool("d", availability: Availability.Cordoned), Pool("e", online: false)];
        var obstacle = ReplicaPlan.Next(Record(3, [In("a"), In("b"), In("c")]), pools, Rules, Now).Obstacle;
        string[] expected = ["pool 'b': it has a replica", "pool 'd': it takes no new replicas", "pool 'e': it is offline"];
        Assert.All(expected, part => Assert.Contains(part, obstacle, StringComparison.Ordinal));
    }

    [Fact]
    public void HardNode_InThePlaceOfOneThatDrains_AnotherOnTheSameNodeMayCome()
    {
        var record = Record(2, [In("a"), In("b")]) with { Placement = new PlacementRules(IsNodeHard: true, IsZoneHard: false, "") };
        PoolView[] pools = [Pool("a", node: "1", availability: Availability.Draining), Pool("a2", node: "1"), Pool("b", node: "2"), Pool("b2", node: "2", freeGi: 99)];
        var step = ReplicaPlan.Next(record, pools, Rules, Now);
        Assert.Equal((ReplicaStepKind.Move, "a2"), (step.Kind, step.Subject));
    }

    [Fact]
    public void Replacement_ObeysTheSelector()
    {
        var record = Record(2, [In("a"), Out("b", minutes: 60)]) with { Placement = new PlacementRules(false, false, "disk=ssd") };
        var ssd = new Dictionary<string, string> { ["disk"] = "ssd" };
        Assert.Null(ReplicaPlan.Next(record, [Pool("a"), Pool("b", online: false), Pool("c", freeGi: 99)], Rules, Now).Subject);
        Assert.Equal("d", ReplicaPlan.Next(record, [Pool("a"), Pool("b", online: false), Pool("c", freeGi: 99), Pool("d") with { Labels = ssd }], Rules, Now).Subject);
    }

    [Fact]
    public void Moving_NamesTheNodes_WhileTheNewOneIsBuilt()
    {
        PoolView[] pools = [Pool("a", availability: Availability.Draining), Pool("b"), Pool("c"), Pool("d")];
        Assert.Empty(ReplicaPlan.ListMoving(Record(3, [In("a"), In("b"), In("c")]), pools, Rules, Now));
        Assert.Equal(["node-a", "node-d"], ReplicaPlan.ListMoving(Record(3, [In("a"), In("b"), In("c"), Out("d", minutes: 1)]), pools, Rules, Now));
        Assert.Empty(ReplicaPlan.ListMoving(Record(3, [In("b"), In("c"), In("d")]), pools, Rules, Now));
    }

    [Fact]
    public void Budget_BoundsTheClusterAndEachNode()
    {
        var budget = new MoveBudget(maxMoves: 3, maxMovesPerNode: 2);
        Assert.True(budget.TryBegin("v1", ["a", "b"]));
        Assert.True(budget.TryBegin("v2", ["a", "c"]));
        Assert.False(budget.TryBegin("v3", ["a", "d"]));
        Assert.True(budget.TryBegin("v4", ["d", "e"]));
        Assert.False(budget.TryBegin("v5", ["f", "g"]));
        budget.Note("v1", []);
        Assert.True(budget.TryBegin("v3", ["a", "d"]));
        budget.Prune(volume => volume != "v2");
        Assert.True(budget.TryBegin("v5", ["f", "g"]));
    }

    [Fact]
    public void Forecast_SaysWhatGoesWhere_HowMuch_AndWhatIsAtRisk()
    {
        PoolView[] pools = [Pool("a"), Pool("b"), Pool("c"), Pool("d", freeGi: 50), Pool("e", freeGi: 49)];
        var three = new DrainedVolume(Record(3, [In("a"), In("b"), In("c")]) with { Name = "three", MinInSync = 2 }, new Dictionary<string, long> { ["r-a"] = 3L << 30 });
        var single = new DrainedVolume(Record(1, [In("a")]) with { Name = "single" }, new Dictionary<string, long> { ["r-a"] = 1L << 30 });
        var wide = new DrainedVolume(Record(5, [In("a"), In("b"), In("c"), In("d"), In("e")]) with { Name = "wide", MinInSync = 3 }, new Dictionary<string, long>());
        var surplus = new DrainedVolume(Record(2, [In("a"), In("b"), In("c")]) with { Name = "surplus" }, new Dictionary<string, long>());
        var pace = new DrainPace(Rules, TimeSpan.FromSeconds(10), 2);

        var plan = DrainForecast.Of("node-a", ["a"], [three, single, wide, surplus], pools, pace, Now);

        Assert.Equal(["single>d", "surplus>", "three>e", "wide>"], plan.Moves.Select(move => $"{move.Volume}>{move.ToPool}"));
        Assert.Equal([false, false, false, true], plan.Moves.Select(move => move.IsStuck));
        Assert.Equal(4L << 30, plan.CopyBytes);

        // 3 GiB at 64 MiB a second take longer than 4 GiB at twice that; then two rounds.
        Assert.Equal(TimeSpan.FromSeconds(48 + 20), plan.Duration);
        Assert.Contains("1 replica(s) in sync and 1 needed", Assert.Single(plan.Moves[0].Risks), StringComparison.Ordinal);
        Assert.Empty(plan.Moves[1].Risks);
        Assert.Empty(plan.Moves[2].Risks);
        Assert.Contains("no pool can have another", Assert.Single(plan.Moves[3].Risks), StringComparison.Ordinal);
        Assert.Empty(DrainForecast.Of("node-z", ["z"], [], pools, pace, Now).Moves);
    }

    private static void Expect(ReplicaStepKind kind, string? subject, int wanted, ReplicaEntry[] replicas, PoolView[] pools, TimeSpan? delay = null)
    {
        var step = ReplicaPlan.Next(Record(wanted, replicas), pools, delay is { } other ? Rules with { ReplacementDelay = other } : Rules, Now);
        Assert.Equal((kind, subject), (step.Kind, step.Subject));
    }

    private static VolumeRecord Record(int wanted, ReplicaEntry[] replicas) => new()
    {
        Uid = Guid.Empty,
        Name = "v",
        SizeBytes = 1 << 20,
        BlockLength = 512,
        WriteCache = true,
        MinInSync = 1,
        IoTimeout = TimeSpan.FromSeconds(60),
        WantedReplicas = wanted,
        Replicas = replicas,
    };

    private static ReplicaEntry In(string pool) => new($"r-{pool}", pool, ReplicaStanding.InSync, Created: true);

    private static ReplicaEntry Out(string pool, int minutes, ReplicaStanding standing = ReplicaStanding.Faulted) => new($"r-{pool}", pool, standing, Created: true, "gone", Now - TimeSpan.FromMinutes(minutes));

    private static PoolView Pool(string id, bool online = true, string? node = null, long freeGi = 10, Availability availability = Availability.Available) => new()
    {
        Id = id,
        Node = node ?? $"node-{id}",
        Path = "/",
        CapacityBytes = 100L << 30,
        FreeBytes = freeGi << 30,
        Replicas = 1,
        Online = online,
        Availability = availability,
    };
}
