using OpenEbs.Grains.Cluster;
using OpenEbs.Pools;
using OpenEbs.Replication.Volumes;
using Xunit;

namespace OpenEbs.Grains.Tests.Volumes;

/// <summary>What is to be done about a volume's replicas, from its record and the pools.</summary>
public sealed class ReplicaPlanTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 12, 0, 0, TimeSpan.Zero);
    private static readonly TimeSpan Delay = TimeSpan.FromMinutes(10);

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
        Assert.Equal("d", ReplicaPlan.Next(record, [Pool("a"), Pool("b"), Pool("c", freeGi: 99), Pool("d")], Delay, Now).Subject);
    }

    private static void Expect(ReplicaStepKind kind, string? subject, int wanted, ReplicaEntry[] replicas, PoolView[] pools, TimeSpan? delay = null)
    {
        var step = ReplicaPlan.Next(Record(wanted, replicas), pools, delay ?? Delay, Now);
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

    private static PoolView Pool(string id, bool online = true, string? node = null, long freeGi = 10) => new()
    {
        Id = id,
        Node = node ?? $"node-{id}",
        Path = "/",
        CapacityBytes = 100L << 30,
        FreeBytes = freeGi << 30,
        Replicas = 1,
        Online = online,
    };
}
