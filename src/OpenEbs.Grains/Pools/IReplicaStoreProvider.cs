using OpenEbs.Replication.Replicas;
using OpenEbs.Storage.Store;

namespace OpenEbs.Grains.Pools;

/// <summary>Opens the stores of replicas in a pool's directories.</summary>
public interface IReplicaStoreProvider
{
    /// <summary>Opens the store of a replica; an absent one is created if <paramref name="opening"/> says so.</summary>
    /// <exception cref="IOException">It cannot be opened: absent, corrupt, in use, or the pool is full or gone.</exception>
    ValueTask<OpenedReplicaStore> OpenAsync(LocalPool pool, string replicaId, StoreOpening opening);
}

/// <summary>A store and the device under it.</summary>
/// <param name="Store">The store.</param>
/// <param name="Device">Disposed after the store; null when there is nothing to dispose.</param>
public readonly record struct OpenedReplicaStore(IReplicaStore Store, IDisposable? Device);
