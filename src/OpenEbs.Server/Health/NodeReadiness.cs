using OpenEbs.Server.Configuration;
using OpenEbs.Volumes;

namespace OpenEbs.Server.Health;

/// <summary>Whether this node can serve: its silo is active, its pools are online, its portal listens.</summary>
internal sealed class NodeReadiness(NodeOptions options, ISiloStatusOracle silos, IGrainFactory grains)
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(2);

    /// <summary>Set by the portal when it listens and when it no longer does.</summary>
    public bool PortalListens { get; set; }

    /// <summary>Every condition by name, with what is missing; an empty text when it holds.</summary>
    public async Task<IReadOnlyDictionary<string, string>> CheckAsync(CancellationToken cancellationToken)
    {
        var conditions = new Dictionary<string, string>
        {
            ["silo"] = silos.CurrentStatus == SiloStatus.Active ? "" : $"the silo is {silos.CurrentStatus}",
        };
        if (options.HasRole(NodeRole.Gateway)) conditions["portal"] = PortalListens ? "" : "the iSCSI portal does not listen";
        if (options.HasRole(NodeRole.Storage)) conditions["pools"] = conditions["silo"].Length > 0 ? "unknown" : await CheckPoolsAsync(cancellationToken);
        return conditions;
    }

    private async Task<string> CheckPoolsAsync(CancellationToken cancellationToken)
    {
        try
        {
            var pools = await grains.GetGrain<IClusterGrain>(0).ListPoolsAsync().WaitAsync(Timeout, cancellationToken);
            var missing = options.Pools.Where(mine => !pools.Any(pool => pool.Id == mine.Id && pool.Online)).Select(mine => mine.Id).ToList();
            return missing.Count == 0 ? "" : $"not online: {string.Join(", ", missing)}";
        }
        catch (Exception exception) when (exception is TimeoutException or OrleansException)
        {
            return $"unknown: {exception.Message}";
        }
    }
}
