using OpenEbs.Pools;
using OpenEbs.Volumes;

namespace OpenEbs.Grains.Cluster;

/// <summary>Chooses the pools for a volume's replicas: distinct pools, on as many nodes as there are, those with most free space first.</summary>
internal static class PoolChoice
{
    /// <summary>The pools of a new volume.</summary>
    /// <exception cref="VolumeUnavailableException">Fewer pools are online than replicas asked for.</exception>
    public static IReadOnlyList<PoolView> Choose(IReadOnlyList<PoolView> pools, string volume, int count)
    {
        EnsureEnough(pools, volume, count);
        var chosen = new List<PoolView>(count);
        while (chosen.Count < count) chosen.Add(Next(pools, [.. chosen.Select(pool => pool.Id)])!);
        return chosen;
    }

    /// <exception cref="VolumeUnavailableException">Fewer pools are online than replicas asked for.</exception>
    public static void EnsureEnough(IReadOnlyList<PoolView> pools, string volume, int count)
    {
        var online = pools.Count(pool => pool.Online);
        if (online >= count) return;
        var offline = string.Join("; ", pools.Where(pool => !pool.Online).Select(pool => $"pool '{pool.Id}' is offline: {pool.Reason}"));
        throw new VolumeUnavailableException(
            $"Volume '{volume}' needs {count} pools, each for one replica, and {online} are online. Ask for fewer replicas, add pools, or bring pools back{(offline.Length > 0 ? $" ({offline})" : "")}.");
    }

    /// <summary>The best pool beside those that have a replica already; null when there is none.</summary>
    public static PoolView? Next(IReadOnlyList<PoolView> pools, IReadOnlyCollection<string> taken)
    {
        var nodes = pools.Where(pool => taken.Contains(pool.Id)).Select(pool => pool.Node).ToList();
        return pools
            .Where(pool => pool.Online && !taken.Contains(pool.Id))
            .OrderBy(pool => nodes.Count(node => node == pool.Node))
            .ThenByDescending(pool => pool.FreeBytes >> 30)
            .ThenBy(pool => pool.Replicas)
            .ThenBy(pool => pool.Id, StringComparer.Ordinal)
            .FirstOrDefault();
    }
}
