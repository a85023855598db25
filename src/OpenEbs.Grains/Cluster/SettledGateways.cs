namespace OpenEbs.Grains.Cluster;

/// <summary>Since when each volume has been used through the gateway through which it is used now. In memory: whoever takes over observes anew, which only delays.</summary>
/// <param name="delay">For so long, before a replica is moved for it.</param>
internal sealed class SettledGateways(TimeSpan delay)
{
    private readonly Dictionary<string, (string Node, DateTimeOffset Since)> _seen = [];

    /// <param name="volume">The volume.</param>
    /// <param name="node">The node through which it is used now; empty for none, or several.</param>
    /// <param name="now">Present time.</param>
    /// <returns>The node, if it has been the same for long; else empty.</returns>
    public string Observe(string volume, string node, DateTimeOffset now)
    {
        if (!_seen.TryGetValue(volume, out var seen) || seen.Node != node) _seen[volume] = seen = (node, now);
        return now - seen.Since >= delay ? node : "";
    }

    public void Prune(Func<string, bool> exists)
    {
        foreach (var gone in _seen.Keys.Where(volume => !exists(volume)).ToList()) _seen.Remove(gone);
    }
}
