using OpenEbs.Grains.Tests.Clusters;
using OpenEbs.Replicas;
using OpenEbs.Volumes;
using Xunit;
using static OpenEbs.Grains.Tests.Volumes.TestIo;

namespace OpenEbs.Grains.Tests.Volumes;

/// <summary>Replicas that stay lost are replaced, and their number can be changed while the volume is in use.</summary>
public sealed class ReplacementTests : IAsyncLifetime
{
    private const int Half = 2 << 20;
    private TestNodes _nodes = null!;

    public async Task InitializeAsync()
    {
        _nodes = await TestNodes.StartAsync(4, replacementDelay: TimeSpan.FromSeconds(1));
        await _nodes.Registry.CreateVolumeAsync("disk", new VolumeSpec { SizeBytes = 16L << 20 });
    }

    public async Task DisposeAsync() => await _nodes.DisposeAsync();

    [Fact]
    public async Task NodeStaysAway_ItsReplicaIsReplaced_AndItsFilesAreDeletedWhenItReturns()
    {
        var before = await _nodes.WaitForAsync("disk", view => view.State == VolumeState.Healthy);
        var lost = before.Replicas.First(replica => replica.Node != before.Coordinator);
        var home = _nodes.Cluster.Silos.Single(silo => silo.Name == before.Coordinator);
        var connection = await _nodes.Gateway(home).AttachAsync("disk", Sessions.One(home));
        await WriteAsync(connection, 0, Half, seed: 1);
        await WriteAsync(connection, Half, Half, seed: 1);
        var away = _nodes.Cluster.Silos.Single(silo => silo.Name == lost.Node);

        await _nodes.KillAsync(away);
        await WriteAsync(connection, 0, Half, seed: 2);
        var after = await _nodes.WaitForAsync("disk", view => view.State == VolumeState.Healthy && view.Replicas.All(replica => replica.Id != lost.Id), seconds: 40);

        Assert.Equal(3, after.Replicas.Count);
        Assert.All(after.Replicas, replica => Assert.Equal(ReplicaState.InSync, replica.State));
        Assert.DoesNotContain(after.Replicas, replica => replica.Pool == lost.Pool);
        await VerifyAsync(connection, 0, Half, seed: 2);
        await VerifyAsync(connection, Half, Half, seed: 1);

        var events = await _nodes.Registry.ListEventsAsync("disk", 100);
        var added = Assert.Single(events, e => e.Kind == "ReplicaAdded");
        Assert.Equal(after.Replicas.Select(replica => replica.Id).Except(before.Replicas.Select(replica => replica.Id)), [added.Subject]);
        Assert.Contains($"replica {lost.Id} on pool {lost.Pool} is lost", added.Cause, StringComparison.Ordinal);
        string[] story = [$"ReplicaLeft {lost.Id}", $"ReplicaAdded {added.Subject}", $"ReplicaJoined {added.Subject}", $"ReplicaRemoved {lost.Id}"];
        Assert.Equal(story, events.Select(e => $"{e.Kind} {e.Subject}").Intersect(story));
        Assert.All(events, e => Assert.NotEqual("", e.Cause));

        // The replaced replica must not be needed any more: whatever is left can lose another node.
        await _nodes.StartAgainAsync(away);
        await TestNodes.UntilAsync(
            async () => (await _nodes.Registry.ListPoolsAsync()).Single(pool => pool.Id == lost.Pool) is { Online: true, Replicas: 0 }, "the files of the lost replica are deleted", seconds: 40);
        Assert.Equal(3, (await _nodes.WaitForAsync("disk", view => view.State == VolumeState.Healthy)).Replicas.Count);
        var all = (await _nodes.Registry.ListEventsAsync(null, 1000)).Select(e => $"{e.Kind} {e.Subject}").ToList();
        string[] ofCluster = ["VolumeCreated disk", $"NodeLeft {away.Name}", $"PoolOffline {lost.Pool}", $"PoolOnline {lost.Pool}"];
        Assert.All(ofCluster, expected => Assert.Contains(expected, all));
        await Assert.ThrowsAsync<VolumeNotFoundException>(() => _nodes.Registry.ListEventsAsync("none", 1));
    }

    [Fact]
    public async Task SetReplicas_UpAndDown_KeepsTheDataAndTheFilesFollow()
    {
        var home = await _nodes.CoordinatorAsync("disk");
        var connection = await _nodes.Gateway(home).AttachAsync("disk", Sessions.One(home));
        await WriteAsync(connection, 0, Half, seed: 3);
        await WriteAsync(connection, Half, Half, seed: 3);

        var asked = await _nodes.Registry.SetReplicasAsync("disk", 4, null);
        Assert.Equal((4, 3), (asked.Spec.Replicas, asked.Spec.EffectiveMinInSync));
        await _nodes.WaitForAsync("disk", view => view is { State: VolumeState.Healthy, Replicas.Count: 4 }, seconds: 40);
        await WriteAsync(connection, 0, Half, seed: 4);

        asked = await _nodes.Registry.SetReplicasAsync("disk", 1, null);
        Assert.Equal((1, 1), (asked.Spec.Replicas, asked.Spec.EffectiveMinInSync));
        await _nodes.WaitForAsync("disk", view => view is { State: VolumeState.Healthy, Replicas.Count: 1 }, seconds: 40);
        await TestNodes.UntilAsync(async () => (await _nodes.Registry.ListPoolsAsync()).Sum(pool => pool.Replicas) == 1, "the files of the other replicas are deleted", seconds: 40);
        await VerifyAsync(connection, 0, Half, seed: 4);
        await VerifyAsync(connection, Half, Half, seed: 3);

        // What was chosen stays, and what cannot stay is refused.
        await _nodes.Registry.SetReplicasAsync("disk", 3, 3);
        Assert.Equal(3, (await _nodes.Registry.SetReplicasAsync("disk", 4, null)).Spec.EffectiveMinInSync);
        var tooFew = await Assert.ThrowsAsync<VolumeRequestInvalidException>(() => _nodes.Registry.SetReplicasAsync("disk", 2, null));
        Assert.Contains("min-in-sync is 3", tooFew.Message, StringComparison.Ordinal);
        asked = await _nodes.Registry.SetReplicasAsync("disk", 1, 1);

        // A create with what it is now, or was made as, is the same volume.
        Assert.Equal(asked.Uid, (await _nodes.Registry.CreateVolumeAsync("disk", new VolumeSpec { SizeBytes = 16L << 20, Replicas = 1 })).Uid);
        Assert.Equal(asked.Uid, (await _nodes.Registry.CreateVolumeAsync("disk", new VolumeSpec { SizeBytes = 16L << 20 })).Uid);
    }

    [Fact]
    public async Task SetReplicas_DownThenUp_UsesNoIdTwice()
    {
        var first = (await _nodes.WaitForAsync("disk", view => view.State == VolumeState.Healthy)).Replicas.Select(replica => replica.Id).ToList();
        await _nodes.Registry.SetReplicasAsync("disk", 1, null);
        await _nodes.WaitForAsync("disk", view => view is { State: VolumeState.Healthy, Replicas.Count: 1 }, seconds: 40);

        await _nodes.Registry.SetReplicasAsync("disk", 3, null);
        var after = await _nodes.WaitForAsync("disk", view => view is { State: VolumeState.Healthy, Replicas.Count: 3 }, seconds: 40);

        Assert.Equal(3, after.Replicas.Select(replica => replica.Id).Distinct().Count());
        Assert.Single(after.Replicas, replica => first.Contains(replica.Id));
    }

    [Fact]
    public async Task SetReplicas_WhenRefused_SaysWhyAndChangesNothing()
    {
        var tooMany = await Assert.ThrowsAsync<VolumeUnavailableException>(() => _nodes.Registry.SetReplicasAsync("disk", 5, null));
        Assert.Contains("needs 5 pools", tooMany.Message, StringComparison.Ordinal);
        var invalid = await Assert.ThrowsAsync<VolumeRequestInvalidException>(() => _nodes.Registry.SetReplicasAsync("disk", 2, 3));
        Assert.Contains("min-in-sync is 3", invalid.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<VolumeNotFoundException>(() => _nodes.Registry.SetReplicasAsync("none", 2, null));

        var view = await _nodes.WaitForAsync("disk", view => view.State == VolumeState.Healthy);
        Assert.Equal((3, 2), (view.Spec.Replicas, view.Spec.EffectiveMinInSync));
    }
}
