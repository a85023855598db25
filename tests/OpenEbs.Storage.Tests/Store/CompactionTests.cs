using OpenEbs.Storage.Formats;
using OpenEbs.Storage.Store;
using OpenEbs.Testing.Devices;
using Xunit;

namespace OpenEbs.Storage.Tests.Store;

/// <summary>Compaction of a replica that is read elsewhere: its segments have left the page cache, or may have, and are read from media.</summary>
public sealed class CompactionTests
{
    private const int SegmentBytes = 256 * 1024;
    private const int BlocksPerRecord = 8;
    private const int Blocks = 1024;
    private readonly long[] _stamps = new long[2 * Blocks];
    private long _stamp = 1;

    public enum Damage
    {
        None,
        Block,
        FirstHeader,
        LaterHeader,
    }

    private static ReplicaStoreOptions Options => SimulatedStoreHost.SmallOptions with { SegmentBytes = SegmentBytes, CheckpointLogBytes = 1 << 20, MaxCachedLeaves = 64, MaxDirtyLeaves = 512, CompactionSlackSegments = 2 };

    /// <summary>What rotted on media while the cache still had it whole is moved out of the cache: it is the last good copy of this replica, and would leave with the segment's pages.</summary>
    [Theory]
    [InlineData(Damage.None)]
    [InlineData(Damage.Block)]
    [InlineData(Damage.FirstHeader)]
    [InlineData(Damage.LaterHeader)]
    public async Task WhatIsBadOnMediaOnly_IsTakenFromTheCache(Damage damage)
    {
        var (host, store, file) = await PrepareAsync();
        if (damage != Damage.None) Assert.True(host.Device.FlipMediaBit(file, OffsetOf(damage), 3), "it is not on media yet");

        await CompactAsync(store);

        await UseFreeFilesAsync(store);
        host.Crash(CrashKind.PowerLoss);
        store = await host.OpenAsync();
        Assert.Empty(await BadBlocksAsync(store));
        Assert.True(IsFreeOrNew(host.Device, file), $"{file} was not emptied");
    }

    /// <summary>A block that is bad wherever one looks stays bad, and stays in its segment.</summary>
    [Fact]
    public async Task BadBlock_IsNeitherMovedNorServed()
    {
        var (host, store, file) = await PrepareAsync();
        var stamp = TestBlocks.StampOf(host.Device.ReadMediaBytes(file).AsSpan((int)OffsetOf(Damage.Block) / FormatTags.PageBytes * FormatTags.PageBytes, FormatTags.PageBytes));
        host.Device.FlipBit(file, OffsetOf(Damage.Block), 3);

        await CompactAsync(store);

        await UseFreeFilesAsync(store);
        host.Crash(CrashKind.PowerLoss);
        store = await host.OpenAsync();
        Assert.Equal([Array.IndexOf(_stamps, stamp)], await BadBlocksAsync(store));
        Assert.False(IsFreeOrNew(host.Device, file), $"{file} was given to another segment though a block lives in it");
    }

    /// <summary>A store with several segments of which one block in four lives, on media and not cached as far as the store knows; and the first of their files.</summary>
    private async Task<(SimulatedStoreHost Host, IReplicaStore Store, string File)> PrepareAsync()
    {
        var host = new SimulatedStoreHost(new SimulatedStorageOptions { Seed = 1 }, Options);
        IReplicaStore store = await host.OpenAsync();
        store.IsReadElsewhere = true;
        for (var i = 0; i < Blocks; i += BlocksPerRecord) await AppendAsync(store, i, BlocksPerRecord);
        var file = host.Device.List().First(name => name.StartsWith("segment-", StringComparison.Ordinal));
        for (var i = 0; i < Blocks; i += BlocksPerRecord) await AppendAsync(store, i, BlocksPerRecord * 3 / 4);

        // Segments leave the cache with the flush after the one that put them on media.
        for (var i = 0; i < 8; i++) store.SetCommit(await store.FlushAsync());
        Assert.True(host.Device.DroppedBytes >= 4 * SegmentBytes, $"only {host.Device.DroppedBytes} bytes were dropped");
        return (host, store, file);
    }

    private static async Task CompactAsync(IReplicaStore store)
    {
        // It rests before it does what is not urgent.
        for (var (rests, steps) = (0, 0); rests < 16; steps++)
        {
            Assert.True(steps < 10_000, "it never ends");
            if (!await store.MaintainAsync()) rests++;
            store.SetCommit(await store.FlushAsync());
        }
    }

    /// <summary>Files that are kept free are begun anew by what is appended next.</summary>
    private async Task UseFreeFilesAsync(IReplicaStore store)
    {
        for (var i = 0; i < 4 * SegmentBytes / TestBlocks.BlockBytes; i += BlocksPerRecord) await AppendAsync(store, Blocks + i, BlocksPerRecord);
        await store.FlushAsync();
    }

    /// <summary>Behind the segment's header: a record of one header page and eight blocks, of which the last two still live, and the next.</summary>
    private static long OffsetOf(Damage damage) => damage switch
    {
        Damage.FirstHeader => FormatTags.PageBytes + 20,
        Damage.LaterHeader => ((2 + BlocksPerRecord) * FormatTags.PageBytes) + 20,
        Damage.Block => ((1 + BlocksPerRecord) * FormatTags.PageBytes) + 1000,
        _ => throw new ArgumentOutOfRangeException(nameof(damage), damage, "There is no damage at any place."),
    };

    /// <summary>Deleted, or begun again behind all that was there.</summary>
    private static bool IsFreeOrNew(SimulatedStorageDevice device, string file) =>
        !device.List().Contains(file) || SegmentHeader.Read(device.ReadAllBytes(file).AsSpan(0, FormatTags.PageBytes)) is not { Number: 1 };

    private async Task<List<int>> BadBlocksAsync(IReplicaStore store)
    {
        var bad = new List<int>();
        var data = new byte[TestBlocks.BlockBytes];
        for (var i = 0; i < Blocks; i++)
        {
            try
            {
                await store.ReadAsync(i, 1, data);
                Assert.Equal(_stamps[i], TestBlocks.StampOf(data));
            }
            catch (BadBlockException)
            {
                bad.Add(i);
            }
        }

        return bad;
    }

    private ValueTask AppendAsync(IReplicaStore store, int block, int count)
    {
        for (var i = block; i < block + count; i++) _stamps[i] = _stamp++ << 2;
        return store.AppendAsync(new StoreBatch(Math.Max(1, store.FenceEpoch), store.Last.Seq + 1, new[] { TestBlocks.Write(block, _stamps.AsSpan(block, count)) }));
    }
}
