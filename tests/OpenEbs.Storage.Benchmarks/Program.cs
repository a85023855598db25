using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using OpenEbs.Storage;
using OpenEbs.Storage.Benchmarks;
using OpenEbs.Storage.Devices;
using OpenEbs.Storage.Store;

// What one call of the replica store costs on a real directory: dotnet run -c Release --project tests/OpenEbs.Storage.Benchmarks -- [DIRECTORY [SECONDS]]
var directory = Path.Combine(args.Length > 0 ? args[0] : Path.GetTempPath(), $"openebs-bench-{Environment.ProcessId}");
var seconds = args.Length > 1 ? double.Parse(args[1], CultureInfo.InvariantCulture) : 1.0;
var device = FileStorageDevice.Create(directory);
try
{
    var options = new ReplicaStoreOptions { ReplicaId = "bench", BootId = FileStorageDevice.ReadBootId(), CreateIfAbsent = true };
    await using (var store = await ReplicaStore.OpenAsync(device, options, TimeProvider.System, NullLogger.Instance))
    {
        await new StoreBenchmark(store, seconds).RunAsync();
        await store.CloseAsync();
    }

    var block = new byte[4096];
    uint sum = 0;
    await Measure.RunAsync("CRC-32C of 4 KiB", seconds, 1, () =>
    {
        sum ^= Crc32C.Compute(block);
        return ValueTask.CompletedTask;
    });
    return sum == 1 ? 1 : 0;
}
finally
{
    device.Discard();
}
