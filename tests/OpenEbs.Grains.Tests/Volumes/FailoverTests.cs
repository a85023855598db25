using Microsoft.Extensions.DependencyInjection;
using OpenEbs.Grains.Gateways;
using OpenEbs.Grains.Tests.Clusters;
using OpenEbs.Grains.Volumes;
using OpenEbs.Replicas;
using OpenEbs.Replication.Replicas;
using OpenEbs.Volumes;
using Orleans.GrainDirectory;
using Orleans.Runtime;
using Xunit;
using static OpenEbs.Grains.Tests.Volumes.TestIo;

namespace OpenEbs.Grains.Tests.Volumes;

/// <summary>Nodes die, return and stand in twice while an initiator writes; it notices nothing but time.</summary>
public sealed class FailoverTests : IAsyncLifetime
{
    private const int Regions = 16;
    private const int RegionBytes = 65536;
    private readonly int[] _seeds = new int[Regions];
    private TestNodes _nodes = null!;

    public async Task InitializeAsync()
    {
        _nodes = await TestNodes.StartAsync(3);
        await _nodes.Registry.CreateVolumeAsync("disk", new VolumeSpec { SizeBytes = 16L << 20 });
    }

    public async Task DisposeAsync() => await _nodes.DisposeAsync();

    [Fact]
    public async Task KillingTheCoordinatorsNode_UnderLoad_FailsNoCommandAndLosesNothing()
    {
        var home = _nodes.Node(1);
        await _nodes.Gateway(home).AttachAsync("disk", Sessions.One(home));
        await _nodes.WaitForAsync("disk", view => view.Coordinator == home.Name && view.Sessions.Count == 1);
        var connection = await _nodes.Gateway(_nodes.Node(2)).AttachAsync("disk", Sessions.One(_nodes.Node(2)));
        using var load = new Load(this, connection);
        await load.ProgressAsync(50);

        await _nodes.KillAsync(home);
        await load.ProgressAsync(50);

        await load.StopAsync();
        var view = await _nodes.WaitForAsync("disk", view => view.State == VolumeState.Degraded);
        Assert.Equal(_nodes.Node(1).Name, view.Coordinator);
        Assert.Equal(home.Name, Assert.Single(view.Replicas, replica => replica.State != ReplicaState.InSync).Node is "" ? home.Name : "");
        await VerifyAllAsync(connection);

        await _nodes.StartAgainAsync(home);
        await _nodes.WaitForAsync("disk", v => v.State == VolumeState.Healthy);
        await VerifyAllAsync(connection);
    }

    [Fact]
    public async Task StoppingTheCoordinatorsNode_UnderLoad_HandsTheVolumeOver()
    {
        var home = _nodes.Node(1);
        await _nodes.Gateway(home).AttachAsync("disk", Sessions.One(home));
        await _nodes.WaitForAsync("disk", view => view.Coordinator == home.Name && view.Sessions.Count == 1);
        var connection = await _nodes.Gateway(_nodes.Node(2)).AttachAsync("disk", Sessions.One(_nodes.Node(2)));
        using var load = new Load(this, connection);
        await load.ProgressAsync(50);

        await _nodes.Cluster.StopSiloAsync(home);
        await load.ProgressAsync(50);

        await load.StopAsync();
        await VerifyAllAsync(connection);
        Assert.Equal(0, connection.Attachment.DataLossCount);

        // Nobody found out that its replica was gone: it had said so.
        var left = Assert.Single(await _nodes.Registry.ListEventsAsync("disk", 100), happened => happened.Kind == "ReplicaLeft");
        Assert.Equal(ReplicaSession.LeavingReason, left.Cause);
    }

    [Fact]
    public async Task ASecondActivation_UnderLoad_FencesTheFirst_AndHarmsNothing()
    {
        var home = _nodes.Node(1);
        var first = await _nodes.Gateway(home).AttachAsync("disk", Sessions.One(home));
        using var load = new Load(this, first);
        await load.ProgressAsync(50);
        var epoch = first.Attachment.Epoch;

        // The directory forgets the activation, and a node asks for the volume that never did before: any other may remember where it is. Now there are two.
        var fresh = await _nodes.Cluster.StartAdditionalSiloAsync();
        var directory = _nodes.Node(0).ServiceProvider.GetRequiredKeyedService<IGrainDirectory>(GrainDirectoryAttribute.DEFAULT_GRAIN_DIRECTORY);
        var grain = GrainId.Create(VolumeGrain.TypeName, "disk");
        await directory.Unregister((await directory.Lookup(grain))!);
        var second = await _nodes.Gateway(fresh).AttachAsync("disk", Sessions.One(fresh));
        Assert.True(second.Attachment.Epoch > epoch);
        await load.ProgressAsync(50);

        await load.StopAsync();
        await VerifyAllAsync(first);
        await VerifyAllAsync(second);
    }

    [Fact]
    public async Task MetadataStoreAway_WhenAReplicaIsLost_HoldsWritesUntilItIsBack()
    {
        var home = _nodes.Node(0);
        var connection = await _nodes.Gateway(home).AttachAsync("disk", Sessions.One(home));
        using var load = new Load(this, connection);
        await load.ProgressAsync(50);

        _nodes.Metadata.IsDown = true;
        await _nodes.KillAsync(_nodes.Node(2));
        var blocked = WriteAsync(connection, 8 << 20, 4096, seed: 1);
        await Task.WhenAny(blocked, Task.Delay(TimeSpan.FromSeconds(2)));
        Assert.False(blocked.IsCompleted, "a write was acknowledged although the record still names a replica that lacks it");

        _nodes.Metadata.IsDown = false;
        await blocked;
        await load.ProgressAsync(50);
        await load.StopAsync();
        await VerifyAllAsync(connection);
    }

    [Fact]
    public async Task APoolThatVanishes_GoesOffline_AndTheVolumeServesOn()
    {
        var home = _nodes.Node(0);
        var connection = await _nodes.Gateway(home).AttachAsync("disk", Sessions.One(home));
        using var load = new Load(this, connection);
        await load.ProgressAsync(20);
        var pool = (await _nodes.Registry.ListPoolsAsync()).Single(pool => pool.Node == _nodes.Node(2).Name);

        Directory.Move(pool.Path, pool.Path + ".away");
        await _nodes.WaitForAsync("disk", view => view.State == VolumeState.Degraded);
        await load.ProgressAsync(20);
        var offline = (await _nodes.Registry.ListPoolsAsync()).Single(p => p.Id == pool.Id);
        Assert.False(offline.Online);
        Assert.Contains("vanished", offline.Reason, StringComparison.Ordinal);

        Directory.Move(pool.Path + ".away", pool.Path);
        await _nodes.WaitForAsync("disk", view => view.State == VolumeState.Healthy);
        await load.StopAsync();
        await VerifyAllAsync(connection);
    }

    [Fact]
    public async Task DeleteVolume_WhileANodeIsAway_RemovesItsReplicaWhenTheNodeReturns()
    {
        var view = await _nodes.Registry.CreateVolumeAsync("partly", new VolumeSpec { SizeBytes = 64L << 20 });
        var away = _nodes.Cluster.Silos.First(silo => silo.Name != view.Coordinator && silo != _nodes.Cluster.Silos[0]);
        await _nodes.KillAsync(away);
        await _nodes.WaitForAsync("partly", v => v.State == VolumeState.Degraded);

        Assert.True(await _nodes.Registry.DeleteVolumeAsync("partly"));
        Assert.Equal(["disk"], await _nodes.Registry.ListVolumeNamesAsync());
        var pools = await _nodes.Registry.ListPoolsAsync();
        Assert.Equal(away.Name, Assert.Single(pools, pool => !pool.Online).Node);

        await _nodes.StartAgainAsync(away);
        await TestNodes.UntilAsync(async () => (await _nodes.Registry.ListPoolsAsync()).All(pool => pool is { Online: true, Replicas: 1 }), "the replica on the returned node is removed");
    }

    private async Task VerifyAllAsync(VolumeConnection connection)
    {
        for (var region = 0; region < Regions; region++)
        {
            if (_seeds[region] > 0) await VerifyAsync(connection, region * RegionBytes, RegionBytes, _seeds[region]);
        }
    }

    /// <summary>Writers that each own some regions of the volume, and read back what they wrote.</summary>
    private sealed class Load : IDisposable
    {
        private readonly CancellationTokenSource _stop = new();
        private readonly Task _writers;
        private long _done;

        public Load(FailoverTests test, VolumeConnection connection) =>
            _writers = Task.WhenAll(Enumerable.Range(0, Regions).Select(region => Task.Run(() => RunAsync(test._seeds, connection, region))));

        /// <summary>Waits for so many more rounds; fails at once when a writer failed.</summary>
        public async Task ProgressAsync(int rounds)
        {
            var goal = Interlocked.Read(ref _done) + rounds;
            await TestNodes.UntilAsync(() => _writers.IsFaulted || Interlocked.Read(ref _done) >= goal, $"{rounds} more rounds of load");
            if (_writers.IsFaulted) await _writers;
        }

        public async Task StopAsync()
        {
            await _stop.CancelAsync();
            await _writers;
        }

        public void Dispose()
        {
            _stop.Cancel();
            _stop.Dispose();
        }

        private async Task RunAsync(int[] seeds, VolumeConnection connection, int region)
        {
            for (var seed = 1; !_stop.IsCancellationRequested; seed++)
            {
                await WriteAsync(connection, region * RegionBytes, RegionBytes, seed);
                seeds[region] = seed;
                await VerifyAsync(connection, region * RegionBytes, RegionBytes, seed);
                if (seed % 10 == 0) Assert.Equal(IoStatus.Ok, (await connection.FlushAsync()).Status);
                Interlocked.Increment(ref _done);
            }
        }
    }
}

/// <summary>The embedded case: one node with all pools.</summary>
public sealed class SingleNodeTests
{
    [Fact]
    public async Task StoppingTheOnlyNode_ClosesEverything_AndAStartFindsItAgain()
    {
        await using var nodes = await TestNodes.StartAsync(1, poolsPerNode: 3);
        await nodes.Registry.CreateVolumeAsync("disk", new VolumeSpec { SizeBytes = 16L << 20 });
        var node = nodes.Node(0);
        var connection = await nodes.Gateway(node).AttachAsync("disk", Sessions.One(node));
        await WriteAsync(connection, 0, 65536, seed: 1);

        var watch = System.Diagnostics.Stopwatch.StartNew();
        await nodes.Cluster.StopSiloAsync(node);
        await node.DisposeAsync();
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(15), $"stopping took {watch.Elapsed}");

        var again = await nodes.StartAgainAsync(node);
        var reconnected = await nodes.Gateway(again).AttachAsync("disk", Sessions.One(again));
        await VerifyAsync(reconnected, 0, 65536, seed: 1);
        Assert.Equal(0, reconnected.Attachment.DataLossCount);
        var view = await again.ServiceProvider.GetRequiredService<IGrainFactory>().GetGrain<IVolumeGrain>("disk").DescribeAsync();
        Assert.Equal(VolumeState.Healthy, view.State);
        Assert.Equal(3, view.Replicas.Select(replica => replica.Pool).Distinct().Count());
    }
}
