namespace OpenEbs.Grains.Cluster;

/// <summary>Bounds how many volumes have a replica moved at the same time: in the cluster, and from or to one node. Replacing what is lost is not bounded.</summary>
internal sealed class MoveBudget(int maxMoves, int maxMovesPerNode)
{
    private readonly Dictionary<string, IReadOnlyCollection<string>> _moving = [];

    public int MaxMoves => maxMoves;

    public int MaxMovesPerNode => maxMovesPerNode;

    /// <summary>What is known of a volume: the nodes between which it moves; empty when it does not.</summary>
    public void Note(string volume, IReadOnlyCollection<string> nodes)
    {
        if (nodes.Count > 0) _moving[volume] = nodes;
        else _moving.Remove(volume);
    }

    /// <summary>Forgets volumes that are no more.</summary>
    public void Prune(Func<string, bool> exists)
    {
        foreach (var volume in _moving.Keys.Where(volume => !exists(volume)).ToList()) _moving.Remove(volume);
    }

    /// <summary>Whether one more volume may move between these nodes now; it then counts.</summary>
    public bool TryBegin(string volume, IReadOnlyCollection<string> nodes)
    {
        if (_moving.Count >= maxMoves) return false;
        if (nodes.Any(node => _moving.Values.Count(busy => busy.Contains(node)) >= maxMovesPerNode)) return false;
        _moving[volume] = nodes;
        return true;
    }
}
