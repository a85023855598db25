using OpenEbs.Pools;

namespace OpenEbs.Grains.Cluster;

/// <summary>Says of pools and nodes whether they take new replicas, and how far their drains are.</summary>
internal sealed class Cordons(Registry registry, PlacementLedger ledger)
{
    /// <summary>The pools with what is known of their availability. A pool is no more available than its node.</summary>
    public IReadOnlyList<PoolView> Apply(IReadOnlyList<PoolView> pools) => registry.Current is { NodeAvailability.Count: 0, PoolAvailability.Count: 0 } ? pools : [.. pools.Select(Apply)];

    public Availability OfNode(string name) => registry.Current.NodeAvailability.GetValueOrDefault(name)?.Availability ?? Availability.Available;

    /// <summary>Null when the node is not being drained and was not.</summary>
    public DrainView? DrainOfNode(string name) => DrainOf(registry.Current.NodeAvailability.GetValueOrDefault(name), registry.Current.PoolsOf(name));

    /// <summary>How many replicas are on these pools, or their files still are on those of them that are online.</summary>
    public int CountReplicas(IReadOnlyCollection<string> pools)
    {
        var state = registry.Current;
        var files = state.Removals.Where(removal => pools.Contains(removal.Pool) && state.Pools.GetValueOrDefault(removal.Pool) is { IsOffline: false });
        return ledger.On(pools).Select(placed => placed.Replica).Concat(files).Distinct().Count();
    }

    private PoolView Apply(PoolView pool)
    {
        var ofPool = registry.Current.PoolAvailability.GetValueOrDefault(pool.Id);
        var ofNode = registry.Current.NodeAvailability.GetValueOrDefault(pool.Node);
        var own = ofPool?.Availability ?? Availability.Available;
        var effective = ofNode is not null && ofNode.Availability > own ? ofNode : ofPool;
        if (effective is null) return pool;
        var suspicion = registry.Current.SuspectPools.GetValueOrDefault(pool.Id)?.Reason ?? "";
        return pool with
        {
            Suspicion = suspicion,
            Availability = effective.Availability,
            AvailabilityReason = effective == ofNode ? $"its node {pool.Node} is {Word(effective.Availability)}" : $"it is {Word(effective.Availability)}{(suspicion.Length > 0 ? $", for its media fail: {suspicion}" : "")}",
            Drain = DrainOf(effective, [pool.Id]),
        };
    }

    private DrainView? DrainOf(RegisteredAvailability? marked, IReadOnlyCollection<string> pools) => marked is not { Availability: Availability.Draining or Availability.Drained } ? null : new DrainView
    {
        Since = marked.Since,
        ReplicasAtStart = marked.ReplicasAtStart,
        ReplicasLeft = CountReplicas(pools),
        Obstacles =
        [
            .. ledger.On(pools).Select(placed => placed.Volume.Name).Distinct().Order(StringComparer.Ordinal)
                .Where(registry.Current.Unplaced.ContainsKey).Select(name => $"volume {name}: {registry.Current.Unplaced[name]}"),
        ],
    };

    private static string Word(Availability availability) => availability switch
    {
        Availability.Cordoned => "cordoned",
        Availability.Draining => "being drained",
        Availability.Drained => "drained",
        _ => throw new ArgumentOutOfRangeException(nameof(availability), availability, "Unknown availability of a pool."),
    };
}
