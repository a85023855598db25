using OpenEbs.Grains.Tests.Clusters;
using OpenEbs.Volumes;
using Xunit;
using static OpenEbs.Grains.Tests.Volumes.TestIo;

namespace OpenEbs.Grains.Tests.Volumes;

/// <summary>What rots where nobody reads is found and repaired by a scrub.</summary>
public sealed class ScrubTests : IAsyncLifetime
{
    private const int Bytes = 512 << 10;
    private TestNodes _nodes = null!;

    public async Task InitializeAsync()
    {
        _nodes = await TestNodes.StartAsync(3);
        await _nodes.Registry.CreateVolumeAsync("disk", new VolumeSpec { SizeBytes = 256L << 20 });
    }

    public async Task DisposeAsync() => await _nodes.DisposeAsync();

    [Fact]
    public async Task Scrub_OfAReplicaWithRottenBlocks_RewritesThemAndTellsOfIt()
    {
        var home = await _nodes.CoordinatorAsync("disk");
        var connection = await _nodes.Gateway(home).AttachAsync("disk", Sessions.One(home));
        await WriteAsync(connection, 0, Bytes, seed: 1);
        await WriteAsync(connection, 200 << 20, Bytes, seed: 2);
        Assert.Equal(IoStatus.Ok, (await connection.FlushAsync()).Status);
        var victim = (await _nodes.WaitForAsync("disk", view => view.State == VolumeState.Healthy)).Replicas.First(replica => replica.Node != home.Name);
        var rotten = Rot(victim.Pool, 200 << 20, seed: 2);
        Assert.Equal(1, rotten);
        var volume = _nodes.Cluster.Client.GetGrain<IVolumeGrain>("disk");

        await volume.ScrubAsync();
        await _nodes.WaitForAsync("disk", view => view is { IsScrubbing: false, LastScrubAt: not null });

        var found = Assert.Single(await _nodes.Registry.ListEventsAsync("disk", 100), e => e.Kind == "BadBlocks");
        Assert.Equal((victim.Id, $"1 from block {((200 << 20) / 4096) + 3} on, 1 rewritten from good copies"), (found.Subject, found.After));
        Assert.DoesNotContain(await _nodes.Registry.ListEventsAsync("disk", 100), e => e.Kind == "ReplicasDiffer");

        // A second one finds nothing.
        var first = (await volume.DescribeAsync()).LastScrubAt;
        await volume.ScrubAsync();
        await _nodes.WaitForAsync("disk", view => !view.IsScrubbing && view.LastScrubAt > first);
        Assert.Single(await _nodes.Registry.ListEventsAsync("disk", 100), e => e.Kind == "BadBlocks");
        await VerifyAsync(connection, 0, Bytes, seed: 1);
        await VerifyAsync(connection, 200 << 20, Bytes, seed: 2);
    }

    /// <summary>Flips a bit in the fourth block of what was written at an offset, in every place of the pool's segments that holds it; returns how many there are.</summary>
    private int Rot(string pool, long offset, int seed)
    {
        var wanted = new byte[Bytes];
        Fill(wanted, offset, seed);
        var block = wanted.AsSpan(3 * 4096, 4096);
        var count = 0;
        foreach (var file in Directory.EnumerateFiles(_nodes.DirectoryOf(pool), "*", SearchOption.AllDirectories))
        {
            if (file.EndsWith(".lock", StringComparison.Ordinal)) continue;
            using var stream = new FileStream(file, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
            var page = new byte[4096];
            for (long at = 0; at + page.Length <= stream.Length; at += page.Length)
            {
                stream.Position = at;
                stream.ReadExactly(page);
                if (!page.AsSpan().SequenceEqual(block)) continue;
                stream.Position = at + 100;
                stream.WriteByte((byte)(page[100] ^ 4));
                count++;
            }
        }

        return count;
    }
}
