using Microsoft.Extensions.Logging;
using OpenEbs.Grains.Volumes;
using OpenEbs.Pools;
using OpenEbs.Replication.Volumes;

namespace OpenEbs.Grains.Cluster;

/// <summary>Sees to it that each volume has the replicas that its user wants: replaces those that stay lost, follows changes of their number, and has the files of those that were removed deleted.</summary>
internal sealed partial class ReplicaScheduler(Registry registry, IGrainFactory grains, VolumeRecords records, TimeSpan replacementDelay, TimeProvider time, ILogger logger)
{
    /// <summary>Takes at most one step; the next round takes the next.</summary>
    public async Task KeepAsync(string name, IReadOnlyList<PoolView> pools)
    {
        if (await records.Of(name).LoadAsync() is not ({ Deleting: false } record, _)) return;
        var volume = grains.GetGrain<IVolumeControl>(name);
        if (record.Leaving.Count > 0) await ReleaseAsync(name, volume, record);
        var step = ReplicaPlan.Next(record, pools, replacementDelay, time.GetUtcNow());
        switch (step)
        {
            case { Kind: ReplicaStepKind.None }:
                break;
            case { Kind: ReplicaStepKind.Add, Subject: null }:
                LogNoPool(name, step.Reason);
                break;
            case { Kind: ReplicaStepKind.Add, Subject: { } pool }:
                LogAdded(name, await volume.AddReplicaAsync(pool, step.Reason), pool, step.Reason);
                break;
            case { Kind: ReplicaStepKind.Remove, Subject: { } replica }:
                if (await volume.RemoveReplicaAsync(replica, step.Reason)) LogRemoved(name, replica, step.Reason);
                break;
            default:
                throw new InvalidOperationException($"Unknown step: {step}.");
        }
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

    [LoggerMessage(1440, LogLevel.Warning, "Volume {Volume}: needs another replica ({Reason}), and no pool without one is online")]
    private partial void LogNoPool(string volume, string reason);

    [LoggerMessage(1441, LogLevel.Information, "Volume {Volume}: gets replica {Replica} on pool {Pool} ({Reason})")]
    private partial void LogAdded(string volume, string replica, string pool, string reason);

    [LoggerMessage(1442, LogLevel.Information, "Volume {Volume}: replica {Replica} was removed ({Reason})")]
    private partial void LogRemoved(string volume, string replica, string reason);
}
