using OpenEbs.Storage.Devices;
using OpenEbs.Testing.Devices;
using Xunit;

namespace OpenEbs.Storage.Tests.Devices;

public sealed class SimulatedStorageDeviceTests
{
    private const int Sector = 512;

    [Fact]
    public async Task ProcessKill_LosesNothing_AndKillsTheHandle()
    {
        var device = new SimulatedStorageDevice();
        var file = device.Create("a", 8192);
        file.Write(100, Bytes(5000, 7));
        var fresh = device.Crash(CrashKind.ProcessKill);

        Assert.Throws<DeviceDeadException>(() => file.Write(0, Bytes(1, 1)));
        Assert.Throws<DeviceDeadException>(() => device.List());
        var read = new byte[5000];
        await fresh.Open("a").ReadAsync(100, read);
        Assert.Equal(Bytes(5000, 7), read);
    }

    [Fact]
    public async Task PowerLoss_KeepsWhatWasFlushed_AndTearsTheRestInSectors()
    {
        int lost = 0, kept = 0, torn = 0, fileGone = 0;
        for (var seed = 0; seed < 300; seed++)
        {
            var device = new SimulatedStorageDevice(new SimulatedStorageOptions { Seed = seed });
            var file = device.Create("a", 4 * Sector);
            file.Write(0, Bytes(4 * Sector, 1));
            await file.FlushAsync();
            await device.SyncDirectoryAsync();
            device.Create("unsynced", Sector);
            file.Write(0, Bytes(3 * Sector, 2));
            device = device.Crash(CrashKind.PowerLoss);

            var bytes = device.ReadAllBytes("a");
            for (var sector = 0; sector < 4; sector++) Assert.Single(bytes.AsSpan(sector * Sector, Sector).ToArray().Distinct());
            Assert.Equal(1, bytes[^1]);
            var changed = Enumerable.Range(0, 3).Count(sector => bytes[sector * Sector] == 2);
            _ = changed switch { 0 => lost++, 3 => kept++, _ => torn++ };
            if (!device.List().Contains("unsynced")) fileGone++;
        }

        Assert.True(lost > 30 && kept > 30 && torn > 30 && fileGone is > 30 and < 270, $"{lost} {kept} {torn} {fileGone}");
    }

    [Fact]
    public async Task PowerLoss_UndoesAnUnsyncedDeletion_WithItsContent()
    {
        var undone = 0;
        for (var seed = 0; seed < 50; seed++)
        {
            var device = new SimulatedStorageDevice(new SimulatedStorageOptions { Seed = seed });
            var file = device.Create("a", Sector);
            file.Write(0, Bytes(Sector, 9));
            await file.FlushAsync();
            await device.SyncDirectoryAsync();
            device.Delete("a");
            device = device.Crash(CrashKind.PowerLoss);
            if (!device.List().Contains("a")) continue;
            undone++;
            Assert.Equal(Bytes(Sector, 9), device.ReadAllBytes("a"));
        }

        Assert.InRange(undone, 5, 45);
    }

    [Fact]
    public void CutPower_AfterOperationN_CarriesOutNAndNoMore()
    {
        var device = new SimulatedStorageDevice { CutPowerAfterOperation = 2 };
        var file = device.Create("a", Sector);
        file.Write(0, Bytes(Sector, 1));
        Assert.Throws<DeviceDeadException>(() => file.Write(0, Bytes(Sector, 2)));
        Assert.True(device.IsDead);
        Assert.Equal(2, device.OperationCount);
        Assert.False(device.Crash(CrashKind.PowerLoss).IsDead);
    }

    [Fact]
    public void Capacity_IsChecked_AndHolesGiveBack()
    {
        var device = new SimulatedStorageDevice(new SimulatedStorageOptions { CapacityBytes = 16384 });
        var file = device.Create("a", 12288);
        Assert.Throws<StorageFullException>(() => device.Create("b", 8192));
        file.PunchHole(0, 8192);
        Assert.Equal(12288, device.FreeBytes);
        device.Create("b", 8192).Dispose();
        file.Write(0, Bytes(1, 1));
        Assert.Throws<StorageFullException>(() => file.Write(4096, Bytes(1, 1)));
        device.Delete("b");
        file.Write(4096, Bytes(1, 1));
    }

    [Fact]
    public async Task Reads_FailWhereTold_UntilWrittenAgain_AndFlippedBitsShow()
    {
        var device = new SimulatedStorageDevice();
        var file = device.Create("a", 8192);
        device.FailReads("a", 4096, 4096);
        await Assert.ThrowsAsync<IOException>(async () => await file.ReadAsync(0, new byte[8192]));
        file.Write(4096, Bytes(4096, 3));
        var read = new byte[8192];
        await file.ReadAsync(0, read);
        device.FlipBit("a", 5000, 2);
        await file.ReadAsync(0, read);
        Assert.Equal(3 ^ 4, read[5000]);
        await Assert.ThrowsAsync<EndOfStreamException>(async () => await file.ReadAsync(8000, new byte[200]));
    }

    [Fact]
    public async Task DelayedFlush_CoversWhatWasWrittenBeforeTheCall_Only()
    {
        for (var seed = 0; seed < 30; seed++)
        {
            var options = new SimulatedStorageOptions { Seed = seed, Time = TimeProvider.System, MaxFlushLatency = TimeSpan.FromMilliseconds(1) };
            var device = new SimulatedStorageDevice(options);
            var file = device.Create("a", 2 * Sector);
            await device.SyncDirectoryAsync();
            file.Write(0, Bytes(Sector, 1));
            var flush = file.FlushAsync().AsTask();
            file.Write(Sector, Bytes(Sector, 2));
            file.Write(0, Bytes(Sector, 3));
            await flush;
            var bytes = device.Crash(CrashKind.PowerLoss).ReadAllBytes("a");
            Assert.NotEqual(0, bytes[0]);
        }
    }

    private static byte[] Bytes(int count, byte value)
    {
        var bytes = new byte[count];
        Array.Fill(bytes, value);
        return bytes;
    }
}
