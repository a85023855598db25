using OpenEbs.Grains.Tests.Clusters;
using OpenEbs.Nodes;
using OpenEbs.Pools;
using OpenEbs.Replicas;
using OpenEbs.Volumes;
using Orleans.Runtime;
using Xunit;
using static OpenEbs.Grains.Tests.Volumes.TestIo;

namespace OpenEbs.Grains.Tests.Volumes;

/// <summary>Nodes and pools are cordoned, drained and removed while volumes are in use.</summary>
public sealed class DrainTests : IAsyncLifetime
{
    private const int Part = 1 << 20;
    private TestNodes _nodes = null!;

    public async Task InitializeAsync()
    {
        _nodes = await TestNodes.StartAsync(4, replacementDelay: TimeSpan.FromMinutes(10));
        await _nodes.Registry.CreateVolumeAsync("disk", new VolumeSpec { SizeBytes = 16L << 20 });
    }

    public async Task DisposeAsync() => await _nodes.DisposeAsync();

    [Fact]
    public async Task CordonedPool_TakesNoReplica_UntilUncordoned()
    {
        var all = await _nodes.Registry.ListPoolsAsync();
        var node = all[0].Node;
        var view = await _nodes.Registry.SetNodeAvailabilityAsync(node, Availability.Cordoned);
        await _nodes.Registry.SetPoolAvailabilityAsync(all[1].Id, Availability.Cordoned);
        Assert.Equal(Availability.Cordoned, view.Availability);
        var pools = await _nodes.Registry.ListPoolsAsync();
        Assert.Equal([Availability.Cordoned, Availability.Cordoned, Availability.Available, Availability.Available], pools.Select(pool => pool.Availability));
        Assert.Contains($"its node {node} is cordoned", pools[0].AvailabilityReason, StringComparison.Ordinal);

        var two = await _nodes.Registry.CreateVolumeAsync("two", new VolumeSpec { SizeBytes = 16L << 20, Replicas = 2 });
        Assert.DoesNotContain(two.Replicas, replica => replica.Pool == all[0].Id || replica.Pool == all[1].Id);
        var refused = await Assert.ThrowsAsync<VolumeUnavailableException>(() => _nodes.Registry.CreateVolumeAsync("three", new VolumeSpec { SizeBytes = 16L << 20 }));
        Assert.Contains($"pool '{all[1].Id}'", refused.Message, StringComparison.Ordinal);
        Assert.Contains("uncordon", refused.Message, StringComparison.Ordinal);

        // A pool is no more available than its node.
        Assert.Equal(Availability.Cordoned, (await _nodes.Registry.SetPoolAvailabilityAsync(all[0].Id, Availability.Available)).Availability);
        Assert.Equal(Availability.Available, (await _nodes.Registry.SetNodeAvailabilityAsync(node, Availability.Available)).Availability);
        await _nodes.Registry.CreateVolumeAsync("three", new VolumeSpec { SizeBytes = 16L << 20 });

        var events = (await _nodes.Registry.ListEventsAsync(null, 1000)).Select(e => $"{e.Kind} {e.Subject} {e.Before}>{e.After}").ToList();
        Assert.Contains($"NodeCordoned {node} Available>Cordoned", events);
        Assert.Contains($"NodeUncordoned {node} Cordoned>Available", events);
        Assert.Contains($"PoolCordoned {all[1].Id} Available>Cordoned", events);
        await Assert.ThrowsAsync<NodeNotFoundException>(() => _nodes.Registry.SetNodeAvailabilityAsync("none", Availability.Cordoned));
        await Assert.ThrowsAsync<PoolNotFoundException>(() => _nodes.Registry.PlanPoolDrainAsync("none"));
    }

    [Fact]
    public async Task DrainedNode_LosesTheCoordinator_ThoughTheVolumeIsUsedThroughIt_AndGetsItBack()
    {
        var home = _nodes.Node(1);
        var connection = await _nodes.Gateway(home).AttachAsync("disk", Sessions.One(home));
        await _nodes.WaitForAsync("disk", view => view.Coordinator == home.Name && view.Sessions.Count == 1);
        await WriteAsync(connection, 0, Part, seed: 1);

        await _nodes.Registry.SetNodeAvailabilityAsync(home.Name, Availability.Draining);
        await _nodes.WaitForAsync("disk", view => view.Coordinator.Length > 0 && view.Coordinator != home.Name);
        await VerifyAsync(connection, 0, Part, seed: 1);

        // A gateway that asks anew does not draw it back, until its node is to stay.
        connection.Refresh();
        await WriteAsync(connection, Part, Part, seed: 2);
        Assert.NotEqual(home.Name, (await _nodes.WaitForAsync("disk", view => view.Sessions.Count == 1)).Coordinator);
        await _nodes.Registry.SetNodeAvailabilityAsync(home.Name, Availability.Available);
        connection.Refresh();
        await _nodes.WaitForAsync("disk", view => view.Coordinator == home.Name);
        await VerifyAsync(connection, Part, Part, seed: 2);
    }

    [Fact]
    public async Task DrainedNode_LosesReplicasAndCoordinators_ThenItsProcess_ThenIsForgotten()
    {
        var before = await _nodes.WaitForAsync("disk", view => view.State == VolumeState.Healthy);
        var leaving = before.Replicas[0];

        // Another volume without initiators, whose coordinator is there.
        await _nodes.Registry.CreateVolumeAsync("idle", new VolumeSpec { SizeBytes = 16L << 20, Replicas = 1 });
        var home = _nodes.Cluster.Silos.First(silo => silo.Name != leaving.Node);
        var connection = await _nodes.Gateway(home).AttachAsync("disk", Sessions.One(home));
        await WriteAsync(connection, 0, Part, seed: 1);

        var plan = await _nodes.Registry.PlanNodeDrainAsync(leaving.Node);
        var move = Assert.Single(plan.Moves, move => move.Volume == "disk");
        Assert.Equal((leaving.Id, leaving.Pool, false), (move.Replica, move.FromPool, move.IsStuck));
        Assert.DoesNotContain(before.Replicas, replica => replica.Pool == move.ToPool);
        Assert.Equal(Availability.Available, (await _nodes.Registry.ListNodesAsync()).Single(node => node.Name == leaving.Node).Availability);

        var needed = await Assert.ThrowsAsync<StillNeededException>(() => _nodes.Registry.RemoveNodeAsync(leaving.Node));
        Assert.Contains("is running", needed.Message, StringComparison.Ordinal);
        var draining = await _nodes.Registry.SetNodeAvailabilityAsync(leaving.Node, Availability.Draining);
        Assert.Equal(plan.Moves.Count, draining.Drain!.ReplicasAtStart);

        // In use all the while, and never with fewer in sync than wanted.
        var fewest = 3;
        for (var i = 0; ; i++)
        {
            await WriteAsync(connection, i % 8 * Part, Part, seed: i);
            fewest = Math.Min(fewest, (await _nodes.WaitForAsync("disk", _ => true)).Replicas.Count(replica => replica.State == ReplicaState.InSync));
            var node = (await _nodes.Registry.ListNodesAsync()).Single(node => node.Name == leaving.Node);
            if (node.Availability == Availability.Drained)
            {
                Assert.Equal(0, node.Drain!.ReplicasLeft);
                await VerifyAsync(connection, i % 8 * Part, Part, seed: i);
                break;
            }

            Assert.True(i < 4000, $"not drained: {node.Drain}");
        }

        Assert.Equal(3, fewest);
        var after = await _nodes.WaitForAsync("disk", view => view is { State: VolumeState.Healthy, Replicas.Count: 3 });
        Assert.DoesNotContain(after.Replicas, replica => replica.Node == leaving.Node);
        Assert.Contains(after.Replicas, replica => replica.Pool == move.ToPool);
        Assert.Equal(0, (await _nodes.Registry.ListPoolsAsync()).Single(pool => pool.Id == leaving.Pool).Replicas);
        await _nodes.WaitForAsync("idle", view => view.Coordinator != leaving.Node && view.State == VolumeState.Healthy);

        // A cordon does not undo it; and it survives another activation of the registry.
        Assert.Equal(Availability.Drained, (await _nodes.Registry.SetNodeAvailabilityAsync(leaving.Node, Availability.Cordoned)).Availability);
        await _nodes.KillAsync(_nodes.Cluster.Silos.Single(silo => silo.Name == leaving.Node));
        await TestNodes.UntilAsync(async () => await TryRemoveAsync(leaving.Node), "the stopped node can be removed", seconds: 30);
        Assert.DoesNotContain(await _nodes.Registry.ListNodesAsync(), node => node.Name == leaving.Node);
        Assert.DoesNotContain(await _nodes.Registry.ListPoolsAsync(), pool => pool.Id == leaving.Pool);
        var events = (await _nodes.Registry.ListEventsAsync(null, 1000)).Select(e => $"{e.Kind} {e.Subject}").ToList();
        string[] story = [$"NodeDraining {leaving.Node}", $"ReplicaRemoved {leaving.Id}", $"NodeDrained {leaving.Node}", $"NodeRemoved {leaving.Node}"];
        Assert.Equal(story, events.Intersect(story));
    }

    [Fact]
    public async Task Drain_WithoutAPlace_SaysSo_GoesOnWhenThereIsOne_AndUncordonStopsIt()
    {
        var view = await _nodes.WaitForAsync("disk", view => view.State == VolumeState.Healthy);
        var free = (await _nodes.Registry.ListPoolsAsync()).Single(pool => view.Replicas.All(replica => replica.Pool != pool.Id)).Id;
        var leaving = view.Replicas[0];
        await _nodes.Registry.SetPoolAvailabilityAsync(free, Availability.Cordoned);
        Assert.True(Assert.Single((await _nodes.Registry.PlanPoolDrainAsync(leaving.Pool)).Moves).IsStuck);
        await _nodes.Registry.SetPoolAvailabilityAsync(leaving.Pool, Availability.Draining);

        var stuck = await _nodes.WaitForAsync("disk", volume => volume.Concern.Length > 0);
        Assert.Contains($"replica {leaving.Id} leaves pool {leaving.Pool}, which drains", stuck.Concern, StringComparison.Ordinal);
        var pool = (await _nodes.Registry.ListPoolsAsync()).Single(pool => pool.Id == leaving.Pool);
        Assert.Equal((Availability.Draining, 1, 1), (pool.Availability, pool.Drain!.ReplicasLeft, pool.Drain.ReplicasAtStart));
        Assert.Contains("volume disk", Assert.Single(pool.Drain.Obstacles), StringComparison.Ordinal);
        Assert.Single(await _nodes.Registry.ListEventsAsync("disk", 100), e => e.Kind == "ReplicaUnplaced");

        await _nodes.Registry.SetPoolAvailabilityAsync(leaving.Pool, Availability.Available);
        await _nodes.WaitForAsync("disk", volume => volume.Concern.Length == 0);
        Assert.Single(await _nodes.Registry.ListEventsAsync("disk", 100), e => e.Kind == "ReplicaPlaced");

        await _nodes.Registry.SetPoolAvailabilityAsync(leaving.Pool, Availability.Draining);
        await _nodes.WaitForAsync("disk", volume => volume.Concern.Length > 0);
        await _nodes.Registry.SetPoolAvailabilityAsync(free, Availability.Available);
        await _nodes.WaitForAsync("disk", volume => volume.Concern.Length == 0 && volume.State == VolumeState.Healthy && volume.Replicas.Count == 3 && volume.Replicas.All(replica => replica.Pool != leaving.Pool), seconds: 40);
        await TestNodes.UntilAsync(async () => (await _nodes.Registry.ListPoolsAsync()).Single(other => other.Id == leaving.Pool) is { Availability: Availability.Drained, Replicas: 0 }, "the pool is drained", seconds: 40);

        var needed = await Assert.ThrowsAsync<StillNeededException>(() => _nodes.Registry.RemovePoolAsync(leaving.Pool));
        Assert.Contains("configuration", needed.Message, StringComparison.Ordinal);
        needed = await Assert.ThrowsAsync<StillNeededException>(() => _nodes.Registry.RemovePoolAsync(free));
        Assert.Contains("of volume disk", needed.Message, StringComparison.Ordinal);
    }

    private async Task<bool> TryRemoveAsync(string node)
    {
        try
        {
            await _nodes.Registry.RemoveNodeAsync(node);
            return true;
        }
        catch (Exception failure) when (failure is StillNeededException or OrleansException or TimeoutException)
        {
            // Not declared dead yet.
            return false;
        }
    }
}
