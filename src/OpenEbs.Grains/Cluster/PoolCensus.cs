using Microsoft.Extensions.Logging;
using OpenEbs.Grains.Nodes;
using OpenEbs.Pools;
using OpenEbs.Volumes;
using Orleans.Runtime;

namespace OpenEbs.Grains.Cluster;

/// <summary>Asks every running node for its pools; what does not answer in time is listed as offline.</summary>
internal sealed partial class PoolCensus(IGrainFactory grains, NodeDirectory nodes, TimeProvider time, ILogger<PoolCensus> logger)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    public async Task<IReadOnlyList<PoolView>> TakeAsync(IReadOnlyDictionary<string, RegisteredPool> known)
    {
        var answers = await Task.WhenAll(nodes.ListActive().Select(AskAsync));
        var pools = answers.SelectMany(answer => answer).DistinctBy(pool => pool.Id).ToDictionary(pool => pool.Id);
        foreach (var (id, pool) in known)
        {
            if (!pools.ContainsKey(id)) pools[id] = Absent(id, pool);
        }

        return [.. pools.Values.OrderBy(pool => pool.Id, StringComparer.Ordinal)];
    }

    private async Task<IReadOnlyList<PoolView>> AskAsync(NodeEntry node)
    {
        try
        {
            return [.. (await grains.GetNode(node.Silo).GetPoolsAsync().WaitAsync(Patience, time)).Select(Complete)];
        }
        catch (Exception failure)
        {
            LogNoAnswer(node.Name, failure.Message);
            return [];
        }
    }

    /// <summary>A node of an older release does not say these.</summary>
    internal static PoolView Complete(PoolView pool) => pool with
    {
        Labels = pool.Labels ?? new Dictionary<string, string>(),
        AvailabilityReason = pool.AvailabilityReason ?? "",
        MediaErrors = pool.MediaErrors ?? [],
        Suspicion = pool.Suspicion ?? "",
        Shortage = pool.Shortage ?? "",
    };

    private PoolView Absent(string id, RegisteredPool pool)
    {
        var isRunning = nodes.ListActive().Any(node => node.Name == pool.Node);
        return new PoolView
        {
            Id = id,
            Node = pool.Node,
            Path = pool.Path,
            CapacityBytes = pool.CapacityBytes,
            FreeBytes = 0,
            Replicas = 0,
            Online = false,
            Labels = PoolLabels.TryParse(pool.Labels, out var labels, out _) ? labels : new Dictionary<string, string>(),
            Reason = isRunning ? $"node '{pool.Node}' does not answer, or no longer has it" : $"node '{pool.Node}' is not running",
        };
    }

    [LoggerMessage(1420, LogLevel.Warning, "Node {Node}: does not say what pools it has: {Reason}")]
    private partial void LogNoAnswer(string node, string reason);
}
