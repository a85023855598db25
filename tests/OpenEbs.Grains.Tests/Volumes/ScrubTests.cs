using OpenEbs.Grains.Tests.Clusters;
using OpenEbs.Pools;
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

    [Fact]
    public async Task Scrub_OfAPoolWhoseMediaFail_PutsEverythingRight_AndHasThePoolDrained()
    {
        var home = await _nodes.CoordinatorAsync("disk");
        var connection = await _nodes.Gateway(home).AttachAsync("disk", Sessions.One(home));
        await WriteAsync(connection, 0, Bytes, seed: 3);
        Assert.Equal(IoStatus.Ok, (await connection.FlushAsync()).Status);
        var victim = (await _nodes.WaitForAsync("disk", view => view.State == VolumeState.Healthy)).Replicas.First(replica => replica.Node != home.Name);

        // The copy of the record is written beside the opening.
        var files = Path.Combine(_nodes.DirectoryOf(victim.Pool), "replicas", victim.Id);
        for (var i = 0; i < 100 && !File.Exists(Path.Combine(files, "volume.json")); i++) await Task.Delay(100);
        for (var block = 0; block < 12; block++) Assert.Equal(1, Rot(victim.Pool, 0, seed: 3, block));
        Flip(Path.Combine(files, "volume.json"), 5);

        var view = await ScrubWithBadSuperblockAsync(files);
        Assert.Equal((12, 12, 0, 0), (view.LastScrub!.BadBlocks, view.LastScrub.RepairedBlocks, view.LastScrub.DifferingBlocks, view.LastScrub.DamagedReplicas));
        Assert.True(view.LastScrub.CheckedBytes > 3 * Bytes);

        // The copy of the record may have been written anew before it was looked at, for a scrub that begins changes the record; and so may the superblock, by a checkpoint. Then there is nothing to repair.
        for (var tries = 0; view.LastScrub!.RepairedStructures == 0 && tries < 10; tries++) view = await ScrubWithBadSuperblockAsync(files);
        Assert.InRange(view.LastScrub.RepairedStructures, 1, 2);
        var repaired = Assert.Single(await _nodes.Registry.ListEventsAsync("disk", 100), e => e.Kind == "StoreRepaired");
        Assert.Equal(victim.Id, repaired.Subject);
        Assert.StartsWith("1 of 2 superblocks were damaged: written anew", repaired.After, StringComparison.Ordinal);
        var marked = await PoolAsync(victim.Pool, pool => pool.Suspicion.Length > 0);
        Assert.InRange(marked.MediaErrors.Count, 13, 14);
        Assert.Equal(Availability.Draining, marked.Availability);
        Assert.Contains("its media fail: 1", marked.AvailabilityReason, StringComparison.Ordinal);
        Assert.Single(await _nodes.Registry.ListEventsAsync(null, 100), e => e.Kind == "PoolSuspected" && e.Subject == victim.Pool);

        // Who trusts it again takes the mark away, and what was before does not count any more.
        await _nodes.Registry.SetPoolAvailabilityAsync(victim.Pool, Availability.Available);
        await Task.Delay(TimeSpan.FromSeconds(3));
        var trusted = await PoolAsync(victim.Pool, pool => pool.Availability == Availability.Available);
        Assert.Equal("", trusted.Suspicion);
        Assert.Single(await _nodes.Registry.ListEventsAsync(null, 100), e => e.Kind == "PoolTrusted");
        Assert.Single(await _nodes.Registry.ListEventsAsync(null, 100), e => e.Kind == "PoolSuspected");
        await VerifyAsync(connection, 0, Bytes, seed: 3);
    }

    private async Task<VolumeView> ScrubWithBadSuperblockAsync(string files)
    {
        var before = (await _nodes.Cluster.Client.GetGrain<IVolumeGrain>("disk").DescribeAsync()).LastScrubAt;
        Flip(Path.Combine(files, "superblock"), 4096 + 300);
        await _nodes.Cluster.Client.GetGrain<IVolumeGrain>("disk").ScrubAsync();
        return await _nodes.WaitForAsync("disk", view => view is { IsScrubbing: false, LastScrub: not null } && view.LastScrubAt != before);
    }

    private async Task<PoolView> PoolAsync(string id, Func<PoolView, bool> wanted)
    {
        for (var tries = 0; ; tries++)
        {
            var pool = (await _nodes.Registry.ListPoolsAsync()).Single(pool => pool.Id == id);
            if (wanted(pool) || tries == 100) return pool;
            await Task.Delay(100);
        }
    }

    private static void Flip(string file, int offset)
    {
        using var stream = new FileStream(file, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        stream.Position = offset;
        var old = stream.ReadByte();
        stream.Position = offset;
        stream.WriteByte((byte)(old ^ 4));
    }

    /// <summary>Flips a bit in a block of what was written at an offset, in every place of the pool's segments that holds it; returns how many there are.</summary>
    private int Rot(string pool, long offset, int seed, int number = 3)
    {
        var wanted = new byte[Bytes];
        Fill(wanted, offset, seed);
        var block = wanted.AsSpan(number * 4096, 4096);
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
