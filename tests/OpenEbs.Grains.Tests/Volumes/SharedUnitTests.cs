using OpenEbs.Buffers;
using OpenEbs.Grains.Gateways;
using OpenEbs.Grains.Tests.Clusters;
using OpenEbs.Volumes;
using Xunit;

namespace OpenEbs.Grains.Tests.Volumes;

/// <summary>What a volume's gateways share: one order for all, I/O checked against an old version is refused, nothing is lost with a node.</summary>
public sealed class SharedUnitTests : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private TestNodes _nodes = null!;

    public async Task InitializeAsync()
    {
        _nodes = await TestNodes.StartAsync(3);
        await _nodes.Registry.CreateVolumeAsync("disk", new VolumeSpec { SizeBytes = 16L << 20 });
    }

    public async Task DisposeAsync() => await _nodes.DisposeAsync();

    [Fact]
    public async Task Change_ThroughOneGateway_ShutsOutIoThatTheOtherCheckedBefore()
    {
        var one = await ConnectAsync(0);
        var two = await ConnectAsync(1);
        Assert.True(await two.Unit.RefreshAsync(Patience, default));
        var before = two.Unit.State.Version;
        Assert.Equal(IoStatus.Ok, await WriteAsync(two, before));
        Assert.True(await one.Unit.RefreshAsync(Patience, default));
        Assert.Equal(IoStatus.Ok, await one.Unit.ChangeAsync(before, "", "reserved by one", drains: true, default));
        Assert.Equal("reserved by one", one.Unit.State.Passing);

        // The other has not heard of it.
        Assert.Equal(before, two.Unit.State.Version);
        Assert.Equal(IoStatus.Outdated, await WriteAsync(two, before));
        Assert.Equal("reserved by one", two.Unit.State.Passing);
        Assert.Equal(IoStatus.Ok, await WriteAsync(two, two.Unit.State.Version));
        Assert.Equal(IoStatus.Outdated, (await two.ReadAsync(0, 4096, before)).Status);
        Assert.Equal(IoStatus.Outdated, (await two.FlushAsync(before)).Status);
        Assert.Equal(IoStatus.Outdated, (await two.WriteZeroesAsync([new ByteRange(0, 4096)], IoFlags.None, before)).Status);
        using var compare = IoBufferPool.Shared.RentBuffer(8192);
        Assert.Equal(IoStatus.Outdated, (await two.CompareAndWriteAsync(0, compare, IoFlags.None, before)).Status);

        // Only one of two changes of the same version is made.
        var version = two.Unit.State.Version;
        Assert.Equal(IoStatus.Ok, await two.Unit.ChangeAsync(version, "", "two", drains: false, default));
        Assert.Equal(IoStatus.Outdated, await one.Unit.ChangeAsync(version, "", "one", drains: false, default));
        Assert.Equal("two", one.Unit.State.Passing);
    }

    [Fact]
    public async Task State_SurvivesTheLossOfItsNode()
    {
        var home = _nodes.Node(0);
        await _nodes.Gateway(home).AttachAsync("disk", Sessions.One(home));
        await _nodes.WaitForAsync("disk", view => view.Coordinator == home.Name && view.Sessions.Count == 1);
        var other = await _nodes.Gateway(_nodes.Node(1)).AttachAsync("disk", Sessions.One(_nodes.Node(1)));
        Assert.True(await other.Unit.RefreshAsync(Patience, default));
        Assert.Equal(IoStatus.Ok, await other.Unit.ChangeAsync(other.Unit.State.Version, "lasting", "passing", drains: false, default));
        var version = other.Unit.State.Version;
        await _nodes.KillAsync(home);
        Assert.Equal(IoStatus.Ok, await WriteAsync(other, version));
        Assert.True(await other.Unit.RefreshAsync(Patience, default));
        Assert.Equal((version, "lasting", "passing"), (other.Unit.State.Version, other.Unit.State.Lasting, other.Unit.State.Passing));
    }

    private async Task<VolumeConnection> ConnectAsync(int node) => await _nodes.Gateway(_nodes.Node(node)).AttachAsync("disk", Sessions.One(_nodes.Node(node)));

    private static async Task<IoStatus> WriteAsync(VolumeConnection connection, long version)
    {
        using var data = IoBufferPool.Shared.RentBuffer(4096);
        return (await connection.WriteAsync(0, data, IoFlags.None, version)).Status;
    }
}
