using OpenEbs.Pools;
using OpenEbs.Volumes;

namespace OpenEbs.Grains.Cluster;

/// <summary>Shows a choice of pools: every pool with its score, what that is made of, and what speaks against it.</summary>
internal static class PlacementExplanation
{
    /// <param name="request">What the volume needs, with the pools that it has.</param>
    /// <param name="pools">All pools.</param>
    /// <param name="replicas">How many it is to have.</param>
    /// <param name="missing">How many are to be chosen; where one more would be is shown in any case.</param>
    public static PlacementView Of(PlacementRequest request, IReadOnlyList<PoolView> pools, int replicas, int missing)
    {
        var shown = new List<PoolCandidateView>();
        foreach (var pool in pools.Where(pool => request.Holding.Contains(pool.Id)).OrderBy(pool => pool.Id, StringComparer.Ordinal))
        {
            var without = request with { Holding = [.. request.Holding.Where(id => id != pool.Id)], Staying = [.. request.Staying.Where(id => id != pool.Id)] };

            // The volume is placed there already: it must not count twice.
            shown.Add(View(PoolChoice.Judge(without, pool with { PlacedBytes = Math.Max(0, pool.PlacedBytes - request.SizeBytes) }, pools), PoolVerdict.Holding));
        }

        var rest = request;
        for (var i = 0; i < missing; i++)
        {
            if (PoolChoice.Rank(rest, pools) is not [{ IsPossible: true } best, ..]) break;
            shown.Add(View(best, PoolVerdict.Chosen));
            rest = rest.With(best.Pool.Id);
        }

        var chosen = shown.Count(candidate => candidate.Verdict == PoolVerdict.Chosen);
        var others = PoolChoice.Rank(rest, pools).Where(candidate => !rest.Holding.Contains(candidate.Pool.Id));
        shown.AddRange(others.Select(candidate => View(candidate, candidate.IsPossible ? PoolVerdict.Possible : PoolVerdict.Refused)));
        return new PlacementView
        {
            Volume = request.Volume,
            Replicas = replicas,
            Candidates = shown,
            Problem = chosen < missing ? $"{missing - chosen} of {missing} replica(s) have no place: ask for fewer replicas or a softer policy, add pools, bring pools back, or uncordon some" : "",
        };
    }

    private static PoolCandidateView View(PoolCandidate candidate, PoolVerdict verdict) => new()
    {
        Pool = candidate.Pool.Id,
        Node = candidate.Pool.Node,
        Zone = PoolChoice.ZoneOf(candidate.Pool),
        Verdict = verdict,
        Score = candidate.Score,
        Parts = candidate.Parts,
        Refusals = candidate.Refusals,
    };
}
