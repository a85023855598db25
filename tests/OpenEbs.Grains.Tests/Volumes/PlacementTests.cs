using OpenEbs.Grains.Tests.Clusters;
using OpenEbs.Pools;
using OpenEbs.Volumes;
using Xunit;

namespace OpenEbs.Grains.Tests.Volumes;

/// <summary>A volume's placement policy in a cluster of four nodes in two zones.</summary>
public sealed class PlacementTests : IAsyncLifetime
{
    private static readonly VolumeSpec HardZone = new() { SizeBytes = 16L << 20, Replicas = 2, Placement = new PlacementPolicy { Zone = AntiAffinity.Hard } };
    private TestNodes _nodes = null!;

    public async Task InitializeAsync() => _nodes = await TestNodes.StartAsync(4, replacementDelay: TimeSpan.FromSeconds(1), zones: 2);

    public async Task DisposeAsync() => await _nodes.DisposeAsync();

    [Fact]
    public async Task HardZone_Holds_ForCreation_MoreReplicas_AndReplacement()
    {
        var plan = await _nodes.Registry.PlanVolumeAsync("disk", HardZone);
        Assert.Equal(2, plan.Candidates.Where(candidate => candidate.Verdict == PoolVerdict.Chosen).Select(candidate => candidate.Zone).Distinct().Count());
        Assert.Empty(await _nodes.Registry.ListVolumeNamesAsync());
        var view = await _nodes.Registry.CreateVolumeAsync("disk", HardZone);
        Assert.Equal(plan.Candidates.Where(candidate => candidate.Verdict == PoolVerdict.Chosen).Select(candidate => candidate.Pool).Order(), view.Replicas.Select(replica => replica.Pool).Order());
        Assert.Equal(AntiAffinity.Hard, view.Spec.EffectivePlacement.Zone);

        // The same spec is the same volume; another policy is another one.
        Assert.Equal(view.Uid, (await _nodes.Registry.CreateVolumeAsync("disk", HardZone)).Uid);
        await Assert.ThrowsAsync<VolumeAlreadyExistsException>(() => _nodes.Registry.CreateVolumeAsync("disk", HardZone with { Placement = null }));
        var three = await Assert.ThrowsAsync<VolumeUnavailableException>(() => _nodes.Registry.CreateVolumeAsync("three", HardZone with { Replicas = 3 }));
        Assert.Contains("two may not share a zone", three.Message, StringComparison.Ordinal);
        three = await Assert.ThrowsAsync<VolumeUnavailableException>(() => _nodes.Registry.SetReplicasAsync("disk", 3, null));
        Assert.Contains("two may not share a zone", three.Message, StringComparison.Ordinal);

        // Whichever is lost, another in its zone comes, and no other.
        var lost = view.Replicas.First(replica => replica.Node != view.Coordinator);
        var zone = plan.Candidates.Single(candidate => candidate.Pool == lost.Pool).Zone;
        var spare = plan.Candidates.Single(candidate => candidate.Zone == zone && candidate.Pool != lost.Pool).Pool;
        await _nodes.KillAsync(_nodes.Cluster.Silos.Single(silo => silo.Name == lost.Node));
        var after = await _nodes.WaitForAsync("disk", now => now.State == VolumeState.Healthy && now.Replicas.All(replica => replica.Id != lost.Id), seconds: 60);
        Assert.Contains(after.Replicas, replica => replica.Pool == spare);

        var why = await _nodes.Registry.ExplainPlacementAsync("disk");
        Assert.Equal(2, why.Candidates.Count(candidate => candidate.Verdict == PoolVerdict.Holding));
        Assert.Contains(why.Candidates.Single(candidate => candidate.Pool == lost.Pool).Refusals, reason => reason.StartsWith("it is offline", StringComparison.Ordinal));
        await Assert.ThrowsAsync<VolumeNotFoundException>(() => _nodes.Registry.ExplainPlacementAsync("none"));
    }

    [Fact]
    public async Task NothingFits_TheVolumeSaysWhy()
    {
        var view = await _nodes.Registry.CreateVolumeAsync("disk", HardZone);
        var lost = view.Replicas.First(replica => replica.Node != view.Coordinator);
        var pools = await _nodes.Registry.ListPoolsAsync();
        var zone = pools.Single(pool => pool.Id == lost.Pool).Labels[PoolLabels.Zone];
        var spare = pools.Single(pool => pool.Labels[PoolLabels.Zone] == zone && pool.Id != lost.Pool);
        Assert.Equal(view.Spec.SizeBytes, pools.Single(pool => pool.Id == lost.Pool).PlacedBytes);
        await _nodes.Registry.SetPoolAvailabilityAsync(spare.Id, Availability.Cordoned);

        await _nodes.KillAsync(_nodes.Cluster.Silos.Single(silo => silo.Name == lost.Node));
        var stuck = await _nodes.WaitForAsync("disk", now => now.Concern.Length > 0, seconds: 60);
        Assert.Contains($"replica {lost.Id} on pool {lost.Pool} is lost", stuck.Concern, StringComparison.Ordinal);
        Assert.Contains($"pool '{spare.Id}': it takes no new replicas: it is cordoned", stuck.Concern, StringComparison.Ordinal);
        Assert.Contains("two may not share a zone", stuck.Concern, StringComparison.Ordinal);
        Assert.NotEqual("", (await _nodes.Registry.ExplainPlacementAsync("disk")).Problem);

        await _nodes.Registry.SetPoolAvailabilityAsync(spare.Id, Availability.Available);
        await _nodes.WaitForAsync("disk", now => now.State == VolumeState.Healthy && now.Concern.Length == 0 && now.Replicas.Any(replica => replica.Pool == spare.Id), seconds: 60);
    }

    [Fact]
    public async Task Overprovisioning_IsRefused_WithTheCure()
    {
        var capacity = (await _nodes.Registry.ListPoolsAsync()).Max(pool => pool.CapacityBytes);
        var size = Math.Min(VolumeSpec.MaxSizeBytes, (capacity * 11) / 4096 * 4096);
        if (size < capacity * 10) return; // A disk so large that no volume is too large for it.
        var refused = await Assert.ThrowsAsync<VolumeUnavailableException>(() => _nodes.Registry.CreateVolumeAsync("vast", new VolumeSpec { SizeBytes = size, Replicas = 1 }));
        Assert.Contains("more than 10 times its capacity", refused.Message, StringComparison.Ordinal);
        Assert.Contains("make the volume smaller", refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("vast", await _nodes.Registry.ListVolumeNamesAsync());

        // Nor can a small one grow to that.
        await _nodes.Registry.CreateVolumeAsync("small", new VolumeSpec { SizeBytes = 16L << 20, Replicas = 1 });
        var small = _nodes.Cluster.Client.GetGrain<IVolumeGrain>("small");
        refused = await Assert.ThrowsAsync<VolumeUnavailableException>(() => small.ResizeAsync(size).AsTask());
        Assert.Contains("more than 10 times its capacity", refused.Message, StringComparison.Ordinal);
        await small.ResizeAsync(32L << 20);
    }
}
