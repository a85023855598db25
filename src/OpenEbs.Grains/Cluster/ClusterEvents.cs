using OpenEbs.Grains.Nodes;
using OpenEbs.Grains.Volumes;
using OpenEbs.Events;
using OpenEbs.Pools;
using OpenEbs.Volumes;

namespace OpenEbs.Grains.Cluster;

/// <summary>What happened to a cluster. Names are stored: never change them.</summary>
internal enum ClusterEventKind
{
    /// <summary>Of a kind that only a later release knows, which wrote it.</summary>
    Unknown = -1,

    VolumeCreated,
    VolumeDeleted,
    NodeJoined,
    NodeLeft,

    /// <summary>It left and joined between two looks.</summary>
    NodeRestarted,
    PoolOnline,
    PoolOffline,
    NodeCordoned,
    NodeUncordoned,
    NodeDraining,
    NodeDrained,
    NodeRemoved,
    PoolCordoned,
    PoolUncordoned,
    PoolDraining,
    PoolDrained,
    PoolRemoved,

    /// <summary>A volume needs a replica for which there is no place.</summary>
    ReplicaUnplaced,

    /// <summary>There is a place for it now, or none is needed any more.</summary>
    ReplicaPlaced,

    /// <summary>A volume was made of replicas found on disk.</summary>
    VolumeImported,

    /// <summary>A replica that no volume knew was deleted.</summary>
    OrphanDeleted,

    /// <summary>Past the first threshold.</summary>
    PoolNearlyFull,

    /// <summary>Past the second, or nothing is left but the reserve.</summary>
    PoolFull,

    /// <summary>It has room again.</summary>
    PoolHasRoom,

    /// <summary>Its media fail again and again: it is marked, and drained.</summary>
    PoolSuspected,

    /// <summary>The mark was taken from it.</summary>
    PoolTrusted,

    /// <summary>A volume was created that nobody may log in to before it gets an access rule.</summary>
    AccessMissing,

    /// <summary>A volume's access rule was set, changed or taken.</summary>
    AccessChanged,
    CredentialCreated,
    CredentialReplaced,
    CredentialDeleted,
}

internal sealed record ClusterEvent(DateTimeOffset At, ClusterEventKind Kind, string Subject, string Before, string After, string Cause);

/// <summary>Remembers what happened to the cluster, as far as the registry's looks at it show it, and lists it together with what happened to its volumes.</summary>
internal sealed class ClusterEvents(Registry registry, VolumeRecords records, NodeDirectory nodes, TimeProvider time)
{
    private const int MaxEvents = 500;

    /// <summary>To be called inside a change of the registry.</summary>
    public void Tell(RegistryState state, ClusterEventKind kind, string subject, string before, string after, string cause)
    {
        state.Events.Add(new ClusterEvent(time.GetUtcNow(), kind, subject, before, after, cause));
        if (state.Events.Count > MaxEvents) state.Events.RemoveRange(0, state.Events.Count - MaxEvents);
    }

    /// <summary>Compares pools and nodes with what they were; true when anything changed.</summary>
    public bool Observe(RegistryState state, IReadOnlyList<PoolView> pools) => ObservePools(state, pools) | ObserveNodes(state);

    public async Task<IReadOnlyList<EventView>> ListAsync(string? volume, int limit)
    {
        if (volume is not null)
        {
            if (!registry.Current.Volumes.ContainsKey(volume)) throw new VolumeNotFoundException($"There is no volume '{volume}'.");
            var ofCluster = registry.Current.Events.Where(e => e.Subject == volume && IsOfVolume(e.Kind)).Select(ToView);
            return [.. (await OfVolumeAsync(volume)).Concat(ofCluster).OrderBy(e => e.At).TakeLast(limit)];
        }

        var ofVolumes = await Task.WhenAll(registry.Current.Volumes.Keys.ToList().Select(OfVolumeAsync));
        return [.. registry.Current.Events.Select(ToView).Concat(ofVolumes.SelectMany(events => events)).OrderBy(e => e.At).TakeLast(limit)];
    }

    private bool ObservePools(RegistryState state, IReadOnlyList<PoolView> pools)
    {
        var changed = false;
        foreach (var pool in pools)
        {
            var known = state.Pools.GetValueOrDefault(pool.Id);
            var now = pool.Online ? new RegisteredPool(pool.Node, pool.Path, pool.CapacityBytes, Fullness: pool.Fullness, Labels: PoolLabels.Format(pool.Labels)) : known is null ? null : known with { IsOffline = true };
            if (now is null || now == known) continue;
            if (known is null || known.IsOffline != now.IsOffline)
            {
                var kind = pool.Online ? ClusterEventKind.PoolOnline : ClusterEventKind.PoolOffline;
                Tell(state, kind, pool.Id, known is null ? "" : pool.Online ? "offline" : "online", pool.Online ? "online" : "offline", pool.Online ? $"on node {pool.Node}, {pool.Path}" : pool.Reason);
            }

            var fullness = known?.Fullness ?? PoolFullness.Healthy;
            if (now.Fullness != fullness)
                Tell(state, KindOf(now.Fullness), pool.Id, fullness.ToString(), now.Fullness.ToString(), $"{pool.CapacityBytes - pool.FreeBytes} of {pool.CapacityBytes} bytes are used");
            state.Pools[pool.Id] = now;
            changed = true;
        }

        return changed;
    }

    private static ClusterEventKind KindOf(PoolFullness fullness) => fullness switch
    {
        PoolFullness.Healthy => ClusterEventKind.PoolHasRoom,
        PoolFullness.NearlyFull => ClusterEventKind.PoolNearlyFull,
        PoolFullness.Full => ClusterEventKind.PoolFull,
        _ => throw new ArgumentOutOfRangeException(nameof(fullness), fullness, "Unknown fullness of a pool."),
    };

    private bool ObserveNodes(RegistryState state)
    {
        var changed = false;
        var active = nodes.ListActive().ToDictionary(node => node.Name, node => node.Silo.ToParsableString());
        foreach (var (name, silo) in active)
        {
            var known = state.Nodes.GetValueOrDefault(name);
            if (known == silo) continue;
            Tell(state, known is null ? ClusterEventKind.NodeJoined : ClusterEventKind.NodeRestarted, name, known ?? "", silo, "its silo is active");
            state.Nodes[name] = silo;
            changed = true;
        }

        foreach (var (name, silo) in state.RemovedNodes.ToList())
        {
            // It came back with another silo, or the membership table has forgotten it too.
            if (nodes.List().Any(node => node.Name == name && node.Silo.ToParsableString() == silo)) continue;
            state.RemovedNodes.Remove(name);
            changed = true;
        }

        foreach (var name in state.Nodes.Keys.Except(active.Keys).ToList())
        {
            Tell(state, ClusterEventKind.NodeLeft, name, state.Nodes[name], "", "its silo has stopped, or was declared dead");
            state.Nodes.Remove(name);
            changed = true;
        }

        return changed;
    }

    private async Task<IReadOnlyList<EventView>> OfVolumeAsync(string volume) => await records.Of(volume).LoadAsync() is not (var record, _) ? [] :
    [
        .. record.Events.Select(e => new EventView { At = e.At, Volume = volume, Kind = e.Kind.ToString(), Subject = e.Subject, Before = e.Before, After = e.After, Cause = e.Cause }),
    ];

    private static bool IsOfVolume(ClusterEventKind kind) =>
        kind is ClusterEventKind.VolumeCreated or ClusterEventKind.VolumeDeleted or ClusterEventKind.ReplicaUnplaced or ClusterEventKind.ReplicaPlaced
            or ClusterEventKind.AccessMissing or ClusterEventKind.AccessChanged;

    private static EventView ToView(ClusterEvent e) => new() { At = e.At, Volume = "", Kind = e.Kind.ToString(), Subject = e.Subject, Before = e.Before, After = e.After, Cause = e.Cause };
}
