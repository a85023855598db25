using OpenEbs.Volumes;

namespace OpenEbs.Grains.Volumes;

/// <summary>The sessions that gateways reported, forgotten when their gateway falls silent or dies.</summary>
internal sealed class SessionReports(TimeProvider time, TimeSpan lifetime, Func<string, bool> isNodeActive)
{
    private readonly Dictionary<string, (IReadOnlyList<SessionView> Sessions, long At)> _byNode = [];

    public void Report(string node, IReadOnlyList<SessionView> sessions)
    {
        if (sessions.Count == 0) _byNode.Remove(node);
        else _byNode[node] = (sessions, time.GetTimestamp());
    }

    public IReadOnlyList<SessionView> List() => [.. Live().SelectMany(report => report.Value.Sessions).OrderBy(session => session.Initiator, StringComparer.Ordinal)];

    /// <summary>Whether a gateway other than that of <paramref name="node"/> has sessions.</summary>
    public bool AnyElsewhere(string node) => Live().Any(report => report.Key != node);

    private IEnumerable<KeyValuePair<string, (IReadOnlyList<SessionView> Sessions, long At)>> Live() =>
        _byNode.Where(report => time.GetElapsedTime(report.Value.At) < lifetime && isNodeActive(report.Key));
}
