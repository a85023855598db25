using Microsoft.Extensions.Logging;
using OpenEbs.Grains.Nodes;
using OpenEbs.Pools;
using Orleans.Runtime;

namespace OpenEbs.Grains.Cluster;

/// <summary>Tells each node which are being drained, when it does not know yet.</summary>
internal sealed class DrainNotices(Cordons cordons, NodeDirectory nodes, IGrainFactory grains, ILogger logger)
{
    /// <summary>What each silo was last told.</summary>
    private readonly Dictionary<SiloAddress, List<SiloAddress>> _told = [];

    public async Task TellAsync()
    {
        var active = nodes.ListActive().ToList();
        foreach (var gone in _told.Keys.Except(active.Select(node => node.Silo)).ToList()) _told.Remove(gone);
        var draining = active.Where(node => cordons.OfNode(node.Name) is Availability.Draining or Availability.Drained).Select(node => node.Silo).Order().ToList();
        await Task.WhenAll(active.Select(node => TellAsync(node, draining)));
    }

    private async Task TellAsync(NodeEntry node, List<SiloAddress> draining)
    {
        if (_told.TryGetValue(node.Silo, out var told) && told.SequenceEqual(draining)) return;
        try
        {
            await grains.GetNode(node.Silo).SetDrainingAsync(draining);
            _told[node.Silo] = draining;
        }
        catch (Exception failure)
        {
            // The next round tells it.
            logger.LogNotTold(node.Name, failure.Message);
        }
    }
}

internal static partial class DrainNoticesLog
{
    [LoggerMessage(1450, LogLevel.Debug, "Node {Node}: could not be told which nodes are drained: {Reason}")]
    public static partial void LogNotTold(this ILogger logger, string node, string reason);
}
