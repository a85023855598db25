using OpenEbs.Buffers;
using OpenEbs.Grains.Tests.Clusters;
using OpenEbs.Replicas;
using OpenEbs.Volumes;
using Xunit;

namespace OpenEbs.Grains.Tests.Volumes;

/// <summary>Creating, describing, resizing and deleting through the registry.</summary>
public sealed class VolumeLifecycleTests(ThreeNodes cluster) : IClassFixture<ThreeNodes>
{
    private static readonly VolumeSpec Spec = new() { SizeBytes = 64L << 20 };
    private readonly TestNodes _nodes = cluster.Nodes;

    [Fact]
    public async Task CreateVolume_Twice_IsOneVolume_OnThreeNodes()
    {
        var created = await _nodes.Registry.CreateVolumeAsync("twice", Spec);
        var again = await _nodes.Registry.CreateVolumeAsync("twice", Spec with { MinInSync = 2 });

        Assert.Equal(created.Uid, again.Uid);
        Assert.Equal(VolumeState.Healthy, again.State);
        Assert.Equal("iqn.2016-09.com.openebs.orleans:twice", again.TargetName);
        Assert.Equal(3, again.Portals.Count);
        Assert.Equal(3, again.Replicas.Select(replica => replica.Node).Distinct().Count());
        Assert.All(again.Replicas, replica => Assert.Equal(ReplicaState.InSync, replica.State));
        Assert.Contains("twice", await _nodes.Registry.ListVolumeNamesAsync());
        Assert.Equal(3, (await _nodes.Registry.ListReplicasAsync()).Count(replica => replica.Volume == "twice"));
    }

    [Fact]
    public async Task CreateVolume_ConcurrentlyWithOneSpec_IsOneVolume()
    {
        var before = (await _nodes.Registry.ListPoolsAsync()).Sum(pool => pool.Replicas);
        var views = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => _nodes.Registry.CreateVolumeAsync("race", Spec)));

        Assert.Single(views.Select(view => view.Uid).Distinct());
        Assert.Equal(before + 3, (await _nodes.Registry.ListPoolsAsync()).Sum(pool => pool.Replicas));
    }

    [Fact]
    public async Task CreateVolume_WhenRefused_SaysWhatAndWhy()
    {
        await _nodes.Registry.CreateVolumeAsync("taken", Spec);

        var other = await Assert.ThrowsAsync<VolumeAlreadyExistsException>(() => _nodes.Registry.CreateVolumeAsync("taken", Spec with { Replicas = 1 }));
        Assert.Contains("3 replicas", other.Message, StringComparison.Ordinal);
        var invalid = await Assert.ThrowsAsync<VolumeRequestInvalidException>(() => _nodes.Registry.CreateVolumeAsync("Bad_Name", Spec with { SizeBytes = 1000 }));
        Assert.Contains("'Bad_Name'", invalid.Message, StringComparison.Ordinal);
        Assert.Contains("1000 bytes", invalid.Message, StringComparison.Ordinal);
        var tooMany = await Assert.ThrowsAsync<VolumeUnavailableException>(() => _nodes.Registry.CreateVolumeAsync("wide", Spec with { Replicas = 5 }));
        Assert.Contains("needs 5 pools", tooMany.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("wide", await _nodes.Registry.ListVolumeNamesAsync());
    }

    [Fact]
    public async Task DeleteVolume_RemovesReplicasAndRecords_AndTheNameIsFreeAgain()
    {
        var before = (await _nodes.Registry.ListPoolsAsync()).Sum(pool => pool.Replicas);
        var first = await _nodes.Registry.CreateVolumeAsync("brief", Spec);

        Assert.True(await _nodes.Registry.DeleteVolumeAsync("brief"));
        Assert.False(await _nodes.Registry.DeleteVolumeAsync("brief"));

        Assert.DoesNotContain("brief", await _nodes.Registry.ListVolumeNamesAsync());
        Assert.Equal(before, (await _nodes.Registry.ListPoolsAsync()).Sum(pool => pool.Replicas));
        Assert.DoesNotContain(_nodes.Metadata.Keys(), key => key.EndsWith("brief", StringComparison.Ordinal));
        var volume = _nodes.Cluster.Client.GetGrain<IVolumeGrain>("brief");
        await Assert.ThrowsAsync<VolumeNotFoundException>(async () => await volume.AttachAsync());
        Assert.Equal(IoStatus.Gone, (await volume.ReadAsync(0, 4096)).Status);
        var second = await _nodes.Registry.CreateVolumeAsync("brief", Spec);
        Assert.NotEqual(first.Uid, second.Uid);
    }

    [Fact]
    public async Task Resize_GrowsTheVolumeForThoseAttached_AndRefusesToShrink()
    {
        await _nodes.Registry.CreateVolumeAsync("grow", Spec);
        var gateway = _nodes.Gateway(_nodes.Node(0));
        var connection = await gateway.AttachAsync("grow", Sessions.One(_nodes.Node(0)));
        var changed = new TaskCompletionSource<VolumeAttachment>(TaskCreationOptions.RunContinuationsAsynchronously);
        connection.AttachmentChanged += attachment => changed.TrySetResult(attachment);
        var volume = _nodes.Cluster.Client.GetGrain<IVolumeGrain>("grow");

        await volume.ResizeAsync(Spec.SizeBytes * 2);
        using var data = IoBufferPool.Shared.RentBuffer(4096);
        data.Span.Fill(7);
        Assert.Equal(IoStatus.Ok, (await connection.WriteAsync(Spec.SizeBytes, data, IoFlags.None)).Status);

        Assert.Equal(Spec.SizeBytes * 2, (await changed.Task.WaitAsync(TimeSpan.FromSeconds(10))).SizeBytes);
        var shrink = await Assert.ThrowsAsync<VolumeRequestInvalidException>(async () => await volume.ResizeAsync(Spec.SizeBytes));
        Assert.Contains("cannot shrink", shrink.Message, StringComparison.Ordinal);
        Assert.Equal((await volume.DescribeAsync()).Uid, (await _nodes.Registry.CreateVolumeAsync("grow", Spec with { SizeBytes = Spec.SizeBytes * 2 })).Uid);
    }

    [Fact]
    public async Task ListNodes_TellsWhatEachNodeIs()
    {
        var nodes = await _nodes.Registry.ListNodesAsync();

        Assert.Equal(3, nodes.Count);
        Assert.All(nodes, node =>
        {
            Assert.Equal("Active", node.Status);
            Assert.Equal([$"{node.Name}-0"], node.Pools);
            Assert.Contains("gateway", node.Roles);
            Assert.NotEmpty(node.Portal);
        });
    }
}
