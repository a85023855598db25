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

    /// <param name="pools">All pools.</param>
    /// <param name="volume">The volume's name.</param>
    /// <param name="count">How many replicas it is to have.</param>
    /// <param name="holding">Pools that have a replica of it: they may be cordoned.</param>
    /// <exception cref="VolumeUnavailableException">Fewer pools can have one than replicas asked for.</exception>
    public static void EnsureEnough(IReadOnlyList<PoolView> pools, string volume, int count, IReadOnlyCollection<string>? holding = null)
    {
        var usable = pools.Count(pool => pool.Online && (pool.Availability == Availability.Available || (pool.Availability == Availability.Cordoned && holding?.Contains(pool.Id) == true)));
        if (usable >= count) return;
        var reasons = string.Join("; ", pools.Select(Refusal).OfType<string>());
        throw new VolumeUnavailableException(
            $"Volume '{volume}' needs {count} pools, each for one replica, and {usable} can have one. Ask for fewer replicas, add pools, bring pools back, or uncordon some{(reasons.Length > 0 ? $" ({reasons})" : "")}.");

        static string? Refusal(PoolView pool) =>
            !pool.Online ? $"pool '{pool.Id}' is offline: {pool.Reason}" : pool.Availability != Availability.Available ? $"pool '{pool.Id}' takes no new replicas: {pool.AvailabilityReason}" : null;
    }

    /// <summary>The best pool beside those that have a replica already; null when there is none.</summary>
    public static PoolView? Next(IReadOnlyList<PoolView> pools, IReadOnlyCollection<string> taken)
    {
        var nodes = pools.Where(pool => taken.Contains(pool.Id)).Select(pool => pool.Node).ToList();
        return pools
            .Where(pool => pool.Online && pool.Availability == Availability.Available && !taken.Contains(pool.Id))
            .OrderBy(pool => nodes.Count(node => node == pool.Node))
            .ThenByDescending(pool => pool.FreeBytes >> 30)
            .ThenBy(pool => pool.Replicas)
            .ThenBy(pool => pool.Id, StringComparer.Ordinal)
            .FirstOrDefault();
    }
}
