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

    /// <summary>The node beside whose gateway a replica is wanted; empty for none.</summary>
    public string Gateway { get; init; } = "";

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

    /// <summary>For the first replica beside the gateway: more than all else but being apart.</summary>
    private const int LocalPoints = 500;
    private const int FreePoints = 100;
    private const int PlacedPoints = -50;
    private const int MaxReplicaPoints = 40;

    /// <summary>Pools whose refusals are listed in a message.</summary>
    private const int MaxRefusals = 10;

    /// <summary>All pools: those that can have a replica by their score, then those that cannot.</summary>
    public static IReadOnlyList<PoolCandidate> Rank(PlacementRequest request, IReadOnlyList<PoolView> pools)
    {
        var surroundings = new PlacementSurroundings(request, PoolMap.Of(pools));
        return
        [
            .. pools.Select(pool => Judge(surroundings, pool))
                .OrderByDescending(candidate => candidate.IsPossible)
                .ThenByDescending(candidate => candidate.Score)
                .ThenBy(candidate => candidate.Pool.Replicas)
                .ThenBy(candidate => candidate.Pool.Id, StringComparer.Ordinal),
        ];
    }

    /// <summary>The best pool for one more replica; null when there is none. The first of <see cref="Rank"/>, without putting the reasons of all the others into words.</summary>
    public static PoolView? Next(PlacementRequest request, IReadOnlyList<PoolView> pools)
    {
        var surroundings = new PlacementSurroundings(request, PoolMap.Of(pools));
        (PoolView Pool, int Score)? best = null;
        foreach (var pool in pools)
        {
            var score = ScoreOf(surroundings, pool).Total;
            if (best is { } other && !IsBetter(pool, score, other.Pool, other.Score)) continue;
            if (!RefusalsOf(surroundings, pool).Any()) best = (pool, score);
        }

        return best?.Pool;
    }

    /// <summary>Pools for so many more replicas.</summary>
    /// <exception cref="VolumeUnavailableException">There are not so many; the message has each pool's reasons.</exception>
    public static IReadOnlyList<PoolView> Choose(PlacementRequest request, IReadOnlyList<PoolView> pools, int count)
    {
        var chosen = new List<PoolView>(count);
        var rest = request;
        pools = PoolMap.Of(pools);
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
    public static PoolCandidate Judge(PlacementRequest request, PoolView pool, IReadOnlyList<PoolView> pools) => Judge(new PlacementSurroundings(request, PoolMap.Of(pools)), pool);

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

    private static PoolCandidate Judge(PlacementSurroundings surroundings, PoolView pool) => new(pool, [.. PartsOf(surroundings, pool)], [.. RefusalsOf(surroundings, pool)]);

    /// <summary>As <see cref="Rank"/> orders them. Many a score is equal in a large cluster: the pool with fewer replicas then, or all volumes of a moment would go to one.</summary>
    private static bool IsBetter(PoolView pool, int score, PoolView other, int otherScore) =>
        score != otherScore ? score > otherScore : pool.Replicas != other.Replicas ? pool.Replicas < other.Replicas : string.CompareOrdinal(pool.Id, other.Id) < 0;

    private static IEnumerable<string> RefusalsOf(PlacementSurroundings surroundings, PoolView pool)
    {
        var request = surroundings.Request;
        if (request.Holding.Contains(pool.Id)) yield return "it has a replica of the volume";
        else if (request.Leaving.Contains(pool.Id)) yield return "it has files of a replica that was removed from the volume";
        if (!pool.Online) yield return $"it is offline ({pool.Reason})";
        if (pool.Shortage.Length > 0) yield return pool.Shortage;
        if (pool.Availability != Availability.Available) yield return $"it takes no new replicas: {pool.AvailabilityReason}";
        foreach (var (key, value) in surroundings.Selected)
        {
            if (!pool.Labels.TryGetValue(key, out var has)) yield return $"it has no label {key}, {value} is selected";
            else if (has != value) yield return $"its label {key} is {has}, {value} is selected";
        }

        if (request.Policy.Node == AntiAffinity.Hard && surroundings.CountOnNode(pool) > 0) yield return $"its node {pool.Node} has a replica of the volume, and two may not share a node";
        if (request.Policy.Zone == AntiAffinity.Hard)
        {
            var zone = ZoneOf(pool);
            if (zone.Length == 0) yield return $"it is in no zone (label {PoolLabels.Zone}), and two replicas may not share one";
            else if (surroundings.CountInZone(pool) > 0) yield return $"its zone {zone} has a replica of the volume, and two may not share a zone";
        }

        // What an offline pool has room for is not known.
        if (!pool.Online) yield break;
        if (pool.FreeBytes < MinFreeBytes) yield return "it is full";
        if (pool.PlacedBytes + request.SizeBytes > pool.CapacityBytes * request.MaxOverprovisioning)
            yield return $"volumes of {Text(pool.PlacedBytes)} are placed on it, with this one of {Text(request.SizeBytes)} more than {request.MaxOverprovisioning:0.##} times its capacity of {Text(pool.CapacityBytes)}"
                + " (MaxOverprovisioning): make the volume smaller, or add a pool";
    }

    private static PoolScore ScoreOf(PlacementSurroundings surroundings, PoolView pool)
    {
        var free = FreePart(pool);
        var placed = pool.CapacityBytes > 0 ? pool.PlacedBytes / (pool.CapacityBytes * surroundings.Request.MaxOverprovisioning) : 0;
        return new PoolScore(
            (int)(FreePoints * Math.Clamp(free, 0, 1)),
            (int)(PlacedPoints * Math.Clamp(placed, 0, 1)),
            -Math.Min(MaxReplicaPoints, pool.Replicas),
            ApartPoints * surroundings.CountOnNode(pool),
            ApartPoints * surroundings.CountInZone(pool),
            pool.Node == surroundings.Request.Gateway && surroundings.CountOnNode(pool) == 0 ? LocalPoints : 0);
    }

    private static IEnumerable<ScorePartView> PartsOf(PlacementSurroundings surroundings, PoolView pool)
    {
        var score = ScoreOf(surroundings, pool);
        yield return new ScorePartView("free", score.Free, $"{FreePart(pool):P0} of it is free");
        yield return new ScorePartView("placed", score.Placed, $"volumes of {Text(pool.PlacedBytes)} are placed on it");
        yield return new ScorePartView("replicas", score.Replicas, $"it has {pool.Replicas} replicas");
        if (score.Node != 0) yield return new ScorePartView("node", score.Node, $"its node {pool.Node} has {surroundings.CountOnNode(pool)} of the volume");
        if (score.Local != 0) yield return new ScorePartView("local", score.Local, $"the volume is used through its node {pool.Node}");
        if (score.Zone != 0) yield return new ScorePartView("zone", score.Zone, $"its zone {ZoneOf(pool)} has {surroundings.CountInZone(pool)} of the volume");
    }

    private static double FreePart(PoolView pool) => pool.CapacityBytes > 0 ? (double)pool.FreeBytes / pool.CapacityBytes : 0;

    private static string Text(long bytes) => bytes >= 1L << 40 ? $"{(double)bytes / (1L << 40):0.#} TiB" : bytes >= 1L << 30 ? $"{(double)bytes / (1L << 30):0.#} GiB" : $"{(double)bytes / (1L << 20):0.#} MiB";

    /// <param name="Free">For its free space.</param>
    /// <param name="Placed">For what is placed on it.</param>
    /// <param name="Replicas">For how many replicas it has.</param>
    /// <param name="Node">For the volume's replicas on its node.</param>
    /// <param name="Zone">For those in its zone.</param>
    /// <param name="Local">For being the first beside the gateway.</param>
    private readonly record struct PoolScore(int Free, int Placed, int Replicas, int Node, int Zone, int Local)
    {
        public int Total => Free + Placed + Replicas + Node + Zone + Local;
    }
}
