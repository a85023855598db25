using System.Diagnostics;
using OpenEbs.Grains.Cluster;
using OpenEbs.Pools;
using OpenEbs.Replication.Volumes;
using OpenEbs.Volumes;
using Orleans.Runtime;

namespace OpenEbs.Placement;

/// <summary>A cluster of which only the decisions are real: the classes with which the cluster grain chooses pools, remembers where replicas are, and replaces those that are lost.</summary>
internal sealed class LargeCluster : IDisposable
{
    private const long Gi = 1L << 30;
    private const int RegisteredAtOnce = 100;
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly PlanRules Rules = new(TimeSpan.FromMinutes(10), 10);

    private readonly PlacementPolicy _policy;
    private readonly MemoryRegistryStorage _storage = new();
    private readonly Registry _registry;
    private readonly PlacementLedger _ledger;
    private readonly Dictionary<string, VolumeRecord> _records = [];
    private readonly Random _random;
    private PoolView[] _pools;

    public LargeCluster(int nodes, int racks, bool hardZones, int seed)
    {
        _random = new Random(seed);
        _policy = PlacementPolicy.Default with { Zone = hardZones ? AntiAffinity.Hard : AntiAffinity.Soft };
        _registry = new Registry(_storage, GrainId.Create("openebs.cluster", "0"));
        _ledger = new PlacementLedger(_registry);
        _pools = [.. Enumerable.Range(0, nodes).Select(i => new PoolView
        {
            Id = $"pool-{i:D5}",
            Node = $"node-{i:D5}",
            Path = "/pool",
            CapacityBytes = 10_000 * Gi,
            FreeBytes = 10_000 * Gi,
            Replicas = 0,
            Online = true,
            Labels = new Dictionary<string, string> { [PoolLabels.Zone] = $"rack-{i % racks}" },
        })];
    }

    public int MetadataReads { get; private set; }

    public int MetadataWrites { get; private set; }

    public int RegistryWrites => _storage.Writes;

    public int Rounds { get; private set; }

    /// <summary>Creates volumes as the cluster grain does, each with a look at all pools.</summary>
    public async Task<TimeSpan> PlaceAsync(int volumes)
    {
        await _registry.LoadAsync();
        var watch = new Stopwatch();
        for (var first = 0; first < volumes; first += RegisteredAtOnce)
        {
            var batch = new List<(string Name, RegisteredVolume Volume)>();
            watch.Start();

            // The look at the pools counts what was registered before; within a batch, what was placed since is noted, as upkeep does.
            var pools = _ledger.Weigh(_pools);
            for (var i = first; i < Math.Min(first + RegisteredAtOnce, volumes); i++)
            {
                var spec = new VolumeSpec { SizeBytes = _random.Next(1, 200) * Gi, Placement = _policy };
                var name = $"volume-{i:D6}";
                var request = new PlacementRequest { Volume = name, SizeBytes = spec.SizeBytes, Policy = spec.EffectivePlacement, MaxOverprovisioning = Rules.MaxOverprovisioning };
                var chosen = PoolChoice.Choose(request, pools, spec.Replicas);
                foreach (var pool in chosen) pools.NotePlaced(pool.Id, spec.SizeBytes);
                var uid = new Guid(i, 0, 0, new byte[8]);
                batch.Add((name, new RegisteredVolume { Uid = uid, Spec = spec, Stage = RegistrationStage.Created, Replicas = [.. chosen.Select((pool, n) => new RegisteredReplica(pool.Id, $"{uid:N}-{n}"))] }));
            }

            watch.Stop();
            await _registry.ChangeAsync(state =>
            {
                foreach (var (name, volume) in batch) state.Volumes[name] = volume;
                return true;
            });
            foreach (var (name, volume) in batch)
            {
                var record = VolumeLifecycle.NewRecord(name, volume);
                _records[name] = record with { Replicas = [.. record.Replicas.Select(entry => entry with { Created = true })], WantedReplicas = volume.Spec.Replicas };
            }

            foreach (var pool in batch.SelectMany(created => created.Volume.Replicas).GroupBy(replica => replica.Pool)) Grow(pool.Key, pool.Count());
        }

        return watch.Elapsed;
    }

    /// <summary>One change of the registry as it is now: how long it takes without the disk, and what is written.</summary>
    public async Task<(TimeSpan Time, long Bytes)> MeasureRegistryAsync()
    {
        _storage.Measures = true;
        await ChangeOnceAsync();
        var watch = Stopwatch.StartNew();
        await ChangeOnceAsync();
        _ = _ledger.Weigh(_pools);
        _storage.Measures = false;
        return (watch.Elapsed, _storage.MeasuredBytes);

        Task ChangeOnceAsync() => _registry.ChangeAsync(state =>
        {
            state.Volumes["volume-000000"] = state.Volumes["volume-000000"] with { Stage = RegistrationStage.Created };
            return true;
        });
    }

    /// <summary>A rack's pools go, and what they held is out of sync for longer than the replacement delay.</summary>
    /// <returns>How many replicas that were.</returns>
    public int LoseRack(string rack)
    {
        _pools = [.. _pools.Select(pool => PoolChoice.ZoneOf(pool) == rack ? pool with { Online = false, FreeBytes = 0, Reason = "its node is not running" } : pool)];
        var gone = _pools.Where(pool => !pool.Online).Select(pool => pool.Id).ToHashSet();
        var lost = 0;
        foreach (var (name, record) in _records.ToList())
        {
            if (!record.Replicas.Any(entry => gone.Contains(entry.Pool))) continue;
            lost += record.Replicas.Count(entry => gone.Contains(entry.Pool));
            _records[name] = record with { Replicas = [.. record.Replicas.Select(entry => gone.Contains(entry.Pool) ? entry with { Standing = ReplicaStanding.Faulted, OutSince = Now.AddHours(-1) } : entry)] };
        }

        return lost;
    }

    /// <summary>Rounds of upkeep until nothing is left to do; a new replica is taken to be in sync in the round after. Returns the time of each.</summary>
    public async Task<IReadOnlyList<TimeSpan>> HealAsync()
    {
        var times = new List<TimeSpan>();
        for (var steps = 1; steps > 0 && Rounds < 20; Rounds++)
        {
            steps = 0;
            var watch = Stopwatch.StartNew();
            var pools = _ledger.Weigh(_pools);
            var forgotten = new List<RegisteredReplica>();
            foreach (var name in _records.Keys.ToList())
            {
                var record = Join(_records[name]);
                _ledger.Note(record);
                _ = ReplicaPlan.ListMoving(record, pools, Rules, Now);
                var step = ReplicaPlan.Next(record, pools, Rules, Now);
                switch (step)
                {
                    case { Kind: ReplicaStepKind.Add, Subject: { } pool }:
                        record = record with { Replicas = [.. record.Replicas, new ReplicaEntry($"{record.Uid:N}-r{Rounds}", pool, ReplicaStanding.Rebuilding, Created: true)] };
                        pools.NotePlaced(pool, record.SizeBytes);
                        Grow(pool, 1);

                        // Added, rebuilding, in sync.
                        MetadataWrites += 3;
                        steps++;
                        break;
                    case { Kind: ReplicaStepKind.Remove, Subject: { } id }:
                        var gone = record.Replicas.First(entry => entry.Id == id);
                        record = record with { Replicas = [.. record.Replicas.Where(entry => entry.Id != id)] };
                        forgotten.Add(new RegisteredReplica(gone.Pool, gone.Id));

                        // Removed, its files handed over, forgotten.
                        MetadataWrites += 2;
                        steps++;
                        break;
                    case { Kind: ReplicaStepKind.None }:
                        break;
                    default:
                        throw new InvalidOperationException($"Volume {name}: {step.Kind} has no place: {step.Obstacle}");
                }

                MetadataReads++;
                _records[name] = record;
            }

            watch.Stop();
            times.Add(watch.Elapsed);

            // The real one is written once for each.
            await _registry.ChangeAsync(state =>
            {
                state.Removals.AddRange(forgotten);
                return forgotten.Count > 0;
            });
        }

        return times;
    }

    /// <summary>What is wrong with where the replicas are; empty when nothing is.</summary>
    public IEnumerable<string> Problems()
    {
        var pools = _pools.ToDictionary(pool => pool.Id);
        foreach (var record in _records.Values)
        {
            if (record.Replicas.Count != 3 || record.InSyncCount != 3) yield return $"{record.Name} has {record.Replicas.Count} replicas, {record.InSyncCount} in sync";
            if (record.Replicas.Any(entry => !pools[entry.Pool].Online)) yield return $"{record.Name} has a replica on a pool that is gone";
            if (record.Replicas.Select(entry => PoolChoice.ZoneOf(pools[entry.Pool])).Distinct().Count() != record.Replicas.Count) yield return $"{record.Name} has two replicas in a rack";
        }

        foreach (var pool in _ledger.Weigh(_pools).Where(pool => pool.PlacedBytes > pool.CapacityBytes * Rules.MaxOverprovisioning)) yield return $"{pool.Id} is over-provisioned";
    }

    /// <summary>Replicas on the fullest and the emptiest pool, and on average, of those that are online.</summary>
    public (int Least, double Mean, int Most) Spread()
    {
        var counts = _records.Values.SelectMany(record => record.Replicas).GroupBy(entry => entry.Pool).ToDictionary(same => same.Key, same => same.Count());
        var online = _pools.Where(pool => pool.Online).Select(pool => counts.GetValueOrDefault(pool.Id)).ToList();
        return (online.Min(), online.Average(), online.Max());
    }

    public void Dispose() => _registry.Dispose();

    private static VolumeRecord Join(VolumeRecord record) => record.Replicas.All(entry => entry.Standing != ReplicaStanding.Rebuilding) ? record
        : record with { Replicas = [.. record.Replicas.Select(entry => entry.Standing == ReplicaStanding.Rebuilding ? entry with { Standing = ReplicaStanding.InSync } : entry)] };

    private void Grow(string id, int replicas)
    {
        var index = Array.FindIndex(_pools, pool => pool.Id == id);
        var pool = _pools[index];
        _pools[index] = pool with { Replicas = pool.Replicas + replicas, FreeBytes = Math.Max(0, pool.FreeBytes - replicas * 20 * Gi) };
    }
}
