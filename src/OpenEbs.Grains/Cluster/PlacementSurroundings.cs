using OpenEbs.Pools;
using OpenEbs.Volumes;

namespace OpenEbs.Grains.Cluster;

/// <summary>What every pool is judged by when a place for a replica is looked for, worked out once: which labels are asked for, and where those replicas are that stay.</summary>
internal sealed class PlacementSurroundings
{
    private readonly List<PoolView> _staying;

    public PlacementSurroundings(PlacementRequest request, PoolMap pools)
    {
        Request = request;
        Selected = PoolLabels.TryParse(request.Policy.Selector, out var labels, out _) ? labels : throw new InvalidOperationException($"The selector '{request.Policy.Selector}' was not validated.");
        _staying = [.. request.Staying.Select(pools.Find).OfType<PoolView>()];
    }

    public PlacementRequest Request { get; }

    public IReadOnlyDictionary<string, string> Selected { get; }

    /// <summary>The volume's replicas on the pool's node, beside one on the pool itself.</summary>
    public int CountOnNode(PoolView pool)
    {
        var count = 0;
        foreach (var other in _staying)
        {
            if (other.Node == pool.Node && other.Id != pool.Id) count++;
        }

        return count;
    }

    /// <summary>The same in its zone; 0 when it is in none.</summary>
    public int CountInZone(PoolView pool)
    {
        if (_staying.Count == 0 || PoolChoice.ZoneOf(pool) is not { Length: > 0 } zone) return 0;
        var count = 0;
        foreach (var other in _staying)
        {
            if (other.Id != pool.Id && PoolChoice.ZoneOf(other) == zone) count++;
        }

        return count;
    }
}
