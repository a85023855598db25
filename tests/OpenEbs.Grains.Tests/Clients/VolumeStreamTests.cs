using OpenEbs.Client;
using OpenEbs.Grains.Tests.Clusters;
using OpenEbs.Volumes;
using Xunit;

namespace OpenEbs.Grains.Tests.Clients;

/// <summary>The client library against a cluster, from outside it.</summary>
public sealed class VolumeStreamTests(ThreeNodes cluster) : IClassFixture<ThreeNodes>
{
    private readonly OpenEbsClient _client = new(cluster.Nodes.Cluster.Client, TimeProvider.System);

    [Theory]
    [InlineData(512)]
    [InlineData(4096)]
    public async Task Stream_AtAnyOffset_BehavesLikeAFile(int blockLength)
    {
        var name = $"stream-{blockLength}";
        await _client.CreateVolumeAsync(name, new VolumeSpec { SizeBytes = 8 << 20, BlockLength = blockLength });
        var model = new MemoryStream(new byte[8 << 20]);
        var random = new Random(blockLength);
        await using (var stream = await _client.OpenVolumeAsync(name))
        {
            Assert.Equal(model.Length, stream.Length);
            for (var i = 0; i < 60; i++)
            {
                var position = random.NextInt64(model.Length);
                var bytes = new byte[Math.Min(random.Next(1, i % 10 == 0 ? 3 << 20 : 20_000), model.Length - position)];
                random.NextBytes(bytes);
                stream.Position = model.Position = position;
                if (i % 2 == 0)
                {
                    await stream.WriteAsync(bytes);
                    model.Write(bytes);
                }
                else
                {
                    var expected = new byte[bytes.Length];
                    model.ReadExactly(expected);
                    await stream.ReadExactlyAsync(bytes);
                    Assert.True(bytes.AsSpan().SequenceEqual(expected), $"{bytes.Length} bytes at {position} differ");
                }

                Assert.Equal(model.Position, stream.Position);
            }
        }

        await using var again = await _client.OpenVolumeAsync(name);
        var all = new byte[model.Length];
        await again.ReadExactlyAsync(all);
        Assert.True(all.AsSpan().SequenceEqual(model.ToArray()));
        Assert.Equal(0, await again.ReadAsync(all));
    }

    [Fact]
    public async Task Stream_Synchronously_AndPastItsEnd()
    {
        await _client.CreateVolumeAsync("sync", new VolumeSpec { SizeBytes = 1 << 20 });
        using var stream = await _client.OpenVolumeAsync("sync");
        stream.Seek(-10, SeekOrigin.End);
        Assert.Throws<EndOfStreamException>(() => stream.Write(new byte[11], 0, 11));
        stream.Write([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 0, 10);
        stream.Flush();
        stream.Seek(-4, SeekOrigin.Current);
        var tail = new byte[8];
        Assert.Equal(4, stream.Read(tail, 0, 8));
        Assert.Equal([7, 8, 9, 10, 0, 0, 0, 0], tail);
        Assert.Throws<NotSupportedException>(() => stream.SetLength(5));
    }

    [Fact]
    public async Task Client_DescribesAndDeletes()
    {
        await _client.CreateVolumeAsync("facade", new VolumeSpec { SizeBytes = 1 << 20, Replicas = 2 });
        await _client.ResizeVolumeAsync("facade", 2 << 20);

        Assert.Equal(2 << 20, (await _client.DescribeVolumeAsync("facade")).Spec.SizeBytes);
        Assert.Equal(2, (await _client.ListReplicasAsync()).Count(replica => replica.Volume == "facade"));
        Assert.Contains(await _client.ListVolumesAsync(), volume => volume.Name == "facade");
        Assert.Equal(3, (await _client.ListPoolsAsync()).Count);
        Assert.Equal(3, (await _client.ListNodesAsync()).Count);
        Assert.True(await _client.DeleteVolumeAsync("facade"));
        await Assert.ThrowsAsync<VolumeNotFoundException>(() => _client.OpenVolumeAsync("facade"));
        await Assert.ThrowsAsync<VolumeNotFoundException>(() => _client.DescribeVolumeAsync("No Name"));
    }
}
