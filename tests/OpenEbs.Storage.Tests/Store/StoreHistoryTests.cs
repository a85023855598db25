using OpenEbs.Testing.Devices;
using OpenEbs.Testing.Store;
using Xunit;

namespace OpenEbs.Storage.Tests.Store;

/// <summary>Random histories of every call, against the model.</summary>
public sealed class StoreHistoryTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task MemoryStore_DoesWhatTheModelSays(int seed)
    {
        for (var i = 0; i < 20; i++)
        {
            var run = new StoreRun(new MemoryStoreHost(new MemoryReplicaStore { CheckpointAfterOperations = 20 }), seed * 1000 + i);
            Assert.True(await run.OpenAsync());
            Assert.True(await StoreHistory.RunAsync(run, 150, crashes: false));
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task ReplicaStore_DoesWhatTheModelSays_AcrossCrashes(int seed)
    {
        for (var i = 0; i < 25; i++) await RunAsync(seed * 1000 + i, 300);
    }

    private static async Task RunAsync(int seed, int steps)
    {
        var run = new StoreRun(new SimulatedStoreHost(new SimulatedStorageOptions { Seed = seed }, SimulatedStoreHost.SmallOptions), seed);
        try
        {
            Assert.True(await run.OpenAsync());
            Assert.True(await StoreHistory.RunAsync(run, steps, crashes: true));
        }
        catch (Exception failure)
        {
            throw new InvalidOperationException($"Seed {seed}: {failure.Message}", failure);
        }
    }
}
