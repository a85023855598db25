using OpenEbs.Grains.Cluster;
using OpenEbs.Pools;
using OpenEbs.Volumes;
using Xunit;

namespace OpenEbs.Grains.Tests.Volumes;

/// <summary>Which pools a volume's replicas get, and why the others do not.</summary>
public sealed class PoolChoiceTests
{
    private const long Gi = 1L << 30;

    [Fact]
    public void Choose_SpreadsOverZonesThenNodes_BeforeFreeSpace()
    {
        PoolView[] pools = [Pool("a1", "a", "x", freeGi: 99), Pool("a2", "a", "x", freeGi: 98), Pool("b", "b", "x", freeGi: 97), Pool("c", "c", "y", freeGi: 5), Pool("d", "d", "z", freeGi: 4)];
        Assert.Equal(["a1", "c", "d", "b", "a2"], PoolChoice.Choose(Request(), pools, 5).Select(pool => pool.Id));
    }

    [Fact]
    public void Choose_WithoutZones_SpreadsOverNodes_ThenByFreeSpace_ThenByReplicas()
    {
        PoolView[] pools = [Pool("a", "a", freeGi: 50), Pool("a2", "a", freeGi: 99), Pool("b", "b", freeGi: 40) with { Replicas = 3 }, Pool("c", "c", freeGi: 40) with { Replicas = 2 }];
        Assert.Equal(["a2", "c", "b", "a"], PoolChoice.Choose(Request(), pools, 4).Select(pool => pool.Id));
    }

    [Fact]
    public void Choose_PrefersWhatHasFewerVolumesPlaced()
    {
        PoolView[] pools = [Pool("a", "a", placedGi: 500), Pool("b", "b", placedGi: 100)];
        Assert.Equal("b", PoolChoice.Next(Request(), pools)!.Id);
    }

    [Fact]
    public void HardNode_NeverTwoOnANode()
    {
        PoolView[] pools = [Pool("a", "a"), Pool("a2", "a"), Pool("b", "b")];
        var request = Request(new PlacementPolicy { Node = AntiAffinity.Hard });
        Assert.Equal(2, PoolChoice.Choose(request, pools, 2).Select(pool => pool.Node).Distinct().Count());
        Assert.Equal(3, PoolChoice.Choose(Request(), pools, 3).Count);
        var refused = Assert.Throws<VolumeUnavailableException>(() => PoolChoice.Choose(request, pools, 3)).Message;
        Assert.Contains("needs 3 pools, each for one replica, and 2 can have one", refused, StringComparison.Ordinal);
        Assert.Contains("pool 'a2': its node a has a replica of the volume, and two may not share a node", refused, StringComparison.Ordinal);
    }

    [Fact]
    public void HardZone_NeverTwoInAZone_AndOnlyWhereTheZoneIsKnown()
    {
        PoolView[] pools = [Pool("a", "a", "x"), Pool("b", "b", "x"), Pool("c", "c", "y"), Pool("d", "d")];
        var request = Request(new PlacementPolicy { Zone = AntiAffinity.Hard });
        Assert.Equal(["x", "y"], PoolChoice.Choose(request, pools, 2).Select(PoolChoice.ZoneOf).Order());
        var refused = Assert.Throws<VolumeUnavailableException>(() => PoolChoice.Choose(request, pools, 3)).Message;
        Assert.Contains("pool 'b': its zone x has a replica", refused, StringComparison.Ordinal);
        Assert.Contains("pool 'd': it is in no zone (label topology.kubernetes.io/zone)", refused, StringComparison.Ordinal);
    }

    [Fact]
    public void Gateway_GetsOneBesideIt_AndOnlyOne()
    {
        PoolView[] pools = [Pool("a", "a", "x", freeGi: 99), Pool("b", "b", "x", freeGi: 98), Pool("g1", "g", "x", freeGi: 5), Pool("g2", "g", "y", freeGi: 97), Pool("c", "c", "z", freeGi: 1)];
        var request = Request() with { Gateway = "g" };
        Assert.Equal(["g2", "a", "c"], PoolChoice.Choose(request, pools, 3).Select(pool => pool.Id));
        Assert.Contains(PoolChoice.Judge(request, pools[2], pools).Parts, part => part.Name == "local" && part.Points == 500);
        Assert.DoesNotContain(PoolChoice.Judge(request.With("g2"), pools[2], pools).Parts, part => part.Name == "local");
    }

    [Fact]
    public void Selector_OnlyPoolsWithThoseLabels()
    {
        PoolView[] pools = [Labelled("a", "disk=hdd,tier=1"), Labelled("b", "disk=ssd"), Labelled("c", "disk=ssd,tier=1"), Labelled("d", "")];
        var request = Request(new PlacementPolicy { Selector = "tier=1,disk=ssd" });
        Assert.Equal("c", Assert.Single(PoolChoice.Rank(request, pools), candidate => candidate.IsPossible).Pool.Id);
        var reasons = PoolChoice.ListRefusals(request, pools);
        Assert.Contains("pool 'a': its label disk is hdd, ssd is selected", reasons, StringComparison.Ordinal);
        Assert.Contains("pool 'b': it has no label tier, 1 is selected", reasons, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(999, false)]
    [InlineData(1000, false)]
    [InlineData(1001, true)]
    public void Overprovisioning_IsRefusedAboveTheLimit(long volumesGi, bool isRefused)
    {
        var candidate = PoolChoice.Judge(Request(sizeGi: 10), Pool("a", "a", placedGi: volumesGi - 10), []);
        Assert.Equal(isRefused, !candidate.IsPossible);
        if (isRefused) Assert.Contains("more than 10 times its capacity of 100 GiB (MaxOverprovisioning)", Assert.Single(candidate.Refusals), StringComparison.Ordinal);
    }

    [Fact]
    public void EveryReason_IsGiven()
    {
        var pool = Pool("a", "a", freeGi: 0) with { Availability = Availability.Cordoned, AvailabilityReason = "it is cordoned" };
        Assert.Equal(["it has a replica of the volume", "it takes no new replicas: it is cordoned", "it is full"], PoolChoice.Judge(Request() with { Holding = ["a"] }, pool, [pool]).Refusals);
        Assert.Contains("files of a replica that was removed", Assert.Single(PoolChoice.Judge(Request() with { Leaving = ["b"] }, Pool("b", "b"), []).Refusals), StringComparison.Ordinal);
        Assert.Equal(["too few files"], PoolChoice.Judge(Request(), Pool("d", "d") with { Shortage = "too few files" }, []).Refusals);
        Assert.Contains("offline (unplugged)", Assert.Single(PoolChoice.Judge(Request(), Pool("c", "c", freeGi: 0) with { Online = false, Reason = "unplugged" }, []).Refusals), StringComparison.Ordinal);
    }

    [Fact]
    public void Refusals_OfManyPools_AreCutShort()
    {
        var reasons = PoolChoice.ListRefusals(Request(), [.. Enumerable.Range(10, 30).Select(i => Pool($"p{i}", "n") with { Online = false })]);
        Assert.Equal(10, reasons.Split("pool 'p").Length - 1);
        Assert.EndsWith("and 20 more", reasons, StringComparison.Ordinal);
    }

    [Fact]
    public void Explanation_ShowsAllPools_WithTheirPartsAndReasons()
    {
        PoolView[] pools = [Pool("a", "a", "x", placedGi: 1), Pool("b", "b", "x"), Pool("c", "c", "y"), Pool("d", "d", "y", freeGi: 9), Pool("e", "e") with { Online = false, Reason = "away" }];
        var view = PlacementExplanation.Of(Request() with { Holding = ["a"], Staying = ["a"] }, pools, replicas: 2, missing: 1);

        Assert.Equal(["a Holding", "c Chosen", "b Possible", "d Possible", "e Refused"], view.Candidates.Select(candidate => $"{candidate.Pool} {candidate.Verdict}"));
        Assert.Equal("", view.Problem);
        Assert.All(view.Candidates, candidate => Assert.Equal(candidate.Score, candidate.Parts.Sum(part => part.Points)));
        Assert.Equal(-1000, Assert.Single(view.Candidates[2].Parts, part => part.Name == "zone").Points);
        Assert.Contains("zone x has 1", view.Candidates[2].Parts.Single(part => part.Name == "zone").Reason, StringComparison.Ordinal);
        Assert.Empty(view.Candidates[0].Refusals);
        Assert.Contains("1 of 2 replica(s) have no place", PlacementExplanation.Of(Request(), [pools[0], pools[4]], 2, 2).Problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("b=2,a=1", "a=1,b=2")]
    [InlineData(" a = 1 , ", "a=1")]
    [InlineData("", "")]
    public void Selector_HasOneSpelling(string text, string expected) => Assert.Equal(expected, new PlacementPolicy { Selector = text }.Normalize().Selector);

    [Theory]
    [InlineData("ssd", "'ssd' is not a label; write key=value")]
    [InlineData("a=1,a=2", "'a' is there twice")]
    [InlineData("a b=1", "'a b' cannot be the key")]
    [InlineData("a=1 2", "'1 2' cannot be the value of label 'a'")]
    public void Selector_ThatCannotBeRead_SaysWhy(string text, string expected) =>
        Assert.Contains(expected, Assert.Single(new VolumeSpec { SizeBytes = Gi, Placement = new PlacementPolicy { Selector = text } }.Problems()), StringComparison.Ordinal);

    private static PlacementRequest Request(PlacementPolicy? policy = null, long sizeGi = 1) =>
        new() { Volume = "v", SizeBytes = sizeGi * Gi, Policy = policy ?? PlacementPolicy.Default, MaxOverprovisioning = 10 };

    private static PoolView Labelled(string id, string labels) => Pool(id, id) with { Labels = PoolLabels.TryParse(labels, out var parsed, out _) ? parsed : throw new ArgumentException(labels, nameof(labels)) };

    private static PoolView Pool(string id, string node, string zone = "", long freeGi = 50, long placedGi = 0) => new()
    {
        Id = id,
        Node = node,
        Path = "/",
        CapacityBytes = 100 * Gi,
        FreeBytes = freeGi * Gi,
        Replicas = 0,
        Online = true,
        PlacedBytes = placedGi * Gi,
        Labels = zone.Length == 0 ? new Dictionary<string, string>() : new() { [PoolLabels.Zone] = zone },
    };
}
