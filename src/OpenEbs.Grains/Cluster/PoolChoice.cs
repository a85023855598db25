using OpenEbs.Pools;
using OpenEbs.Volumes;

namespace OpenEbs.Grains.Cluster;

/// <summary>What a volume needs of the pools.</summary>
internal sealed record PlacementRequest
{
    public required string Volume { get; init; }

    /// <summary>The volume's size: what its replicas may come to occupy.</summary>
    public required long SizeBytes { get; init; }

    public required PlacementPolicy Policy { get; init; }

    /// <summary>By how much the volumes placed on a pool may exceed its capacity.</summary>
    public required double MaxOverprovisioning { get; init; }

    /// <summary>Pools that have a replica of the volume.</summary>
    public IReadOnlyCollection<string> Holding { get; init; } = [];

    /// <summary>Those whose replicas are there to stay: new ones keep apart from these.</summary>
    public IReadOnlyCollection<string> Staying { get; init; } = [];

    /// <summary>Pools that have files of a replica that was removed from the volume.</summary>
    public IReadOnlyCollection<string> Leaving { get; init; } = [];

    /// <summary>The request after a pool was chosen.</summary>
    public PlacementRequest With(string pool) => this with { Holding = [.. Holding, pool], Staying = [.. Staying, pool] };
}

/// <summary>A pool as a place for a replica.</summary>
/// <param name="Pool">The pool.</param>
/// <param name="Parts">What its score is made of.</param>
/// <param name="Refusals">Why it cannot have one; empty when it can.</param>
internal sealed record PoolCandidate(PoolView Pool, IReadOnlyList<ScorePartView> Parts, IReadOnlyList<string> Refusals)
{
    public int Score => Parts.Sum(part => part.Points);

    public bool IsPossible => Refusals.Count == 0;
}

/// <summary>Chooses the pools for a volume's replicas: those that may have one, the highest score first. Every refusal and every part of a score has a reason that can be shown.</summary>
internal static class PoolChoice
{
    /// <summary>With less a pool is full: a replica needs this much to begin with.</summary>
    private const long MinFreeBytes = 64L << 20;

    /// <summary>For each replica in the same zone, and on the same node: more than all else together.</summary>
    private const int ApartPoints = -1000;
    private const int FreePoints = 100;
    private const int PlacedPoints = -50;
    private const int MaxReplicaPoints = 40;

    /// <summary>Pools whose refusals are listed in a message.</summary>
    private const int MaxRefusals = 10;

    /// <summary>All pools: those that can have a replica by their score, then those that cannot.</summary>
    public static IReadOnlyList<PoolCandidate> Rank(PlacementRequest request, IReadOnlyList<PoolView> pools) =>
    [
        .. pools.Select(pool => Judge(request, pool, pools))
            .OrderByDescending(candidate => candidate.IsPossible)
            .ThenByDescending(candidate => candidate.Score)
            .ThenBy(candidate => candidate.Pool.Id, StringComparer.Ordinal),
    ];

    /// <summary>The best pool for one more replica; null when there is none.</summary>
    public static PoolView? Next(PlacementRequest request, IReadOnlyList<PoolView> pools) => Rank(request, pools).FirstOrDefault(candidate => candidate.IsPossible)?.Pool;

    /// <summary>Pools for so many more replicas.</summary>
    /// <exception cref="VolumeUnavailableException">There are not so many; the message has each pool's reasons.</exception>
    public static IReadOnlyList<PoolView> Choose(PlacementRequest request, IReadOnlyList<PoolView> pools, int count)
    {
        var chosen = new List<PoolView>(count);
        var rest = request;
        while (chosen.Count < count)
        {
            if (Next(rest, pools) is not { } pool) throw new VolumeUnavailableException(Explain(request, rest, pools, count));
            chosen.Add(pool);
            rest = rest.With(pool.Id);
        }

        return chosen;
    }

    /// <summary>Why no pool can have one more replica, pool by pool.</summary>
    public static string ListRefusals(PlacementRequest request, IReadOnlyList<PoolView> pools)
    {
        var refused = Rank(request, pools).Where(candidate => !candidate.IsPossible).OrderBy(candidate => candidate.Pool.Id, StringComparer.Ordinal).ToList();
        var told = refused.Take(MaxRefusals).Select(candidate => $"pool '{candidate.Pool.Id}': {string.Join(", ", candidate.Refusals)}");
        return string.Join("; ", told) + (refused.Count > MaxRefusals ? $"; and {refused.Count - MaxRefusals} more" : "");
    }

    /// <summary>The pool as a place for one more replica.</summary>
    public static PoolCandidate Judge(PlacementRequest request, PoolView pool, IReadOnlyList<PoolView> pools)
    {
        var others = pools.Where(other => request.Staying.Contains(other.Id) && other.Id != pool.Id).ToList();
        return new PoolCandidate(pool, [.. PartsOf(request, pool, others)], [.. RefusalsOf(request, pool, others)]);
    }

    /// <summary>Why a volume with replicas on these pools cannot grow by so much; null when it can.</summary>
    public static string? ProblemOfGrowth(IReadOnlyCollection<string> holding, IReadOnlyList<PoolView> pools, long moreBytes, double maxOverprovisioning)
    {
        var full = pools.Where(pool => pool.Online && holding.Contains(pool.Id) && pool.PlacedBytes + moreBytes > pool.CapacityBytes * maxOverprovisioning).ToList();
        return full.Count == 0 ? null : string.Join("; ", full.Select(pool => $"pool '{pool.Id}': volumes of {Text(pool.PlacedBytes)} are placed on it, with {Text(moreBytes)} more than {maxOverprovisioning:0.##} times its capacity of {Text(pool.CapacityBytes)}"))
            + " (MaxOverprovisioning): grow it by less, or drain that pool";
    }

    public static string ZoneOf(PoolView pool) => pool.Labels.GetValueOrDefault(PoolLabels.Zone, "");

    private static string Explain(PlacementRequest request, PlacementRequest rest, IReadOnlyList<PoolView> pools, int count)
    {
        var wanted = request.Holding.Count + count;
        var refusals = ListRefusals(rest, pools);
        return $"Volume '{request.Volume}' needs {wanted} pools, each for one replica, and {rest.Holding.Count} can have one. Ask for fewer replicas or a softer policy, add pools, bring pools back, or uncordon some"
            + $"{(refusals.Length > 0 ? $" ({refusals})" : "")}.";
    }

    private static IEnumerable<string> RefusalsOf(PlacementRequest request, PoolView pool, List<PoolView> others)
    {
        if (request.Holding.Contains(pool.Id)) yield return "it has a replica of the volume";
        else if (request.Leaving.Contains(pool.Id)) yield return "it has files of a replica that was removed from the volume";
        if (!pool.Online) yield return $"it is offline ({pool.Reason})";
        if (pool.Availability != Availability.Available) yield return $"it takes no new replicas: {pool.AvailabilityReason}";
        foreach (var (key, value) in Selected(request.Policy))
        {
            if (!pool.Labels.TryGetValue(key, out var has)) yield return $"it has no label {key}, {value} is selected";
            else if (has != value) yield return $"its label {key} is {has}, {value} is selected";
        }

        if (request.Policy.Node == AntiAffinity.Hard && others.Any(other => other.Node == pool.Node)) yield return $"its node {pool.Node} has a replica of the volume, and two may not share a node";
        if (request.Policy.Zone == AntiAffinity.Hard)
        {
            var zone = ZoneOf(pool);
            if (zone.Length == 0) yield return $"it is in no zone (label {PoolLabels.Zone}), and two replicas may not share one";
            else if (others.Any(other => ZoneOf(other) == zone)) yield return $"its zone {zone} has a replica of the volume, and two may not share a zone";
        }

        // What an offline pool has room for is not known.
        if (!pool.Online) yield break;
        if (pool.FreeBytes < MinFreeBytes) yield return "it is full";
        if (pool.PlacedBytes + request.SizeBytes > pool.CapacityBytes * request.MaxOverprovisioning)
            yield return $"volumes of {Text(pool.PlacedBytes)} are placed on it, with this one of {Text(request.SizeBytes)} more than {request.MaxOverprovisioning:0.##} times its capacity of {Text(pool.CapacityBytes)}"
                + " (MaxOverprovisioning): make the volume smaller, or add a pool";
    }

    private static IEnumerable<ScorePartView> PartsOf(PlacementRequest request, PoolView pool, List<PoolView> others)
    {
        var free = pool.CapacityBytes > 0 ? (double)pool.FreeBytes / pool.CapacityBytes : 0;
        yield return new ScorePartView("free", (int)(FreePoints * Math.Clamp(free, 0, 1)), $"{free:P0} of it is free");
        var placed = pool.CapacityBytes > 0 ? pool.PlacedBytes / (pool.CapacityBytes * request.MaxOverprovisioning) : 0;
        yield return new ScorePartView("placed", (int)(PlacedPoints * Math.Clamp(placed, 0, 1)), $"volumes of {Text(pool.PlacedBytes)} are placed on it");
        yield return new ScorePartView("replicas", -Math.Min(MaxReplicaPoints, pool.Replicas), $"it has {pool.Replicas} replicas");
        var onNode = others.Count(other => other.Node == pool.Node);
        if (onNode > 0) yield return new ScorePartView("node", ApartPoints * onNode, $"its node {pool.Node} has {onNode} of the volume");
        var zone = ZoneOf(pool);
        var inZone = zone.Length > 0 ? others.Count(other => ZoneOf(other) == zone) : 0;
        if (inZone > 0) yield return new ScorePartView("zone", ApartPoints * inZone, $"its zone {zone} has {inZone} of the volume");
    }

    private static IReadOnlyDictionary<string, string> Selected(PlacementPolicy policy) => PoolLabels.TryParse(policy.Selector, out var labels, out _) ? labels : throw new InvalidOperationException($"The selector '{policy.Selector}' was not validated.");

    private static string Text(long bytes) => bytes >= 1L << 40 ? $"{(double)bytes / (1L << 40):0.#} TiB" : bytes >= 1L << 30 ? $"{(double)bytes / (1L << 30):0.#} GiB" : $"{(double)bytes / (1L << 20):0.#} MiB";
}
