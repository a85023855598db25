using System.Collections;
using OpenEbs.Pools;

namespace OpenEbs.Grains.Cluster;

/// <summary>The pools of one look at the cluster, in the order of their ids, and found by id without going through all. What is placed meanwhile can be noted: hundreds of volumes may be given a pool
/// between two looks, and must not all be given the same.</summary>
internal sealed class PoolMap : IReadOnlyList<PoolView>
{
    private readonly PoolView[] _pools;
    private readonly Dictionary<string, int> _places;

    private PoolMap(IEnumerable<PoolView> pools)
    {
        _pools = [.. pools];
        _places = new Dictionary<string, int>(_pools.Length, StringComparer.Ordinal);
        for (var i = 0; i < _pools.Length; i++) _places[_pools[i].Id] = i;
    }

    public int Count => _pools.Length;

    public PoolView this[int index] => _pools[index];

    /// <summary>The list itself when it is one already.</summary>
    public static PoolMap Of(IReadOnlyList<PoolView> pools) => pools as PoolMap ?? new PoolMap(pools);

    public PoolView? Find(string id) => _places.TryGetValue(id, out var place) ? _pools[place] : null;

    /// <summary>A volume of this size was given a replica on the pool.</summary>
    public void NotePlaced(string id, long sizeBytes)
    {
        if (!_places.TryGetValue(id, out var place)) return;
        var pool = _pools[place];
        _pools[place] = pool with { PlacedBytes = pool.PlacedBytes + sizeBytes, Replicas = pool.Replicas + 1 };
    }

    public IEnumerator<PoolView> GetEnumerator() => ((IEnumerable<PoolView>)_pools).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
