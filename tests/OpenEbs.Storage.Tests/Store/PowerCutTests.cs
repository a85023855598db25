using OpenEbs.Testing.Devices;
using Xunit;

namespace OpenEbs.Storage.Tests.Store;

/// <summary>Cuts power after every single device operation of generated histories, opens again (with further cuts on the way), and checks promises P4 to P6 and that the store works on.</summary>
public sealed class PowerCutTests
{
    [Theory]
    [InlineData(1, 60)]
    [InlineData(2, 60)]
    [InlineData(3, 60)]
    [InlineData(4, 60)]
    public async Task PowerCut_AfterEveryDeviceOperation_LeavesAPrefix(int seed, int steps)
    {
        for (var cut = 1L; await RunAsync(seed, steps, cut); cut++)
        {
        }
    }

    /// <summary>One history with a cut after that device operation; false when it has fewer.</summary>
    internal static async Task<bool> RunAsync(int seed, int steps, long cut)
    {
        // What survives depends on the cut, too, so that neighbouring cuts show different outcomes.
        var options = new SimulatedStorageOptions { Seed = (int)(seed * 1_000_003 + cut) };
        var host = new SimulatedStoreHost(options, SimulatedStoreHost.SmallOptions);
        var run = new StoreRun(host, seed);
        try
        {
            host.Device.CutPowerAfterOperation = cut;
            if (await run.OpenAsync() && await StoreHistory.RunAsync(run, steps, crashes: false)) return false;
            var after = new Random((int)(seed * 7919 + cut));
            for (var again = 0; again < 3; again++)
            {
                run.Crash(CrashKind.PowerLoss);
                await RecoverAsync(host, run, after);
                host.Device.CutPowerAfterOperation = host.Device.OperationCount + after.Next(1, 60);
                if (await StoreHistory.RunAsync(run, 12, crashes: false)) break;
            }

            if (!host.Device.IsDead) return true;
            run.Crash(CrashKind.PowerLoss);
            Assert.True(await run.OpenAsync());
            Assert.True(await StoreHistory.RunAsync(run, 5, crashes: false));
            return true;
        }
        catch (Exception failure)
        {
            throw new InvalidOperationException($"RunAsync({seed}, {steps}, {cut}): {failure.Message}", failure);
        }
    }

    /// <summary>Opens; every second time the power fails again while it does.</summary>
    private static async Task RecoverAsync(SimulatedStoreHost host, StoreRun run, Random random)
    {
        while (true)
        {
            host.Device.CutPowerAfterOperation = random.Next(2) == 0 ? host.Device.OperationCount + random.Next(1, 8) : null;
            if (await run.OpenAsync()) return;
            run.Crash(random.Next(4) == 0 ? CrashKind.ProcessKill : CrashKind.PowerLoss);
        }
    }
}
