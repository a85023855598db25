using OpenEbs.Pools;
using OpenEbs.Replication.Volumes;

namespace OpenEbs.Grains.Cluster;

/// <summary>What is to be done about a volume's replicas.</summary>
internal enum ReplicaStepKind
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>A new replica is needed.</summary>
    Add,

    /// <summary>There is one too many.</summary>
    Remove,
}

/// <param name="Kind">What is to be done.</param>
/// <param name="Subject">Of Add the pool (null: no pool is left for it), of Remove the replica.</param>
/// <param name="Reason">For people.</param>
internal readonly record struct ReplicaStep(ReplicaStepKind Kind, string? Subject = null, string Reason = "");

/// <summary>Decides, from a volume's record and the pools there are, the next step towards the replicas that its user wants. First one more, then one fewer: what has become too much is removed
/// only when enough others are in sync, so a replica that comes back while its replacement is still being built is kept, and the other way round.</summary>
internal static class ReplicaPlan
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);

    public static ReplicaStep Next(VolumeRecord record, IReadOnlyList<PoolView> pools, TimeSpan replacementDelay, DateTimeOffset now)
    {
        var wanted = record.EffectiveReplicas;
        if (record.Replicas.Count > wanted && record.InSyncCount >= wanted)
        {
            var surplus = Surplus(record, pools);
            return new ReplicaStep(ReplicaStepKind.Remove, surplus.Id, surplus.Standing == ReplicaStanding.InSync ? $"{wanted} are wanted" : $"{wanted} others are in sync");
        }

        // Those that are lost need one each; whatever there is beyond what is wanted has been added for them.
        var lost = record.Replicas.Where(entry => IsLost(entry, pools, replacementDelay, now)).ToList();
        if (record.Replicas.Count - lost.Count >= wanted) return default;
        IReadOnlyCollection<string> taken = [.. record.Replicas.Select(entry => entry.Pool), .. record.Leaving.Select(entry => entry.Pool)];
        var reason = lost.Count == 0 ? $"{wanted} are wanted" : string.Join(", ", lost.Select(entry => $"replica {entry.Id} on pool {entry.Pool} is lost"));
        return new ReplicaStep(ReplicaStepKind.Add, PoolChoice.Next(pools, taken)?.Id, reason);
    }

    /// <summary>Out of sync for long. One that is being rebuilt may take as long as it takes, and one whose pool is there is given time to begin.</summary>
    private static bool IsLost(ReplicaEntry entry, IReadOnlyList<PoolView> pools, TimeSpan replacementDelay, DateTimeOffset now)
    {
        if (entry.Standing == ReplicaStanding.InSync) return false;
        var isAway = !pools.Any(pool => pool.Id == entry.Pool && pool.Online);
        if (entry.Standing == ReplicaStanding.Rebuilding && !isAway) return false;
        return now - (entry.OutSince ?? now) >= (isAway || replacementDelay > Patience ? replacementDelay : Patience);
    }

    /// <summary>The replica that is missed least: one that is not in sync, the longest so first; else one whose node has another; else the one on the fullest pool.</summary>
    private static ReplicaEntry Surplus(VolumeRecord record, IReadOnlyList<PoolView> pools)
    {
        var byId = pools.ToDictionary(pool => pool.Id);
        return record.Replicas
            .OrderBy(entry => entry.Standing == ReplicaStanding.InSync)
            .ThenBy(entry => byId.TryGetValue(entry.Pool, out var pool) && pool.Online)
            .ThenBy(entry => entry.OutSince ?? DateTimeOffset.MaxValue)
            .ThenByDescending(entry => record.Replicas.Count(other => NodeOf(other) == NodeOf(entry)))
            .ThenBy(entry => byId.TryGetValue(entry.Pool, out var pool) ? pool.FreeBytes : 0)
            .ThenByDescending(entry => entry.Id, StringComparer.Ordinal)
            .First();

        string NodeOf(ReplicaEntry entry) => byId.TryGetValue(entry.Pool, out var pool) ? pool.Node : entry.Pool;
    }
}
