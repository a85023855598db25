using Microsoft.Extensions.Logging;
using OpenEbs.Grains.Volumes;
using OpenEbs.Replication.Volumes;
using OpenEbs.Volumes;

namespace OpenEbs.Grains.Cluster;

/// <summary>Sees to it that each volume has the replicas that its user wants, where they may be: replaces those that stay lost, moves those on pools that drain, follows changes of their number, and
/// has the files of those that were removed deleted.</summary>
internal sealed partial class ReplicaScheduler(
    Registry registry,
    ClusterEvents events,
    PlacementLedger ledger,
    MoveBudget budget,
    IGrainFactory grains,
    VolumeRecords records,
    PlanRules rules,
    TimeProvider time,
    ILogger logger)
{
    private readonly SettledGateways _gateways = new(rules.ReplacementDelay);
    private bool _knowsMoves;

    /// <summary>Takes at most one step; the next round takes the next.</summary>
    public async Task KeepAsync(string name, PoolMap pools)
    {
        if (await records.Of(name).LoadAsync() is not ({ Deleting: false } record, _)) return;
        ledger.Note(record);
        var now = time.GetUtcNow();
        budget.Note(name, ReplicaPlan.ListMoving(record, pools, rules, now));
        var volume = grains.GetGrain<IVolumeControl>(name);
        if (record.Leaving.Count > 0) await ReleaseAsync(name, volume, record);
        var gateway = record.Placement is { IsLocalPreferred: true } ? await FindGatewayAsync(name, now) : "";
        var step = ReplicaPlan.Next(record, pools, rules, now, gateway);
        await ConcernAsync(name, volume, step);
        switch (step)
        {
            case { Kind: ReplicaStepKind.None } or { Subject: null }:
                break;
            case { Kind: ReplicaStepKind.Move, Subject: { } pool }:
                // How many volumes are moving is known when all were looked at once.
                if (_knowsMoves && budget.TryBegin(name, [NodeOf(step.Source!, pools), NodeOf(pool, pools)])) await AddAsync(name, volume, pool, step.Reason, pools, record.SizeBytes);
                break;
            case { Kind: ReplicaStepKind.Add, Subject: { } pool }:
                await AddAsync(name, volume, pool, step.Reason, pools, record.SizeBytes);
                break;
            case { Kind: ReplicaStepKind.Remove, Subject: { } replica }:
                if (await volume.RemoveReplicaAsync(replica, step.Reason)) LogRemoved(name, replica, step.Reason);
                break;
            default:
                throw new InvalidOperationException($"Unknown step: {step}.");
        }
    }

    /// <summary>A round is over: every volume was looked at.</summary>
    public async Task EndRoundAsync()
    {
        _knowsMoves = true;
        ledger.Prune();
        budget.Prune(registry.Current.Volumes.ContainsKey);
        _gateways.Prune(registry.Current.Volumes.ContainsKey);
        if (registry.Current.Unplaced.Keys.All(registry.Current.Volumes.ContainsKey)) return;
        await registry.ChangeAsync(state =>
        {
            foreach (var gone in state.Unplaced.Keys.Where(name => !state.Volumes.ContainsKey(name)).ToList()) state.Unplaced.Remove(gone);
            return true;
        });
    }

    /// <summary>The node through which alone the volume has been used for long; empty when there is none.</summary>
    private async Task<string> FindGatewayAsync(string name, DateTimeOffset now)
    {
        var nodes = (await grains.GetGrain<IVolumeGrain>(name).DescribeAsync()).Sessions.Select(session => session.Node).Distinct().ToList();
        return _gateways.Observe(name, nodes is [var only] ? only : "", now);
    }

    private static string NodeOf(string id, PoolMap pools) => pools.Find(id)?.Node ?? id;

    private async Task AddAsync(string name, IVolumeControl volume, string pool, string reason, PoolMap pools, long sizeBytes)
    {
        // Before it is known to have succeeded: the next volume's choice must not wait for that.
        pools.NotePlaced(pool, sizeBytes);
        LogAdded(name, await volume.AddReplicaAsync(pool, reason), pool, reason);
    }

    /// <summary>Has the volume say that there is no place for a replica that it needs, and remembers when that began and ended.</summary>
    private async Task ConcernAsync(string name, IVolumeControl volume, ReplicaStep step)
    {
        var known = registry.Current.Unplaced.GetValueOrDefault(name, "");
        var concern = step is { Kind: ReplicaStepKind.Add or ReplicaStepKind.Move, Subject: null }
            ? $"another replica is needed ({step.Reason}), and no pool can have it: bring one back, uncordon one, or add one ({step.Obstacle})"
            : "";
        if (concern != known)
        {
            await registry.ChangeAsync(state =>
            {
                if (concern.Length > 0) state.Unplaced[name] = concern;
                else state.Unplaced.Remove(name);
                if (known.Length == 0) events.Tell(state, ClusterEventKind.ReplicaUnplaced, name, "", "", concern);
                else if (concern.Length == 0) events.Tell(state, ClusterEventKind.ReplicaPlaced, name, "", "", step.Subject is { } pool ? $"pool {pool} can have it" : "no other replica is needed any more");
                return true;
            });
            if (known.Length == 0) LogNoPool(name, step.Reason);
        }

        // Said again in each round: the volume may have moved, and what moved with it is not this.
        if (concern.Length > 0 || known.Length > 0) await volume.SetConcernAsync(concern);
    }

    /// <summary>First it is remembered that the files must go, then the record may forget the replica: a crash in between leaves only a removal that finds nothing.</summary>
    private async Task ReleaseAsync(string name, IVolumeControl volume, VolumeRecord record)
    {
        var leaving = record.Leaving.Select(entry => new RegisteredReplica(entry.Pool, entry.Id)).ToList();
        await registry.ChangeAsync(state =>
        {
            state.Removals.AddRange(leaving.Except(state.Removals));
            if (state.Volumes.TryGetValue(name, out var registered) && registered.Uid == record.Uid)
                state.Volumes[name] = registered with { Replicas = [.. record.Replicas.Select(entry => new RegisteredReplica(entry.Pool, entry.Id))] };
            return true;
        });
        await volume.ForgetReplicasAsync([.. leaving.Select(replica => replica.Id)]);
    }

    [LoggerMessage(1440, LogLevel.Warning, "Volume {Volume}: needs another replica ({Reason}), and there is no pool for it")]
    private partial void LogNoPool(string volume, string reason);

    [LoggerMessage(1441, LogLevel.Information, "Volume {Volume}: gets replica {Replica} on pool {Pool} ({Reason})")]
    private partial void LogAdded(string volume, string replica, string pool, string reason);

    [LoggerMessage(1442, LogLevel.Information, "Volume {Volume}: replica {Replica} was removed ({Reason})")]
    private partial void LogRemoved(string volume, string replica, string reason);
}
