using Microsoft.Extensions.Logging;
using OpenEbs.Storage.Devices;
using OpenEbs.Storage.Store;

namespace OpenEbs.Grains.Pools;

/// <summary>Replica stores as files in the pool's directory.</summary>
internal sealed class FileReplicaStores(TimeProvider time, ILogger<ReplicaStore> logger) : IReplicaStoreProvider
{
    private readonly string _bootId = FileStorageDevice.ReadBootId();

    public async ValueTask<OpenedReplicaStore> OpenAsync(LocalPool pool, string replicaId, bool create)
    {
        // What is not the pool must not be taken for it: least of all the empty mount point of a disk that is away.
        pool.Check();
        var path = pool.ReplicaPath(replicaId);
        var device = create ? FileStorageDevice.Create(path, pool.Space) : FileStorageDevice.Open(path, pool.Space);
        try
        {
            var options = new ReplicaStoreOptions { ReplicaId = replicaId, BootId = _bootId, CreateIfAbsent = create, ReserveBytes = PoolThresholds.ReserveBytes, PressureBytes = pool.Thresholds.NearlyFullBelow(pool.CapacityBytes) };
            return new OpenedReplicaStore(await ReplicaStore.OpenAsync(device, options, time, logger), device);
        }
        catch
        {
            device.Dispose();
            throw;
        }
    }
}
