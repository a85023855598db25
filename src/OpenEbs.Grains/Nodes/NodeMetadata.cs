using System.Globalization;
using OpenEbs.Grains.Hosting;

namespace OpenEbs.Grains.Nodes;

/// <summary>A node's facts as Orleans silo metadata.</summary>
internal static class NodeMetadata
{
    private const string PoolsKey = "openebs.pools";
    private const string RolesKey = "openebs.roles";
    private const string PortalKey = "openebs.portal";
    private const string HttpKey = "openebs.http";
    private const string VersionKey = "openebs.version";
    private const string SentinelKey = "openebs.sentinel";

    public static NodeFacts FactsOf(OpenEbsSiloOptions options) => new()
    {
        Pools = [.. options.Pools.Select(pool => pool.Id)],
        Roles = options.Roles,
        Portal = options.Portal,
        HttpAddress = options.HttpAddress,
        Version = options.Version,
        SentinelPort = options.SentinelPort ?? 0,
    };

    public static Dictionary<string, string> Write(NodeFacts facts) => new()
    {
        [PoolsKey] = string.Join(',', facts.Pools),
        [RolesKey] = string.Join(',', facts.Roles),
        [PortalKey] = facts.Portal,
        [HttpKey] = facts.HttpAddress,
        [VersionKey] = facts.Version,
        [SentinelKey] = facts.SentinelPort.ToString(CultureInfo.InvariantCulture),
    };

    /// <summary>Null when the metadata is not (yet) that of an openebs silo.</summary>
    public static NodeFacts? Read(IReadOnlyDictionary<string, string> metadata)
    {
        if (!metadata.TryGetValue(PoolsKey, out var pools)) return null;
        return new NodeFacts
        {
            Pools = Split(pools),
            Roles = Split(metadata.GetValueOrDefault(RolesKey, "")),
            Portal = metadata.GetValueOrDefault(PortalKey, ""),
            HttpAddress = metadata.GetValueOrDefault(HttpKey, ""),
            Version = metadata.GetValueOrDefault(VersionKey, ""),
            SentinelPort = int.TryParse(metadata.GetValueOrDefault(SentinelKey, "0"), CultureInfo.InvariantCulture, out var port) ? port : 0,
        };
    }

    private static string[] Split(string list) => list.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
}
