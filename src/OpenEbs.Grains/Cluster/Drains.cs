using OpenEbs.Grains.Nodes;
using OpenEbs.Grains.Volumes;
using OpenEbs.Nodes;
using OpenEbs.Pools;

namespace OpenEbs.Grains.Cluster;

/// <summary>Cordons, drains, uncordons and removes nodes and pools. The moving itself is done by upkeep, volume by volume.</summary>
internal sealed class Drains(Registry registry, ClusterEvents events, Cordons cordons, NodeRoster roster, NodeDirectory nodes, VolumeRecords records, TimeProvider time)
{
    /// <summary>Volumes whose records are read at the same time.</summary>
    private const int ReadsAtOnce = 32;

    public async Task SetNodeAsync(string name, Availability wanted)
    {
        Validate(wanted);
        roster.EnsureKnown(name);
        var replicas = cordons.CountReplicas(registry.Current.PoolsOf(name));
        await registry.ChangeAsync(state => Set(state, state.NodeAvailability, name, wanted, replicas, isNode: true));
    }

    public async Task SetPoolAsync(string id, Availability wanted)
    {
        Validate(wanted);
        EnsurePoolKnown(id);
        var replicas = cordons.CountReplicas([id]);
        await registry.ChangeAsync(state => Set(state, state.PoolAvailability, id, wanted, replicas, isNode: false));
    }

    /// <summary>Sees which drains have ended. To be called when every volume was noted since the last change.</summary>
    public async Task ObserveAsync()
    {
        if (registry.Current is { NodeAvailability.Count: 0, PoolAvailability.Count: 0 }) return;
        await registry.ChangeAsync(state =>
        {
            var changed = false;
            foreach (var name in state.NodeAvailability.Keys.ToList()) changed |= Observe(state, state.NodeAvailability, name, cordons.CountReplicas(state.PoolsOf(name)), isNode: true);
            foreach (var id in state.PoolAvailability.Keys.ToList()) changed |= Observe(state, state.PoolAvailability, id, cordons.CountReplicas([id]), isNode: false);
            return changed;
        });
    }

    /// <exception cref="NodeNotFoundException">There is none.</exception>
    /// <exception cref="StillNeededException">It runs, or something is left on it.</exception>
    public async Task RemoveNodeAsync(string name)
    {
        roster.EnsureKnown(name);
        if (roster.IsRunning(name))
            throw new StillNeededException($"Node '{name}' is running, and would be there again at once. Drain it (openebsctl node drain {name}), stop its process when it is drained, then remove it.");
        await EnsureEmptyAsync($"node '{name}'", $"openebsctl node drain {name}", registry.Current.PoolsOf(name));
        await registry.ChangeAsync(state =>
        {
            var pools = state.PoolsOf(name);
            foreach (var pool in pools) Forget(state, pool);
            state.NodeAvailability.Remove(name);
            state.Nodes.Remove(name);
            if (nodes.List().FirstOrDefault(node => node.Name == name) is { } last) state.RemovedNodes[name] = last.Silo.ToParsableString();
            events.Tell(state, ClusterEventKind.NodeRemoved, name, string.Join(", ", pools), "", "asked for");
            return true;
        });
    }

    /// <exception cref="PoolNotFoundException">There is none.</exception>
    /// <exception cref="StillNeededException">A running node has it, or something is left on it.</exception>
    public async Task RemovePoolAsync(string id)
    {
        EnsurePoolKnown(id);
        await EnsureEmptyAsync($"pool '{id}'", $"openebsctl pool drain {id}", [id]);
        if (nodes.FindPool(id) is { } node)
        {
            throw new StillNeededException(
                $"Pool '{id}' is in the configuration of node '{node.Name}', which runs, and would be there again at once. Take it out of that configuration, start the node again, then remove it.");
        }

        await registry.ChangeAsync(state =>
        {
            var pool = state.Pools.GetValueOrDefault(id);
            Forget(state, id);
            events.Tell(state, ClusterEventKind.PoolRemoved, id, pool is null ? "" : $"on node {pool.Node}, {pool.Path}", "", "asked for");
            return true;
        });
    }

    /// <exception cref="PoolNotFoundException">There is none.</exception>
    public void EnsurePoolKnown(string id)
    {
        if (!registry.Current.Pools.ContainsKey(id)) throw new PoolNotFoundException($"There is no pool '{id}'. 'openebsctl pool list' shows those that there are.");
    }

    private static void Validate(Availability wanted)
    {
        if (wanted is not (Availability.Available or Availability.Cordoned or Availability.Draining)) throw new ArgumentOutOfRangeException(nameof(wanted), wanted, "Give Available, Cordoned or Draining.");
    }

    private static void Forget(RegistryState state, string pool)
    {
        // Removals stay: should the pool come back after all, the files go.
        state.Pools.Remove(pool);
        state.PoolAvailability.Remove(pool);
        state.SuspectPools.Remove(pool);
        state.TrustedPools.Remove(pool);
    }

    /// <summary>Only forward, or back to the beginning: a cordon does not stop a drain.</summary>
    private bool Set(RegistryState state, Dictionary<string, RegisteredAvailability> all, string subject, Availability wanted, int replicas, bool isNode)
    {
        var old = all.GetValueOrDefault(subject)?.Availability ?? Availability.Available;
        if (wanted == old || (wanted != Availability.Available && wanted < old)) return false;
        if (wanted == Availability.Available && !isNode) SuspectPools.Trust(state, subject, events, time.GetUtcNow());
        if (wanted == Availability.Available) all.Remove(subject);
        else all[subject] = new RegisteredAvailability(wanted, time.GetUtcNow(), wanted == Availability.Draining ? replicas : 0);
        events.Tell(state, KindOf(wanted, isNode), subject, old.ToString(), wanted.ToString(), wanted == Availability.Draining ? $"asked for; it has {replicas} replica(s)" : "asked for");
        return true;
    }

    private bool Observe(RegistryState state, Dictionary<string, RegisteredAvailability> all, string subject, int replicas, bool isNode)
    {
        var known = all[subject];
        var now = known.Availability switch
        {
            Availability.Draining when replicas == 0 => Availability.Drained,

            // It was drained, and got a replica all the same: a volume was created just when the drain began, say.
            Availability.Drained when replicas > 0 => Availability.Draining,
            var same => same,
        };
        if (now == known.Availability) return false;
        all[subject] = known with { Availability = now };
        events.Tell(state, KindOf(now, isNode), subject, known.Availability.ToString(), now.ToString(), now == Availability.Drained ? $"no replica is left of {known.ReplicasAtStart}" : $"it has {replicas} replica(s) again");
        return true;
    }

    /// <summary>By the records themselves, so that nothing that is there is overlooked.</summary>
    private async Task EnsureEmptyAsync(string subject, string cure, IReadOnlyCollection<string> pools)
    {
        var left = new List<string>();
        foreach (var names in registry.Current.Volumes.Keys.Chunk(ReadsAtOnce))
        {
            var placed = await Task.WhenAll(names.Select(PlacedAsync));
            left.AddRange(placed.SelectMany(volume => volume.Replicas.Concat(volume.Leaving).Where(replica => pools.Contains(replica.Pool)).Select(replica => $"{replica.Id} of volume {volume.Name} on pool {replica.Pool}")));
        }

        if (left.Count == 0) return;
        throw new StillNeededException(
            $"There are {left.Count} replica(s) on {subject}: {string.Join(", ", left.Take(5))}{(left.Count > 5 ? $" and {left.Count - 5} more" : "")}. Have them moved first ({cure}); remove it when it is drained.");
    }

    private async Task<PlacedVolume> PlacedAsync(string name)
    {
        if (await records.Of(name).LoadAsync() is var (record, _)) return PlacementLedger.Of(record);
        return registry.Current.Volumes.TryGetValue(name, out var registered) ? new PlacedVolume(name, registered.Spec.SizeBytes, registered.Replicas, []) : new PlacedVolume(name, 0, [], []);
    }

    private static ClusterEventKind KindOf(Availability availability, bool isNode) => availability switch
    {
        Availability.Available => isNode ? ClusterEventKind.NodeUncordoned : ClusterEventKind.PoolUncordoned,
        Availability.Cordoned => isNode ? ClusterEventKind.NodeCordoned : ClusterEventKind.PoolCordoned,
        Availability.Draining => isNode ? ClusterEventKind.NodeDraining : ClusterEventKind.PoolDraining,
        Availability.Drained => isNode ? ClusterEventKind.NodeDrained : ClusterEventKind.PoolDrained,
        _ => throw new ArgumentOutOfRangeException(nameof(availability), availability, "Unknown availability."),
    };
}
