using Microsoft.Extensions.Logging;
using OpenEbs.Replication.Replicas;
using OpenEbs.Storage.Devices;
using OpenEbs.Storage.Store;

namespace OpenEbs.Grains.Pools;

/// <summary>Replica stores as files in the pool's directory.</summary>
internal sealed class FileReplicaStores(TimeProvider time, ILogger<ReplicaStore> logger) : IReplicaStoreProvider
{
    private readonly string _bootId = FileStorageDevice.ReadBootId();

    public async ValueTask<OpenedReplicaStore> OpenAsync(LocalPool pool, string replicaId, StoreOpening opening)
    {
        // What is not the pool must not be taken for it: least of all the empty mount point of a disk that is away.
        pool.Check();
        var path = pool.ReplicaPath(replicaId);
        var create = opening != StoreOpening.Existing;
        var space = pool.Space;
        if (!create && !Directory.Exists(path)) throw new StoreNotFoundException($"{path}: there is no replica here, though its pool is. If its disk was replaced, let it be rebuilt from another replica.");
        var device = create ? FileStorageDevice.Create(path, space) : FileStorageDevice.Open(path, space);
        try
        {
            var options = new ReplicaStoreOptions { ReplicaId = replicaId, BootId = _bootId, CreateIfAbsent = create, CreateRebuilding = opening == StoreOpening.CreateRebuilding, ReserveBytes = PoolThresholds.ReserveBytes, PressureBytes = pool.Thresholds.NearlyFullBelow(pool.CapacityBytes) };
            return new OpenedReplicaStore(await ReplicaStore.OpenAsync(device, options, time, logger), device);
        }
        catch
        {
            device.Dispose();
            throw;
        }
    }
}
