using OpenEbs.Storage.Store;

namespace OpenEbs.Grains.Pools;

/// <summary>Opens the stores of replicas in a pool's directories.</summary>
public interface IReplicaStoreProvider
{
    /// <summary>Opens the store of a replica; an absent one is created if <paramref name="create"/> says so.</summary>
    /// <exception cref="IOException">It cannot be opened: absent, corrupt, or the pool is full or gone.</exception>
    ValueTask<IReplicaStore> OpenAsync(LocalPool pool, string replicaId, bool create);
}
