using System.Collections.Concurrent;
using OpenEbs.Grains.Pools;
using OpenEbs.Replication.Replicas;
using OpenEbs.Storage.Store;
using OpenEbs.Testing.Store;

namespace OpenEbs.Grains.Tests.Clusters;

/// <summary>Replica stores in memory that outlive their silo, as files do. Each still has a directory in its pool.</summary>
internal sealed class MemoryStoreProvider : IReplicaStoreProvider
{
    private readonly ConcurrentDictionary<string, MemoryReplicaStore> _stores = new();

    public ValueTask<OpenedReplicaStore> OpenAsync(LocalPool pool, string replicaId, StoreOpening opening)
    {
        var path = pool.ReplicaPath(replicaId);
        if (!Directory.Exists(path))
        {
            if (opening == StoreOpening.Existing) throw new StoreNotFoundException($"There is no replica {replicaId} in {pool.Path}.");
            Directory.CreateDirectory(path);
            _stores[path] = new MemoryReplicaStore();
        }

        return ValueTask.FromResult(new OpenedReplicaStore(_stores[path], null));
    }
}
