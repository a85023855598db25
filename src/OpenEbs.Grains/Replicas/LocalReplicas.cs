using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using OpenEbs.Grains.Nodes;

namespace OpenEbs.Grains.Replicas;

/// <summary>The replicas whose grain is active on this silo. Before the silo stops their coordinators let go of them, so that no write waits for a replica that does not answer any more.</summary>
internal sealed partial class LocalReplicas(IGrainFactory grains, NodeDirectory nodes, ILogger<LocalReplicas> logger)
{
    /// <summary>A coordinator that cannot do without a replica, or cannot write its record, is not waited for.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    private readonly ConcurrentDictionary<string, bool> _active = new();

    /// <param name="key">Of the grain.</param>
    public void Add(string key) => _active[key] = true;

    public void Remove(string key) => _active.TryRemove(key, out _);

    public async Task LeaveAllAsync(CancellationToken cancellationToken)
    {
        // With the last node the volumes stop as well: nobody goes on without these replicas.
        if (!nodes.ListActive().Any(node => !node.Silo.Equals(nodes.Local))) return;
        try
        {
            await Task.WhenAll(_active.Keys.Select(LeaveAsync)).WaitAsync(Patience, cancellationToken);
        }
        catch (Exception failure) when (failure is TimeoutException or OperationCanceledException)
        {
            LogStillNeeded(nodes.Local.ToString(), failure.Message);
        }
    }

    private async Task LeaveAsync(string key)
    {
        try
        {
            await grains.GetGrain<IReplicaGrain>(key).LeaveAsync();
        }
        catch (Exception failure)
        {
            // Its coordinator is not there, or opening the volume: it will find the replica gone.
            LogLeaveFailed(key, failure.Message);
        }
    }

    [LoggerMessage(1110, LogLevel.Debug, "Replica {Replica}: its coordinator could not be told that it leaves: {Reason}")]
    private partial void LogLeaveFailed(string replica, string reason);

    [LoggerMessage(1111, LogLevel.Information, "Silo {Silo}: stops though not every coordinator has let go of its replica here: {Reason}")]
    private partial void LogStillNeeded(string silo, string reason);
}
