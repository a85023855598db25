using OpenEbs.Pools;
using OpenEbs.Replication.Volumes;

namespace OpenEbs.Grains.Cluster;

/// <summary>A volume that a drain concerns.</summary>
/// <param name="Record">Its record.</param>
/// <param name="UsedBytes">What each replica occupies, by id; one that is not there is taken to be as large as the largest, or as the volume.</param>
internal sealed record DrainedVolume(VolumeRecord Record, IReadOnlyDictionary<string, long> UsedBytes);

/// <param name="Rules">What it goes by.</param>
/// <param name="RoundInterval">Time between two steps for one volume.</param>
/// <param name="ConcurrentMoves">Volumes that move at the same time from one node.</param>
internal readonly record struct DrainPace(PlanRules Rules, TimeSpan RoundInterval, int ConcurrentMoves);

/// <summary>Works out what a drain would do, without doing it: the same choices that upkeep would make, one after the other, with the room that each takes.</summary>
internal static class DrainForecast
{
    /// <summary>What a move is taken to copy in a second, for want of anything measured: a network of 1 Gbit/s half used, or a disk with other work.</summary>
    public const long AssumedBytesPerSecond = 64L << 20;

    /// <summary>Rounds of upkeep that a move takes beside the copying: one to begin it and one to end it.</summary>
    private const int RoundsPerMove = 2;

    /// <param name="subject">The node or pool.</param>
    /// <param name="leaving">The pools that would be emptied.</param>
    /// <param name="volumes">Volumes with replicas there.</param>
    /// <param name="pools">All pools.</param>
    /// <param name="pace">How fast upkeep works.</param>
    /// <param name="now">The time.</param>
    public static DrainPlan Of(string subject, IReadOnlyCollection<string> leaving, IReadOnlyList<DrainedVolume> volumes, IReadOnlyList<PoolView> pools, DrainPace pace, DateTimeOffset now)
    {
        var then = pools.Select(pool => leaving.Contains(pool.Id) ? pool with { Availability = Availability.Draining } : pool).ToList();
        var moves = new List<DrainMove>();
        foreach (var volume in volumes.OrderBy(volume => volume.Record.Name, StringComparer.Ordinal)) moves.AddRange(MovesOf(volume, leaving, then, pace, now));
        var copies = moves.Where(move => move.ToPool.Length > 0).ToList();
        var copyBytes = copies.Sum(move => move.Bytes);
        var seconds = Math.Max((double)copyBytes / (AssumedBytesPerSecond * pace.ConcurrentMoves), copies.Select(move => (double)move.Bytes / AssumedBytesPerSecond).DefaultIfEmpty().Max());
        var rounds = (copies.Count + pace.ConcurrentMoves - 1) / pace.ConcurrentMoves * RoundsPerMove;
        return new DrainPlan
        {
            Subject = subject,
            Moves = moves,
            CopyBytes = copyBytes,
            Duration = TimeSpan.FromSeconds(Math.Ceiling(seconds)) + rounds * pace.RoundInterval,
            AssumedBytesPerSecond = AssumedBytesPerSecond,
            ConcurrentMoves = pace.ConcurrentMoves,
        };
    }

    private static IEnumerable<DrainMove> MovesOf(DrainedVolume volume, IReadOnlyCollection<string> leaving, List<PoolView> pools, DrainPace pace, DateTimeOffset now)
    {
        var record = volume.Record;
        var lost = ReplicaPlan.ListLost(record, pools, pace.Rules, now);
        var staying = record.Replicas.Count(entry => !lost.Contains(entry) && !pools.Any(pool => pool.Id == entry.Pool && pool.Availability >= Availability.Draining));
        var needed = Math.Max(0, record.EffectiveReplicas - staying);
        var request = ReplicaPlan.RequestOf(record, pools, pace.Rules, now);
        foreach (var entry in record.Replicas.Where(entry => leaving.Contains(entry.Pool)))
        {
            var bytes = BytesOf(volume, entry);
            var target = needed-- > 0 ? PoolChoice.Next(request, pools) : null;
            var isStuck = needed >= 0 && target is null;
            if (target is not null)
            {
                request = request.With(target.Id);
                pools[pools.IndexOf(target)] = target with { FreeBytes = Math.Max(0, target.FreeBytes - bytes), Replicas = target.Replicas + 1, PlacedBytes = target.PlacedBytes + record.SizeBytes };
            }

            yield return new DrainMove
            {
                Volume = record.Name,
                Replica = entry.Id,
                FromPool = entry.Pool,
                ToPool = target?.Id ?? "",
                ToNode = target?.Node ?? "",
                Bytes = bytes,
                Risks = [.. RisksOf(record, target, bytes, isStuck ? PoolChoice.ListRefusals(request, pools) : null)],
                IsStuck = isStuck,
            };
        }
    }

    private static IEnumerable<string> RisksOf(VolumeRecord record, PoolView? target, long bytes, string? obstacle)
    {
        if (record.InSyncCount <= record.MinInSync)
            yield return $"{record.InSyncCount} replica(s) in sync and {record.MinInSync} needed to serve: if one fails before the move has ended, I/O waits";
        if (obstacle is not null) yield return $"no pool can have another: the replica stays until one can ({obstacle})";
        else if (target is not null && bytes > target.FreeBytes) yield return $"pool {target.Id} has {target.FreeBytes} bytes free, fewer than the replica occupies";
    }

    private static long BytesOf(DrainedVolume volume, ReplicaEntry entry)
    {
        if (entry.Standing == ReplicaStanding.InSync && volume.UsedBytes.TryGetValue(entry.Id, out var used)) return used;
        return volume.UsedBytes.Count > 0 ? volume.UsedBytes.Values.Max() : volume.Record.SizeBytes;
    }
}
