using OpenEbs.Pools;
using OpenEbs.Replication.Volumes;

namespace OpenEbs.Grains.Cluster;

/// <summary>Where a volume's replicas are.</summary>
/// <param name="Name">The volume.</param>
/// <param name="SizeBytes">Its size.</param>
/// <param name="Replicas">Those that it has.</param>
/// <param name="Leaving">Those that were removed from it and whose files nobody has taken on to delete yet.</param>
internal sealed record PlacedVolume(string Name, long SizeBytes, IReadOnlyList<RegisteredReplica> Replicas, IReadOnlyList<RegisteredReplica> Leaving);

/// <summary>Where all replicas are, without asking every volume's record: upkeep, which looks at them all in every round, notes it here. Of a volume that was not noted yet the registration has to do,
/// which may be a replica behind.</summary>
/// <remarks>Kept up to date rather than worked out when asked: a change of the registry costs a walk over the volumes, a question only what it is about.</remarks>
internal sealed class PlacementLedger(Registry registry)
{
    private readonly Dictionary<string, (Guid Uid, PlacedVolume Placed)> _noted = [];
    private readonly Dictionary<string, Counted> _counted = [];
    private readonly Dictionary<string, Account> _accounts = [];
    private RegistryState? _seen;

    public void Note(VolumeRecord record)
    {
        var placed = Of(record);
        _noted[record.Name] = (record.Uid, placed);
        if (registry.Current.Volumes.TryGetValue(record.Name, out var registered) && registered.Uid == record.Uid) Count(record.Name, placed, placed);
    }

    /// <summary>Forgets volumes that are no more.</summary>
    public void Prune()
    {
        foreach (var name in _noted.Keys.Where(name => !registry.Current.Volumes.ContainsKey(name)).ToList()) _noted.Remove(name);
    }

    /// <summary>The pools with the sizes of the volumes that are placed on each.</summary>
    public PoolMap Weigh(IReadOnlyList<PoolView> pools)
    {
        Follow();
        return PoolMap.Of([.. pools.Select(pool => _accounts.TryGetValue(pool.Id, out var account) ? pool with { PlacedBytes = account.Bytes } : pool)]);
    }

    /// <summary>Volumes with replicas on these pools, with those replicas.</summary>
    public IReadOnlyList<(PlacedVolume Volume, RegisteredReplica Replica)> On(IReadOnlyCollection<string> pools)
    {
        Follow();
        var volumes = pools.SelectMany(pool => _accounts.TryGetValue(pool, out var account) ? account.Volumes : []).ToHashSet();
        return
        [
            .. volumes.Select(name => _counted[name].Placed)
                .SelectMany(volume => volume.Replicas.Concat(volume.Leaving).Where(replica => pools.Contains(replica.Pool)).Select(replica => (volume, replica))),
        ];
    }

    public static PlacedVolume Of(VolumeRecord record) => new(record.Name, record.SizeBytes, Replicas(record.Replicas), Replicas(record.Leaving));

    private static List<RegisteredReplica> Replicas(IReadOnlyList<ReplicaEntry> entries) => [.. entries.Select(entry => new RegisteredReplica(entry.Pool, entry.Id))];

    /// <summary>Takes over what changed in the registry, whose state is replaced by each change and never changed.</summary>
    private void Follow()
    {
        var current = registry.Current;
        if (ReferenceEquals(current, _seen)) return;
        _seen = current;
        foreach (var (name, registered) in current.Volumes)
        {
            if (_noted.TryGetValue(name, out var noted) && noted.Uid == registered.Uid) Count(name, noted.Placed, noted.Placed);
            else if (!_counted.TryGetValue(name, out var counted) || !ReferenceEquals(counted.Source, registered)) Count(name, registered, new PlacedVolume(name, registered.Spec.SizeBytes, registered.Replicas, []));
        }

        if (_counted.Count == current.Volumes.Count) return;
        foreach (var name in _counted.Keys.Where(name => !current.Volumes.ContainsKey(name)).ToList()) Discount(name);
    }

    private void Count(string name, object source, PlacedVolume placed)
    {
        if (_counted.TryGetValue(name, out var counted))
        {
            if (ReferenceEquals(counted.Source, source)) return;
            Discount(name);
        }

        _counted[name] = new Counted(source, placed);
        foreach (var replica in placed.Replicas)
        {
            var account = AccountOf(replica.Pool);
            account.Bytes += placed.SizeBytes;
            account.Volumes.Add(name);
        }

        foreach (var replica in placed.Leaving) AccountOf(replica.Pool).Volumes.Add(name);
    }

    private void Discount(string name)
    {
        if (!_counted.Remove(name, out var counted)) return;
        foreach (var replica in counted.Placed.Replicas)
        {
            var account = AccountOf(replica.Pool);
            account.Bytes -= counted.Placed.SizeBytes;
            account.Volumes.Remove(name);
        }

        foreach (var replica in counted.Placed.Leaving) AccountOf(replica.Pool).Volumes.Remove(name);
    }

    private Account AccountOf(string pool)
    {
        if (!_accounts.TryGetValue(pool, out var account)) _accounts[pool] = account = new Account();
        return account;
    }

    /// <param name="Source">The object that says so: while it is the same, nothing has changed.</param>
    /// <param name="Placed">Where the volume's replicas are.</param>
    private readonly record struct Counted(object Source, PlacedVolume Placed);

    /// <summary>What is placed on a pool.</summary>
    private sealed class Account
    {
        public long Bytes { get; set; }

        public HashSet<string> Volumes { get; } = [];
    }
}
