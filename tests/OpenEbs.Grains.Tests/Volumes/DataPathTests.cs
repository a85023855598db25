using OpenEbs.Buffers;
using OpenEbs.Grains.Gateways;
using OpenEbs.Grains.Tests.Clusters;
using OpenEbs.Volumes;
using Xunit;
using static OpenEbs.Grains.Tests.Volumes.TestIo;

namespace OpenEbs.Grains.Tests.Volumes;

/// <summary>I/O through gateway, volume grain and replica grains, with the volume on the gateway's node and on another.</summary>
public sealed class DataPathTests(ThreeNodes cluster) : IClassFixture<ThreeNodes>, IAsyncLifetime
{
    private readonly TestNodes _nodes = cluster.Nodes;
    private readonly List<(VolumeGateway Gateway, SessionView Session)> _attached = [];

    public async Task InitializeAsync() => await _nodes.Registry.CreateVolumeAsync("disk", new VolumeSpec { SizeBytes = 16L << 20 });

    public async Task DisposeAsync()
    {
        foreach (var (gateway, session) in _attached) gateway.Release("disk", session);
        await _nodes.WaitForAsync("disk", view => view.Sessions.Count == 0);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public async Task AllCommands_FromTheVolumesNodeAndFromAnother_DoWhatTheySay(int gatewayNode)
    {
        var connection = await ConnectAsync(gatewayNode);

        await WriteAsync(connection, 0, 65536, seed: 1);
        await WriteAsync(connection, 1536, 1024, seed: 2);
        await VerifyAsync(connection, 0, 1536, seed: 1);
        await VerifyAsync(connection, 1536, 1024, seed: 2);
        Assert.Equal(IoStatus.Ok, (await connection.FlushAsync()).Status);

        Assert.Equal(IoStatus.Ok, (await connection.WriteZeroesAsync([new ByteRange(4096, 8192), new ByteRange(32768, 4096)], IoFlags.None)).Status);
        Assert.True((await ReadAsync(connection, 4096, 8192)).AsSpan().IndexOfAnyExcept((byte)0) < 0);
        var ranges = await connection.GetProvisioningStatusAsync(0, 10);
        Assert.Equal((0L, 4096L, true), (ranges[0].OffsetBytes, ranges[0].LengthBytes, ranges[0].Mapped));
        Assert.Equal((4096L, 8192L, false), (ranges[1].OffsetBytes, ranges[1].LengthBytes, ranges[1].Mapped));

        using var swap = IoBufferPool.Shared.RentBuffer(1024);
        Fill(swap.Span[..512], 1536, 2);
        swap.Span[512..].Fill(0xAB);
        Assert.Equal(IoStatus.Ok, (await connection.CompareAndWriteAsync(1536, swap, IoFlags.None)).Status);
        var miscompare = await connection.CompareAndWriteAsync(1536, swap, IoFlags.None);
        Assert.Equal(IoStatus.Miscompare, miscompare.Status);
        Assert.True((await ReadAsync(connection, 1536, 512)).AsSpan().IndexOfAnyExcept((byte)0xAB) < 0);
        Assert.Equal(IoStatus.OutOfRange, (await connection.ReadAsync(16L << 20, 512)).Status);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public async Task Buffers_AfterAnyOutcome_AreAllReturned(int gatewayNode)
    {
        var connection = await ConnectAsync(gatewayNode);
        Assert.Equal(IoStatus.Ok, (await connection.FlushAsync()).Status);
        var before = IoBufferPool.Shared.Rented;
        await Task.WhenAll(Enumerable.Range(0, 200).Select(async i =>
        {
            var offset = (long)i * 65536;
            await WriteAsync(connection, offset, 4096 << (i % 5), seed: i);
            await VerifyAsync(connection, offset, 4096, seed: i);
            using var data = Junk(4096);
            Assert.Equal(IoStatus.OutOfRange, (await connection.WriteAsync(1L << 40, data, IoFlags.None)).Status);
            Assert.Equal(IoStatus.Miscompare, (await connection.CompareAndWriteAsync(offset, data, IoFlags.None)).Status);
            Assert.Equal(IoStatus.OutOfRange, (await connection.ReadAsync(-512, 512)).Status);
        }));
        Assert.Equal(IoStatus.Ok, (await connection.FlushAsync()).Status);

        // The coordinator keeps operations until they are durable everywhere and may learn that a little later.
        await TestNodes.UntilAsync(() => IoBufferPool.Shared.Rented <= before, $"buffers rented: {before} before");
        Assert.Equal(before, IoBufferPool.Shared.Rented);
    }

    [Fact]
    public async Task ExternalClient_ReadsAndWrites()
    {
        var volume = _nodes.Cluster.Client.GetGrain<IVolumeGrain>("disk");
        using var data = IoBufferPool.Shared.RentBuffer(8192);
        Fill(data.Span, 8192, 5);

        var written = await volume.WriteAsync(8192, data, IoFlags.ForceUnitAccess);
        var read = await volume.ReadAsync(8192, 8192);

        Assert.Equal(IoStatus.Ok, written.Status);
        Assert.Equal(1, data.References);
        using var answer = read.Data!;
        Assert.True(answer.Span.SequenceEqual(data.Span));
        Assert.NotEqual(0, read.FactsVersion);
    }

    [Fact]
    public async Task Volume_WhenAGatewayAttaches_MovesThere_UnlessAnotherUsesIt()
    {
        foreach (var node in _nodes.Cluster.Silos.ToList())
        {
            var session = Sessions.One(node);
            var connection = await _nodes.Gateway(node).AttachAsync("disk", session);
            Assert.Equal(node.Name, (await _nodes.CoordinatorAsync("disk")).Name);
            await _nodes.WaitForAsync("disk", view => view.Sessions.Any(listed => listed.Node == node.Name));

            var other = _nodes.Cluster.Silos.First(silo => silo != node);
            var guest = Sessions.One(other, "iqn.2026-01.test:guest");
            await _nodes.Gateway(other).AttachAsync("disk", guest);
            await _nodes.WaitForAsync("disk", view => view.Sessions.Count == 2 && view.Coordinator == node.Name);
            _nodes.Gateway(other).Release("disk", guest);
            _nodes.Gateway(node).Release("disk", session);
            await _nodes.WaitForAsync("disk", view => view.Sessions.Count == 0);
        }
    }

    /// <summary>The volume on node 0, whose gateway has a session; the connection through the given node.</summary>
    private async Task<VolumeConnection> ConnectAsync(int gatewayNode)
    {
        var home = await AttachAsync(0);
        await _nodes.WaitForAsync("disk", view => view.Sessions.Count > 0 && view.Coordinator == _nodes.Node(0).Name);
        return gatewayNode == 0 ? home : await AttachAsync(gatewayNode);
    }

    private async Task<VolumeConnection> AttachAsync(int node)
    {
        var session = Sessions.One(_nodes.Node(node));
        _attached.Add((_nodes.Gateway(_nodes.Node(node)), session));
        return await _nodes.Gateway(_nodes.Node(node)).AttachAsync("disk", session);
    }

    private static IoBuffer Junk(int lengthBytes)
    {
        var buffer = IoBufferPool.Shared.RentBuffer(lengthBytes);
        buffer.Span.Fill(0xEE);
        return buffer;
    }
}
