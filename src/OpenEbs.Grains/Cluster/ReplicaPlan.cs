using OpenEbs.Grains.Volumes;
using OpenEbs.Pools;
using OpenEbs.Replication.Volumes;

namespace OpenEbs.Grains.Cluster;

/// <summary>What is to be done about a volume's replicas.</summary>
internal enum ReplicaStepKind
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>A new replica is needed: one is lost, or more are wanted.</summary>
    Add,

    /// <summary>A new replica is needed to take the place of one on a pool that drains. That can wait.</summary>
    Move,

    /// <summary>There is one too many.</summary>
    Remove,
}

/// <param name="Kind">What is to be done.</param>
/// <param name="Subject">Of Add and Move the pool (null: there is none for it), of Remove the replica.</param>
/// <param name="Reason">For people.</param>
/// <param name="Source">Of Move the pool that drains.</param>
/// <param name="Obstacle">When there is no pool: why none of them will do.</param>
internal readonly record struct ReplicaStep(ReplicaStepKind Kind, string? Subject = null, string Reason = "", string? Source = null, string Obstacle = "");

/// <param name="ReplacementDelay">How long a replica may be lost before it is replaced.</param>
/// <param name="MaxOverprovisioning">By how much the volumes placed on a pool may exceed its capacity.</param>
internal readonly record struct PlanRules(TimeSpan ReplacementDelay, double MaxOverprovisioning);

/// <summary>Decides, from a volume's record and the pools there are, the next step towards the replicas that its user wants. First one more, then one fewer: what has become too much is removed
/// only when enough others are in sync, so a replica that comes back while its replacement is still being built is kept, and the other way round. One on a pool that drains counts until as many as
/// are wanted are in sync without it.</summary>
internal static class ReplicaPlan
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);

    /// <param name="record">The volume's record.</param>
    /// <param name="pools">All pools.</param>
    /// <param name="rules">The cluster's rules.</param>
    /// <param name="now">Present time.</param>
    /// <param name="gateway">The node through which the volume has been used for long, if a replica is wanted there; else empty.</param>
    public static ReplicaStep Next(VolumeRecord record, IReadOnlyList<PoolView> pools, PlanRules rules, DateTimeOffset now, string gateway = "") => Next(record, PoolMap.Of(pools), rules, now, gateway);

    /// <summary>The nodes between which a replica of the volume is being moved; empty when none is.</summary>
    public static IReadOnlyCollection<string> ListMoving(VolumeRecord record, IReadOnlyList<PoolView> pools, PlanRules rules, DateTimeOffset now) => ListMoving(record, PoolMap.Of(pools), rules, now);

    /// <summary>Replicas that do not count: out of sync for long, or out of sync where they may not stay.</summary>
    public static IReadOnlyList<ReplicaEntry> ListLost(VolumeRecord record, IReadOnlyList<PoolView> pools, PlanRules rules, DateTimeOffset now) => ListLost(record, PoolMap.Of(pools), rules, now);

    /// <summary>What one more replica of the volume needs. It keeps apart from those that are to stay; in the place of one that is lost or leaves another may come.</summary>
    public static PlacementRequest RequestOf(VolumeRecord record, IReadOnlyList<PoolView> pools, PlanRules rules, DateTimeOffset now) => RequestOf(record, PoolMap.Of(pools), rules, now);

    private static ReplicaStep Next(VolumeRecord record, PoolMap pools, PlanRules rules, DateTimeOffset now, string gateway)
    {
        var wanted = record.EffectiveReplicas;
        var leaving = record.Replicas.Where(entry => entry.Standing == ReplicaStanding.InSync && IsDraining(entry, pools)).ToList();
        if (record.Replicas.Count > wanted && record.InSyncCount - leaving.Count >= wanted)
        {
            var surplus = Surplus(record, pools, gateway);
            return new ReplicaStep(ReplicaStepKind.Remove, surplus.Id, ReasonToRemove(surplus, leaving, wanted));
        }

        // Not all that stay are in sync, but enough with those that leave: the first of these can go already.
        if (record.InSyncCount > wanted) return new ReplicaStep(ReplicaStepKind.Remove, leaving[0].Id, ReasonToRemove(leaving[0], leaving, wanted));

        // Those that are lost need one each; whatever there is beyond what is wanted has been added for them.
        var lost = ListLost(record, pools, rules, now);
        var present = record.Replicas.Count - lost.Count;
        if (present < wanted)
        {
            var reason = lost.Count == 0 ? $"{wanted} are wanted" : string.Join(", ", lost.Select(entry => $"replica {entry.Id} on pool {entry.Pool} is lost"));
            return Placing(new ReplicaStep(ReplicaStepKind.Add, Reason: reason), RequestOf(record, pools, rules, now), pools);
        }

        if (leaving.Count == 0 && present == wanted && record.InSyncCount == wanted && gateway.Length > 0) return MoveBeside(gateway, record, pools, rules, now);

        // One after the other, and not while the volume is being repaired anyway.
        if (leaving.Count == 0 || present > wanted || record.Replicas.Any(entry => entry.Standing == ReplicaStanding.Rebuilding && !lost.Contains(entry))) return default;
        var step = new ReplicaStep(ReplicaStepKind.Move, Reason: $"replica {leaving[0].Id} leaves pool {leaving[0].Pool}, which drains", Source: leaving[0].Pool);
        return Placing(step, RequestOf(record, pools, rules, now), pools);
    }

    private static IReadOnlyCollection<string> ListMoving(VolumeRecord record, PoolMap pools, PlanRules rules, DateTimeOffset now)
    {
        var leaving = record.Replicas.Where(entry => entry.Standing == ReplicaStanding.InSync && IsDraining(entry, pools)).ToList();
        var lost = ListLost(record, pools, rules, now);
        if (leaving.Count == 0 || record.Replicas.Count - lost.Count <= record.EffectiveReplicas) return [];
        var coming = record.Replicas.Where(entry => entry.Standing != ReplicaStanding.InSync && !lost.Contains(entry));
        return [.. leaving.Take(1).Concat(coming).Select(entry => NodeOf(entry, pools)).Distinct()];
    }

    private static List<ReplicaEntry> ListLost(VolumeRecord record, PoolMap pools, PlanRules rules, DateTimeOffset now) =>
        [.. record.Replicas.Where(entry => IsLost(entry, pools, rules.ReplacementDelay, now))];

    private static PlacementRequest RequestOf(VolumeRecord record, PoolMap pools, PlanRules rules, DateTimeOffset now)
    {
        var lost = ListLost(record, pools, rules, now);
        return new PlacementRequest
        {
            Volume = record.Name,
            SizeBytes = record.SizeBytes,
            Policy = VolumeViews.PolicyOf(record),
            MaxOverprovisioning = rules.MaxOverprovisioning,
            Holding = [.. record.Replicas.Select(entry => entry.Pool)],
            Staying = [.. record.Replicas.Where(entry => !lost.Contains(entry) && !IsDraining(entry, pools)).Select(entry => entry.Pool)],
            Leaving = [.. record.Leaving.Select(entry => entry.Pool)],
        };
    }

    /// <summary>One more on the gateway's node, if that is possible: then the one that is missed least is too much. Nothing when it has one, or can have none.</summary>
    private static ReplicaStep MoveBeside(string gateway, VolumeRecord record, PoolMap pools, PlanRules rules, DateTimeOffset now)
    {
        if (record.Replicas.Any(entry => NodeOf(entry, pools) == gateway)) return default;

        // The place of the one that goes may be the one that another zone or node needs.
        var source = Surplus(record, pools, gateway);
        var request = RequestOf(record, pools, rules, now);
        request = request with { Staying = [.. request.Staying.Where(pool => pool != source.Pool)] };
        var local = PoolChoice.Rank(request, pools).FirstOrDefault(candidate => candidate.IsPossible && candidate.Pool.Node == gateway);
        return local is null ? default : new ReplicaStep(ReplicaStepKind.Move, local.Pool.Id, $"the volume is used through node {gateway}, which has no replica of it", source.Pool);
    }

    private static ReplicaStep Placing(ReplicaStep step, PlacementRequest request, PoolMap pools) =>
        PoolChoice.Next(request, pools) is { } pool ? step with { Subject = pool.Id } : step with { Obstacle = PoolChoice.ListRefusals(request, pools) };

    private static bool IsDraining(ReplicaEntry entry, PoolMap pools) => pools.Find(entry.Pool) is { Availability: Availability.Draining or Availability.Drained };

    /// <summary>Out of sync for long. One that is being rebuilt may take as long as it takes, and one whose pool is there is given time to begin; unless its pool drains.</summary>
    private static bool IsLost(ReplicaEntry entry, PoolMap pools, TimeSpan replacementDelay, DateTimeOffset now)
    {
        if (entry.Standing == ReplicaStanding.InSync) return false;
        if (IsDraining(entry, pools)) return true;
        var isAway = pools.Find(entry.Pool) is not { Online: true };
        if (entry.Standing == ReplicaStanding.Rebuilding && !isAway) return false;
        return now - (entry.OutSince ?? now) >= (isAway || replacementDelay > Patience ? replacementDelay : Patience);
    }

    /// <summary>The replica that is missed least: one that is not in sync, the longest so first; else one on a pool that drains; else one whose node has another, or whose zone has; else the one on the fullest pool.</summary>
    private static ReplicaEntry Surplus(VolumeRecord record, PoolMap pools, string gateway)
    {
        return record.Replicas
            .OrderBy(entry => entry.Standing == ReplicaStanding.InSync)
            .ThenByDescending(entry => IsDraining(entry, pools))
            .ThenBy(entry => pools.Find(entry.Pool) is { Online: true })
            .ThenBy(entry => entry.OutSince ?? DateTimeOffset.MaxValue)
            .ThenBy(entry => gateway.Length > 0 && NodeOf(entry, pools) == gateway)
            .ThenByDescending(entry => record.Replicas.Count(other => NodeOf(other, pools) == NodeOf(entry, pools)))
            .ThenByDescending(entry => ZoneOf(entry, pools) is { Length: > 0 } zone ? record.Replicas.Count(other => ZoneOf(other, pools) == zone) : 0)
            .ThenBy(entry => pools.Find(entry.Pool)?.FreeBytes ?? 0)
            .ThenByDescending(entry => entry.Id, StringComparer.Ordinal)
            .First();
    }

    private static string ReasonToRemove(ReplicaEntry entry, List<ReplicaEntry> leaving, int wanted) =>
        leaving.Contains(entry) ? $"pool {entry.Pool} drains, and {wanted} others are in sync"
        : entry.Standing == ReplicaStanding.InSync ? $"{wanted} are wanted" : $"{wanted} others are in sync";

    private static string NodeOf(ReplicaEntry entry, PoolMap pools) => pools.Find(entry.Pool)?.Node ?? entry.Pool;

    private static string ZoneOf(ReplicaEntry entry, PoolMap pools) => pools.Find(entry.Pool) is { } pool ? PoolChoice.ZoneOf(pool) : "";
}
