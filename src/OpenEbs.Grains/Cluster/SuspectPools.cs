using OpenEbs.Pools;

namespace OpenEbs.Grains.Cluster;

/// <param name="Limit">So many different errors mark a pool; 0 for never.</param>
/// <param name="Window">Within so long.</param>
internal readonly record struct MediaErrorRules(int Limit, TimeSpan Window);

/// <summary>Marks pools whose media fail again and again, and has them drained: what is repaired on such a disk is damaged again soon. Who trusts the pool again uncordons it.</summary>
internal sealed class SuspectPools(Registry registry, ClusterEvents events, Cordons cordons, MediaErrorRules rules, TimeProvider time)
{
    /// <summary>Looks at what the pools' nodes tell of them.</summary>
    public async Task ObserveAsync(IReadOnlyList<PoolView> pools)
    {
        if (rules.Limit == 0 || !pools.Any(pool => pool.MediaErrors.Count >= rules.Limit)) return;
        await registry.ChangeAsync(state =>
        {
            var changed = false;
            foreach (var pool in pools.Where(pool => pool.MediaErrors.Count >= rules.Limit && !state.SuspectPools.ContainsKey(pool.Id))) changed |= Observe(state, pool);
            return changed;
        });
    }

    /// <summary>Takes the mark from a pool, inside a change of the registry.</summary>
    public static void Trust(RegistryState state, string pool, ClusterEvents events, DateTimeOffset now)
    {
        if (!state.SuspectPools.Remove(pool, out var suspicion)) return;
        state.TrustedPools[pool] = now;
        events.Tell(state, ClusterEventKind.PoolTrusted, pool, suspicion.Reason, "", "asked for");
    }

    private bool Observe(RegistryState state, PoolView pool)
    {
        var now = time.GetUtcNow();
        var trustedAt = state.TrustedPools.GetValueOrDefault(pool.Id);
        var recent = pool.MediaErrors.Where(error => error.At > trustedAt && error.At > now - rules.Window).ToList();
        if (recent.Count < rules.Limit) return false;
        var reason = $"{recent.Count} media errors since {recent[0].At:yyyy-MM-dd HH:mm:ss}Z";
        state.SuspectPools[pool.Id] = new RegisteredSuspicion(now, reason);
        events.Tell(state, ClusterEventKind.PoolSuspected, pool.Id, "", reason, string.Join("; ", recent.TakeLast(3).Select(error => $"replica {error.Replica}: {error.What}")));
        var old = state.PoolAvailability.GetValueOrDefault(pool.Id)?.Availability ?? Availability.Available;
        if (old >= Availability.Draining) return true;
        state.PoolAvailability[pool.Id] = new RegisteredAvailability(Availability.Draining, now, cordons.CountReplicas([pool.Id]));
        events.Tell(state, ClusterEventKind.PoolDraining, pool.Id, old.ToString(), nameof(Availability.Draining), $"its media fail: {reason}");
        return true;
    }
}
