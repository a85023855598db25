using OpenEbs.Pools;
using OpenEbs.Replication.Volumes;

namespace OpenEbs.Grains.Cluster;

/// <summary>Where a volume's replicas are.</summary>
/// <param name="Name">The volume.</param>
/// <param name="SizeBytes">Its size.</param>
/// <param name="Replicas">Those that it has.</param>
/// <param name="Leaving">Those that were removed from it and whose files nobody has taken on to delete yet.</param>
internal sealed record PlacedVolume(string Name, long SizeBytes, IReadOnlyList<RegisteredReplica> Replicas, IReadOnlyList<RegisteredReplica> Leaving);

/// <summary>Where all replicas are, without asking every volume's record: upkeep, which reads them all in every round, notes it here. Of a volume that was not noted yet the registration has to do,
/// which may be a replica behind.</summary>
internal sealed class PlacementLedger(Registry registry)
{
    private readonly Dictionary<string, (Guid Uid, PlacedVolume Placed)> _noted = [];

    public IEnumerable<PlacedVolume> Volumes => registry.Current.Volumes.Select(entry => _noted.TryGetValue(entry.Key, out var noted) && noted.Uid == entry.Value.Uid
        ? noted.Placed
        : new PlacedVolume(entry.Key, entry.Value.Spec.SizeBytes, entry.Value.Replicas, []));

    public void Note(VolumeRecord record) => _noted[record.Name] = (record.Uid, Of(record));

    /// <summary>Forgets volumes that are no more.</summary>
    public void Prune()
    {
        foreach (var name in _noted.Keys.Where(name => !registry.Current.Volumes.ContainsKey(name)).ToList()) _noted.Remove(name);
    }

    /// <summary>The pools with the sizes of the volumes that are placed on each.</summary>
    public IReadOnlyList<PoolView> Weigh(IReadOnlyList<PoolView> pools)
    {
        var placed = Volumes.SelectMany(volume => volume.Replicas.Select(replica => (replica.Pool, volume.SizeBytes)))
            .GroupBy(replica => replica.Pool).ToDictionary(same => same.Key, same => same.Sum(replica => replica.SizeBytes));
        return [.. pools.Select(pool => placed.TryGetValue(pool.Id, out var bytes) ? pool with { PlacedBytes = bytes } : pool)];
    }

    /// <summary>Volumes with replicas on these pools, with those replicas.</summary>
    public IEnumerable<(PlacedVolume Volume, RegisteredReplica Replica)> On(IReadOnlyCollection<string> pools) =>
        Volumes.SelectMany(volume => volume.Replicas.Concat(volume.Leaving).Where(replica => pools.Contains(replica.Pool)).Select(replica => (volume, replica)));

    public static PlacedVolume Of(VolumeRecord record) => new(record.Name, record.SizeBytes, Replicas(record.Replicas), Replicas(record.Leaving));

    private static List<RegisteredReplica> Replicas(IReadOnlyList<ReplicaEntry> entries) => [.. entries.Select(entry => new RegisteredReplica(entry.Pool, entry.Id))];
}
