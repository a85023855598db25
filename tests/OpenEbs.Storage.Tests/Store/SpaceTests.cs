using OpenEbs.Storage.Devices;
using OpenEbs.Storage.Store;
using OpenEbs.Testing.Devices;
using Xunit;
using Xunit.Abstractions;

namespace OpenEbs.Storage.Tests.Store;

/// <summary>How much space a replica takes, and what it does without any (promise P8).</summary>
public sealed class SpaceTests(ITestOutputHelper output)
{
    private const int SegmentBytes = 256 * 1024;
    private const long ReserveBytes = 8 << 20;
    private long _stamp = 1;

    private static ReplicaStoreOptions Options => SimulatedStoreHost.SmallOptions with
    {
        SegmentBytes = SegmentBytes, CheckpointLogBytes = 1 << 20, MaxCachedLeaves = 64, MaxDirtyLeaves = 512, ReserveBytes = ReserveBytes, CompactionSlackSegments = 4,
    };

    /// <summary>Segments twice the live data, and: two slacks, free ones and those that wait for a checkpoint; the log of two checkpoints; one file of map pages.</summary>
    [Fact]
    public async Task RandomOverwrites_StayBelowTwiceTheLiveData()
    {
        const int blocks = 4096;
        var host = new SimulatedStoreHost(new SimulatedStorageOptions { Seed = 1 }, Options);
        var store = await host.OpenAsync();
        var random = new Random(1);
        var highest = 0.0;
        for (var i = 0; i < 12_000; i++)
        {
            // The first pass writes it all, so that the data are live from then on.
            var count = i < blocks / 8 ? 8 : random.Next(1, 9);
            await AppendAsync(store, i < blocks / 8 ? i * 8 : random.Next(blocks - count), count);
            if (i % 8 == 0)
            {
                store.SetCommit(await store.FlushAsync());
                for (var steps = 0; steps < 8 && await store.MaintainAsync(); steps++)
                {
                }
            }

            if (i > blocks / 8) highest = Math.Max(highest, host.Device.UsedBytes);
        }

        const long live = blocks * 4096L;
        const long constant = (14 * SegmentBytes) + (2 << 20) + (4 << 20);
        output.WriteLine($"live {live >> 20} MiB, at most {highest / (1 << 20):f1} MiB occupied, constant {constant >> 20} MiB: {(highest - constant) / live:f2} x live");
        Assert.InRange(highest, live, (2.0 * live) + constant);
        Assert.Equal(host.Device.UsedBytes, store.Status.UsedBytes);
    }

    /// <summary>Of memory it takes less: full segments are dropped from the page cache once they are on media, each once, if reads go to another replica.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task SegmentsThatAreReadElsewhere_LeaveThePageCache(bool isReadElsewhere)
    {
        var host = new SimulatedStoreHost(new SimulatedStorageOptions { Seed = 1 }, Options);
        IReplicaStore store = await host.OpenAsync();
        store.IsReadElsewhere = isReadElsewhere;
        for (var i = 0; i < 512; i++)
        {
            await AppendAsync(store, i * 8, 8);
            if (i % 40 == 0) await store.FlushAsync();
        }

        var beforeLast = host.Device.DroppedBytes;
        await store.FlushAsync();
        await store.FlushAsync();
        const int recordsPerSegment = ((SegmentBytes / 4096) - 1) / 9;
        const long full = 512 / recordsPerSegment * (long)SegmentBytes;
        Assert.InRange(beforeLast, 0, full - SegmentBytes);
        Assert.Equal(isReadElsewhere ? full : 0, host.Device.DroppedBytes);
    }

    [Fact]
    public async Task Unmap_OfEverything_GivesTheSpaceBack()
    {
        var host = new SimulatedStoreHost(new SimulatedStorageOptions { Seed = 1 }, Options);
        var store = await host.OpenAsync();
        for (var i = 0; i < 512; i++) await AppendAsync(store, i * 8, 8);
        await AppendAsync(store, TestBlocks.Unmap(0, 4096));
        store.SetCommit(await store.FlushAsync());
        while (await store.MaintainAsync())
        {
        }

        Assert.InRange(host.Device.UsedBytes, 0, (8 * SegmentBytes) + (5 << 20));
    }

    [Fact]
    public async Task FullDevice_RefusesWrites_DoesAllElse_AndGoesOnWhenThereIsRoom()
    {
        var host = new SimulatedStoreHost(new SimulatedStorageOptions { Seed = 1, CapacityBytes = 40 << 20 }, Options);
        var store = await host.OpenAsync();
        var full = await FillAsync(store);
        var (before, data) = (store.Status, new byte[8 * 4096]);
        Assert.True(full > 1000, $"only {full} blocks fitted");
        await Assert.ThrowsAsync<StorageFullException>(async () => await AppendAsync(store, 0, 20));
        Assert.Equivalent(before with { UsedBytes = 0, WritableBytes = 0 }, store.Status with { UsedBytes = 0, WritableBytes = 0 });
        Assert.InRange(store.WritableBytes, 0, SegmentBytes);
        await store.ReadAsync(8, 8, data);
        Assert.Equal(2, TestBlocks.StampOf(data.AsSpan(0, 4096)) & 2);

        await store.SetFenceAsync(5);
        await AppendAsync(store, TestBlocks.Mark());
        await AppendAsync(store, TestBlocks.Unmap(0, 8));
        await store.TruncateAsync(store.Last.Seq - 1);
        await store.CloseAsync();
        await store.DisposeAsync();
        store = await host.OpenAsync();
        for (var i = 0; i < 20; i++) await AppendAsync(store, TestBlocks.Unmap(i * 16, 16));
        await AppendAsync(store, TestBlocks.Unmap(0, full / 2));
        store.SetCommit(await store.FlushAsync());
        while (await store.MaintainAsync())
        {
        }

        for (var i = 0; i < full / 4; i += 8) await AppendAsync(store, i, 8);
        await store.FlushAsync();
        await store.ReadAsync(0, 8, data);
        Assert.True(TestBlocks.StampOf(data.AsSpan(0, 4096)) > 0);
        await store.ReadAsync((full * 3 / 4) & ~7, 8, data);
        Assert.True(TestBlocks.StampOf(data.AsSpan(0, 4096)) > 0);
    }

    /// <summary>Overwriting needs no more room than what it replaces gives back, once compaction has seen to it.</summary>
    [Fact]
    public async Task FullDevice_TakesOverwrites_WhileCompactionFindsRoom()
    {
        var host = new SimulatedStoreHost(new SimulatedStorageOptions { Seed = 1, CapacityBytes = 40 << 20 }, Options);
        var store = await host.OpenAsync();
        var full = await FillAsync(store);
        await AppendAsync(store, TestBlocks.Unmap(full / 2, full));
        var random = new Random(3);
        var refused = 0;
        for (var i = 0; i < 3000; i++)
        {
            try
            {
                await AppendAsync(store, random.Next(full / 2 - 8), 8);
            }
            catch (StorageFullException)
            {
                refused++;
            }

            store.SetCommit(await store.FlushAsync());
            for (var steps = 0; steps < 20 && await store.MaintainAsync(); steps++)
            {
            }
        }

        Assert.InRange(refused, 0, 5);
    }

    /// <summary>A checkpoint whose pages find no space goes on where it was: none of them may be missing from it, for their data would read as zeros after the next opening.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task CheckpointOnADeviceWithoutAnySpace_IsWholeOnceThereIsSome(int seed)
    {
        var host = new SimulatedStoreHost(new SimulatedStorageOptions { Seed = seed, CapacityBytes = 40 << 20 }, Options);
        var store = await host.OpenAsync();
        for (var i = 0; i < 64; i++) await AppendAsync(store, i * 256, 8);
        store.SetCommit(await store.FlushAsync());
        var capacity = host.Device.CapacityBytes;
        var (refused, steps, random) = (0, 0, new Random(seed));
        host.Device.CapacityBytes = host.Device.UsedBytes;
        for (var goesOn = true; goesOn && steps < 2000; steps++)
        {
            try
            {
                goesOn = await store.MaintainAsync();
            }
            catch (StorageFullException)
            {
                // One page at a time, so that it stops in the middle, again and again.
                refused++;
                host.Device.CapacityBytes = host.Device.UsedBytes + (4096 * random.Next(1, 3));
            }
        }

        Assert.True(refused > 3, $"the checkpoint found space at once ({refused} times it did not, {steps} steps)");
        host.Device.CapacityBytes = capacity;
        host.Crash(CrashKind.ProcessKill);
        store = await host.OpenAsync();
        var data = new byte[8 * 4096];
        for (var i = 0; i < 64; i++)
        {
            await store.ReadAsync(i * 256, 8, data);
            Assert.Equal((8 * i) + 1L | 2, TestBlocks.StampOf(data.AsSpan(0, 4096)));
        }
    }

    /// <summary>Operations that have their place in the order are taken out of the reserve, page by page: opening anew on a full device costs no segment each time.</summary>
    [Fact]
    public async Task FullDevice_IsOpenedAgainAndAgain_OutOfTheReserve()
    {
        var host = new SimulatedStoreHost(new SimulatedStorageOptions { Seed = 1, CapacityBytes = 40 << 20 }, Options with { ReserveBytes = 1 << 20 });
        var store = await host.OpenAsync();
        await FillAsync(store);
        for (var i = 0; i < 20; i++)
        {
            host.Crash(CrashKind.ProcessKill);
            store = await host.OpenAsync();
            await store.AppendAsync(new StoreBatch(Math.Max(1, store.FenceEpoch), store.Last.Seq + 1, new[] { TestBlocks.Write(i, [_stamp++ | 2]) }) { MayUseReserve = true });
            store.SetCommit(await store.FlushAsync());
        }

        Assert.InRange(store.WritableBytes, 0, SegmentBytes);
        Assert.InRange(host.Device.FreeBytes, 1, 1 << 20);
    }

    /// <summary>Writes until the device is full; how many blocks fitted.</summary>
    private async Task<int> FillAsync(IReplicaStore store)
    {
        for (var i = 0; ; i += 8)
        {
            try
            {
                await AppendAsync(store, i, 8);
            }
            catch (StorageFullException failure)
            {
                Assert.Contains("free space", failure.Message, StringComparison.Ordinal);
                return i;
            }

            store.SetCommit(await store.FlushAsync());
            for (var steps = 0; steps < 4 && await store.MaintainAsync(); steps++)
            {
            }
        }
    }

    private async ValueTask AppendAsync(IReplicaStore store, long block, int count)
    {
        var stamps = new long[count];
        for (var i = 0; i < count; i++) stamps[i] = _stamp++ | 2;
        await AppendAsync(store, TestBlocks.Write(block, stamps));
    }

    private static ValueTask AppendAsync(IReplicaStore store, StoreOperation operation) =>
        store.AppendAsync(new StoreBatch(Math.Max(1, store.FenceEpoch), store.Last.Seq + 1, new[] { operation }));
}
