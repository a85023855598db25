using OpenEbs.Storage.Store;
using OpenEbs.Testing.Devices;
using Xunit;

namespace OpenEbs.Storage.Tests.Store;

/// <summary>StoreStatus.MayHaveLostTail, and which store is opened at all.</summary>
public sealed class LostTailTests
{
    private readonly SimulatedStoreHost _host = new(new SimulatedStorageOptions { Seed = 4 }, SimulatedStoreHost.SmallOptions);

    [Fact]
    public async Task Doubt_BeginsWithPowerLoss_AndStaysUntilEverythingWasSentAgain()
    {
        var store = await OpenAsync(false);
        await store.SetFenceAsync(1);
        await AppendAsync(store, 1);
        _host.Crash(CrashKind.ProcessKill);
        store = await OpenAsync(false);
        await AppendAsync(store, 1);
        _host.Crash(CrashKind.PowerLoss);
        store = await OpenAsync(true);
        _host.Crash(CrashKind.ProcessKill);
        store = await OpenAsync(true);
        await store.CloseAsync();
        store = await OpenAsync(true);

        // Whoever sends operations of the epoch may have more of them to send, and be gone before.
        await store.SetFenceAsync(3);
        await AppendAsync(store, 2);
        await AppendAsync(store, 3);
        Assert.True(store.Status.MayHaveLostTail);
        _host.Crash(CrashKind.ProcessKill);
        store = await OpenAsync(true);
        await AppendAsync(store, 3, endsDoubt: true);
        Assert.False(store.Status.MayHaveLostTail);
        await store.CloseAsync();
        _host.Crash(CrashKind.PowerLoss);
        await OpenAsync(false);
    }

    /// <summary>The segment was created by a process that was killed before it made the directory durable; the next one's flush has to.</summary>
    [Fact]
    public async Task Flush_AfterAKill_AlsoMakesTheKilledProcessesFilesDurable()
    {
        for (var seed = 0; seed < 20; seed++)
        {
            var host = new SimulatedStoreHost(new SimulatedStorageOptions { Seed = seed }, SimulatedStoreHost.SmallOptions);
            var store = await host.OpenAsync();
            await AppendAsync(store, 1);
            host.Crash(CrashKind.ProcessKill);
            store = await host.OpenAsync();
            Assert.Equal(1, await store.FlushAsync());
            host.Crash(CrashKind.PowerLoss);
            Assert.Equal(1, (await host.OpenAsync()).Last.Seq);
        }
    }

    [Fact]
    public async Task Damage_IsRemembered_UntilThereIsANewStore_WhichIsNeverTakenForAWholeOne()
    {
        var device = new SimulatedStorageDevice();
        var options = SimulatedStoreHost.SmallOptions with { BootId = "b", CreateIfAbsent = true };
        var store = await OpenOnAsync(device, options);
        Assert.False(store.Status.IsDamaged);
        await store.MarkDamagedAsync();
        for (var i = 0; i < 60; i++) await AppendAsync(store, 1);
        store.SetCommit(await store.FlushAsync());
        await store.CloseAsync();
        store = await OpenOnAsync(device, options);
        Assert.True(store.Status.IsDamaged);
        Assert.Equal(60, store.Last.Seq);
        await store.DisposeAsync();
        await ReplicaStore.DeleteAsync(device);
        store = await OpenOnAsync(device, options with { CreateRebuilding = true });
        Assert.Equal((false, ReplicaConsistency.Rebuilding), (store.Status.IsDamaged, store.Status.Consistency));
        await store.DisposeAsync();
        store = await OpenOnAsync(device, options with { CreateRebuilding = false });
        Assert.Equal(ReplicaConsistency.Rebuilding, store.Status.Consistency);
        await store.DisposeAsync();
    }

    [Fact]
    public async Task Doubt_EndsWithARebuild()
    {
        var store = await OpenAsync(false);
        await AppendAsync(store, 1);
        _host.Crash(CrashKind.PowerLoss);
        store = await OpenAsync(true);
        await store.BeginRebuildAsync(new LogPosition(4, 50), 0);
        Assert.True(store.Status.MayHaveLostTail);
        await store.EndRebuildAsync();
        Assert.False(store.Status.MayHaveLostTail);
        await store.CloseAsync();
        await OpenAsync(false);
    }

    [Fact]
    public async Task Absent_Foreign_AndHalfStores_AreToldApart()
    {
        var device = new SimulatedStorageDevice();
        var options = SimulatedStoreHost.SmallOptions with { BootId = "b", CreateIfAbsent = false };
        Assert.Contains("no replica here", (await Assert.ThrowsAsync<StoreNotFoundException>(() => OpenOnAsync(device, options))).Message, StringComparison.Ordinal);
        var store = await OpenOnAsync(device, options with { CreateIfAbsent = true });
        await AppendAsync(store, 1);
        await store.CloseAsync();
        var foreign = await Assert.ThrowsAsync<StoreForeignException>(() => OpenOnAsync(device, options with { ReplicaId = "replica-2" }));
        Assert.Contains("holds replica replica-1, not replica-2", foreign.Message, StringComparison.Ordinal);
        device.Lose("superblock");
        await Assert.ThrowsAsync<StoreCorruptException>(() => OpenOnAsync(device, options with { CreateIfAbsent = true }));
        await ReplicaStore.DeleteAsync(device);
        Assert.Empty(device.List());
        await Assert.ThrowsAsync<StoreNotFoundException>(() => OpenOnAsync(device, options));
    }

    [Theory]
    [InlineData("segment-")]
    [InlineData("map-")]
    public async Task File_ThatIsMissing_IsNamed(string prefix)
    {
        var store = await OpenAsync(false);
        for (var i = 0; i < 80; i++) await store.AppendAsync(new StoreBatch(1, i + 1, new[] { TestBlocks.Write(i % 40, [i + 1]) }));
        store.SetCommit(await store.FlushAsync());
        await store.CloseAsync();
        var name = _host.Device.List().Last(n => n.StartsWith(prefix, StringComparison.Ordinal));
        _host.Device.Lose(name);
        var failure = await Assert.ThrowsAsync<StoreCorruptException>(async () => await _host.OpenAsync());
        Assert.Contains("rebuilt from another", failure.Message, StringComparison.Ordinal);
        Assert.Contains("missing", failure.Message, StringComparison.Ordinal);
    }

    private static async Task<IReplicaStore> OpenOnAsync(SimulatedStorageDevice device, ReplicaStoreOptions options) =>
        await ReplicaStore.OpenAsync(device, options, TimeProvider.System, Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance);

    private static async Task AppendAsync(IReplicaStore store, long epoch, bool endsDoubt = false) =>
        await store.AppendAsync(new StoreBatch(epoch, store.Last.Seq + 1, new[] { TestBlocks.Write(5, [7]) }) { EndsDoubt = endsDoubt });

    private async Task<IReplicaStore> OpenAsync(bool inDoubt)
    {
        var store = await _host.OpenAsync();
        Assert.Equal(inDoubt, store.Status.MayHaveLostTail);
        return store;
    }
}
