using OpenEbs.Grains.Pools;
using OpenEbs.Server.Configuration;

namespace OpenEbs.Server.Health;

/// <summary>Whether this node can serve: its silo is active, a pool is online, its portal listens.</summary>
internal sealed class NodeReadiness(NodeOptions options, ISiloStatusOracle silos, LocalPools pools)
{
    /// <summary>Set by the portal when it listens and when it no longer does.</summary>
    public bool PortalListens { get; set; }

    /// <summary>Every condition by name, with what is missing; an empty text when it holds.</summary>
    public IReadOnlyDictionary<string, string> Check()
    {
        var conditions = new Dictionary<string, string>
        {
            ["silo"] = silos.CurrentStatus == SiloStatus.Active ? "" : $"the silo is {silos.CurrentStatus}",
        };
        if (options.HasRole(NodeRole.Gateway)) conditions["portal"] = PortalListens ? "" : "the iSCSI portal does not listen";
        if (options.HasRole(NodeRole.Storage)) conditions["pools"] = pools.All.Any(pool => pool.IsOnline) ? "" : string.Join("; ", pools.All.Select(pool => $"{pool.Id}: {pool.Reason}"));
        return conditions;
    }
}
