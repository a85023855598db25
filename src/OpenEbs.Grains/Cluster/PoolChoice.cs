using OpenEbs.Pools;
using OpenEbs.Volumes;

namespace OpenEbs.Grains.Cluster;

/// <summary>Chooses the pools for a new volume's replicas.</summary>
internal static class PoolChoice
{
    /// <summary>Distinct pools, on as many nodes as there are, those with most free space first.</summary>
    /// <exception cref="VolumeUnavailableException">Fewer pools are online than replicas asked for.</exception>
    public static IReadOnlyList<PoolView> Choose(IReadOnlyList<PoolView> pools, string volume, int count)
    {
        var candidates = pools.Where(pool => pool.Online).ToList();
        if (candidates.Count < count)
        {
            var offline = string.Join("; ", pools.Where(pool => !pool.Online).Select(pool => $"pool '{pool.Id}' is offline: {pool.Reason}"));
            throw new VolumeUnavailableException(
                $"Volume '{volume}' needs {count} pools, each for one replica, and {candidates.Count} are online. Ask for fewer replicas, add pools, or bring pools back{(offline.Length > 0 ? $" ({offline})" : "")}.");
        }

        var chosen = new List<PoolView>(count);
        while (chosen.Count < count)
        {
            var next = candidates
                .OrderBy(pool => chosen.Count(other => other.Node == pool.Node))
                .ThenByDescending(pool => pool.FreeBytes >> 30)
                .ThenBy(pool => pool.Replicas)
                .ThenBy(pool => pool.Id, StringComparer.Ordinal)
                .First();
            chosen.Add(next);
            candidates.Remove(next);
        }

        return chosen;
    }
}
