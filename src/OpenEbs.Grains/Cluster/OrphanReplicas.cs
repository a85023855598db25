using System.Globalization;
using Microsoft.Extensions.Logging;
using OpenEbs.Grains.Nodes;
using OpenEbs.Grains.Replicas;
using OpenEbs.Grains.Volumes;
using OpenEbs.Replicas;
using OpenEbs.Replication.Volumes;
using OpenEbs.Storage.Store;
using OpenEbs.Volumes;

namespace OpenEbs.Grains.Cluster;

/// <summary>A replica found on disk that no volume knows.</summary>
internal sealed record Orphan(Guid Uid, StoredReplica Place, string Node, ReplicaInspection Inspection)
{
    /// <summary>What may be imported: data of one moment, not half of a rebuild.</summary>
    public StoreStatus? Usable => Inspection.Status is { Consistency: ReplicaConsistency.Prefix } status ? status : null;

    public string Reason => Inspection.Status is null ? Inspection.Reason
        : Usable is null ? "a rebuild of it was under way: it has blocks of different times"
        : Usable.MayHaveLostTail ? "its host lost power: unflushed writes may be missing"
        : "";
}

/// <summary>Finds replicas on disk that the registry does not know, and makes volumes of them, or deletes them, when it is told to.</summary>
internal sealed partial class OrphanReplicas(Registry registry, ClusterEvents events, IGrainFactory grains, VolumeRecords records, NodeDirectory nodes, TimeProvider time, ILogger logger)
{
    /// <summary>Opening a store takes a log's worth of reading and memory.</summary>
    private const int AtOnce = 8;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    public async Task<IReadOnlyList<OrphanVolumeView>> ListAsync() => [.. (await FindAsync(null)).GroupBy(orphan => orphan.Uid).Select(ViewOf).OrderBy(view => view.Name, StringComparer.Ordinal)];

    /// <summary>Writes the record, then the registration: an interrupted import is taken up by asking again.</summary>
    /// <returns>The volume's name.</returns>
    public async Task<string> ImportAsync(Guid uid, string? name)
    {
        var orphans = await FindAsync(uid);
        if (orphans.Count == 0) throw new VolumeNotFoundException($"No replica of an unknown volume {uid} was found on the pools that are online; 'openebsctl replica orphans' lists what there is.");
        var best = Best(orphans) ?? throw new VolumeRequestInvalidException($"None of the {orphans.Count} replica(s) of volume {uid} can be used: {string.Join("; ", orphans.Select(orphan => $"{orphan.Place.Id}: {orphan.Reason}"))}.");
        var remembered = Remembered(orphans) ?? throw new VolumeRequestInvalidException($"No replica of volume {uid} remembers its size; without it the volume cannot be imported.");
        name ??= remembered.Name;
        if (!VolumeName.TryParse(name, out _)) throw new VolumeRequestInvalidException($"'{name}' is not a volume name; use 1 to {VolumeName.MaxLength} lower-case letters, digits, '-' or '.', starting and ending with a letter or digit.");
        if (registry.Current.Volumes.TryGetValue(name, out var other) && other.Uid != uid) throw new VolumeAlreadyExistsException($"There is another volume '{name}'; give the imported one another name: --name NAME.");
        var record = RecordOf(orphans, best, remembered, name, time.GetUtcNow());
        if (!await records.Of(name).TryCreateAsync(record) && await records.Of(name).LoadAsync() is var (existing, _) && existing.Uid != uid)
            throw new VolumeAlreadyExistsException($"The metadata store has a record of another volume '{name}'; give the imported one another name: --name NAME.");
        await registry.ChangeAsync(state =>
        {
            if (state.Volumes.ContainsKey(name)) return false;
            state.Volumes[name] = new RegisteredVolume
            {
                Uid = uid,
                Spec = VolumeViews.SpecOf(record),
                Stage = RegistrationStage.Created,
                Replicas = [.. record.Replicas.Select(replica => new RegisteredReplica(replica.Pool, replica.Id))],
            };
            events.Tell(state, ClusterEventKind.VolumeImported, name, "", $"{record.SizeBytes} bytes from replica {best.Place.Id} on pool {best.Place.Pool}", "asked for");
            return true;
        });
        LogImported(name, best.Place.Id, best.Place.Pool);
        return name;
    }

    public async Task DeleteAsync(Guid uid, string replicaId, bool evenIfLast)
    {
        var orphans = await FindAsync(uid);
        var orphan = orphans.FirstOrDefault(o => o.Place.Id == replicaId) ?? throw new VolumeNotFoundException($"No replica '{replicaId}' that no volume knows was found on the pools that are online.");
        if (!evenIfLast && !registry.Current.Volumes.Values.Any(volume => volume.Uid == uid && volume.Stage == RegistrationStage.Created))
        {
            throw new VolumeRequestInvalidException(
                $"Replica '{replicaId}' on pool '{orphan.Place.Pool}' could be the last copy of volume {uid}, which the cluster does not know: import it ('openebsctl volume import {uid}'), or confirm with --force that its data may go.");
        }

        await grains.GetGrain<IReplicaGrain>($"{orphan.Place.Pool}/{replicaId}").DeleteAsync();
        await registry.ChangeAsync(state =>
        {
            events.Tell(state, ClusterEventKind.OrphanDeleted, replicaId, $"on pool {orphan.Place.Pool}", "", "asked for");
            return true;
        });
    }

    /// <summary>The record of the imported volume. Only the best replica counts as in sync: the others are matched with it like any that were away.</summary>
    internal static VolumeRecord RecordOf(IReadOnlyList<Orphan> orphans, Orphan best, VolumeRecord remembered, string name, DateTimeOffset now)
    {
        var found = orphans.DistinctBy(orphan => orphan.Place.Id).ToList();
        return remembered with
        {
            Name = name,
            Deleting = false,
            Epoch = Math.Max(remembered.Epoch, orphans.Max(orphan => orphan.Inspection.Status?.FenceEpoch ?? 0)),
            WantedReplicas = remembered.EffectiveReplicas,
            NextReplicaNumber = Math.Max(remembered.FreeReplicaNumber, found.Max(orphan => NumberOf(orphan.Place.Id)) + 1),
            Leaving = [],
            Replicas =
            [
                .. found.Select(orphan => orphan == best
                    ? new ReplicaEntry(orphan.Place.Id, orphan.Place.Pool, ReplicaStanding.InSync, Created: true)
                    : new ReplicaEntry(orphan.Place.Id, orphan.Place.Pool, ReplicaStanding.Faulted, Created: true, "it was found on disk and is brought level", now)),
            ],
            Events = [new VolumeEvent(now, VolumeEventKind.Imported, best.Place.Id, "", $"{found.Count} replica(s), the newest at {best.Inspection.Status!.Last}", "asked for")],
        };
    }

    /// <summary>Of those that are whole the one with the highest (epoch, seq); of equal ones one that has surely lost nothing.</summary>
    internal static Orphan? Best(IEnumerable<Orphan> orphans) => orphans
        .Where(orphan => orphan.Usable is not null)
        .OrderByDescending(orphan => orphan.Usable!.Last.Epoch)
        .ThenByDescending(orphan => orphan.Usable!.Last.Seq)
        .ThenBy(orphan => orphan.Usable!.MayHaveLostTail)
        .ThenBy(orphan => orphan.Place.Id, StringComparer.Ordinal)
        .FirstOrDefault();

    /// <summary>A replica's id is its volume's uid and a number.</summary>
    internal static Guid? UidOf(string replicaId) => replicaId.LastIndexOf('-') is var dash and > 0 && Guid.TryParseExact(replicaId[..dash], "N", out var uid) && NumberOf(replicaId) >= 0 ? uid : null;

    private static int NumberOf(string replicaId) => int.TryParse(replicaId.AsSpan(replicaId.LastIndexOf('-') + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : -1;

    private static VolumeRecord? Remembered(IEnumerable<Orphan> orphans) => orphans.Select(orphan => orphan.Inspection.Record).OfType<VolumeRecord>().MaxBy(record => record.Epoch);

    private async Task<List<Orphan>> FindAsync(Guid? uid)
    {
        var known = await KnownAsync();
        var found = new List<(Guid Uid, StoredReplica Place, string Node)>();
        foreach (var node in nodes.ListActive())
        {
            foreach (var replica in await ReplicasOfAsync(node))
            {
                if (known.Contains(new RegisteredReplica(replica.Pool, replica.Id)) || UidOf(replica.Id) is not { } of || (uid is not null && uid != of)) continue;
                found.Add((of, replica, node.Name));
            }
        }

        var orphans = new List<Orphan>();
        foreach (var some in found.Chunk(AtOnce))
        {
            var inspections = await Task.WhenAll(some.Select(place => InspectAsync(place.Place)));
            orphans.AddRange(some.Zip(inspections, (place, inspection) => new Orphan(place.Uid, place.Place, place.Node, inspection)));
        }

        return [.. orphans.OrderBy(orphan => orphan.Place.Id, StringComparer.Ordinal)];
    }

    /// <summary>Not passed over when it does not answer: the newest replica may be on it.</summary>
    private async Task<IReadOnlyList<StoredReplica>> ReplicasOfAsync(NodeEntry node)
    {
        try
        {
            return await grains.GetNode(node.Silo).GetReplicasAsync();
        }
        catch (Exception failure)
        {
            throw new VolumeUnavailableException($"Node '{node.Name}' does not say what is on its pools, and the newest replica may be there: {failure.Message} Try again; if the node hangs, stop it first.");
        }
    }

    /// <summary>Whatever a volume has, or had and somebody is to delete.</summary>
    private async Task<HashSet<RegisteredReplica>> KnownAsync()
    {
        var known = new HashSet<RegisteredReplica>(registry.Current.Removals);
        foreach (var (name, volume) in registry.Current.Volumes.ToList())
        {
            known.UnionWith(volume.Replicas);
            if (await records.Of(name).LoadAsync() is var (record, _)) known.UnionWith(record.Replicas.Concat(record.Leaving).Select(entry => new RegisteredReplica(entry.Pool, entry.Id)));
        }

        return known;
    }

    private async Task<ReplicaInspection> InspectAsync(StoredReplica place)
    {
        try
        {
            return await grains.GetGrain<IReplicaGrain>($"{place.Pool}/{place.Id}").InspectAsync().AsTask().WaitAsync(Patience, time);
        }
        catch (Exception failure)
        {
            return new ReplicaInspection(null, null, failure.Message);
        }
    }

    private OrphanVolumeView ViewOf(IGrouping<Guid, Orphan> volume)
    {
        var orphans = volume.ToList();
        var best = Best(orphans);
        var remembered = Remembered(orphans);
        var missing = remembered?.Replicas.Where(entry => entry.Standing == ReplicaStanding.InSync && orphans.All(orphan => orphan.Place.Id != entry.Id)).ToList() ?? [];
        var reason = best is null ? "none of its replicas can be used"
            : remembered is null ? "none of its replicas remembers its size"
            : missing.Count > 0 ? $"not found: {string.Join(", ", missing.Select(entry => $"replica {entry.Id} on pool {entry.Pool}"))}; writes that only they have would be lost"
            : "";
        return new OrphanVolumeView
        {
            Uid = volume.Key,
            Name = remembered?.Name ?? "",
            SizeBytes = remembered?.SizeBytes ?? 0,
            IsImportable = best is not null && remembered is not null,
            Reason = reason,
            Replicas =
            [
                .. orphans.Select(orphan => new OrphanReplicaView
                {
                    Id = orphan.Place.Id,
                    Pool = orphan.Place.Pool,
                    Node = orphan.Node,
                    Epoch = orphan.Inspection.Status?.Last.Epoch ?? 0,
                    Seq = orphan.Inspection.Status?.Last.Seq ?? 0,
                    UsedBytes = orphan.Inspection.Status?.UsedBytes ?? 0,
                    IsBest = orphan == best,
                    Reason = orphan.Reason,
                }),
            ],
        };
    }

    [LoggerMessage(1450, LogLevel.Information, "Volume {Volume}: imported from replica {Replica} on pool {Pool}")]
    private partial void LogImported(string volume, string replica, string pool);
}
