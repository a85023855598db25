using Microsoft.Extensions.Logging;
using OpenEbs.Grains.Access;
using OpenEbs.Grains.Nodes;
using OpenEbs.Grains.Replicas;
using OpenEbs.Grains.Volumes;
using OpenEbs.Pools;
using OpenEbs.Replication.Volumes;
using OpenEbs.Volumes;
using Orleans.Runtime;
using Orleans.Runtime.Placement;

namespace OpenEbs.Grains.Cluster;

/// <summary>The steps of creating and deleting a volume. Each may be taken again: what an interrupted attempt did stands.</summary>
internal sealed partial class VolumeLifecycle(Registry registry, ClusterEvents events, Cordons cordons, IGrainFactory grains, VolumeRecords records, AccessRecords access, NodeDirectory nodes, TimeProvider time, ILogger logger)
{
    private static readonly TimeSpan OpenPatience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan RemovalPatience = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan RetryDelay = TimeSpan.FromMilliseconds(50);

    public static VolumeRecord NewRecord(string name, RegisteredVolume volume) => new()
    {
        Uid = volume.Uid,
        Name = name,
        SizeBytes = volume.Spec.SizeBytes,
        BlockLength = volume.Spec.BlockLength,
        WriteCache = volume.Spec.WriteCache,
        MinInSync = volume.Spec.EffectiveMinInSync,
        IsMinInSyncChosen = volume.Spec.MinInSync is not null,
        IoTimeout = volume.Spec.IoTimeout,
        OnTimeout = VolumeViews.PolicyOf(volume.Spec.OnTimeout),
        Placement = volume.Spec.EffectivePlacement is var policy && policy == PlacementPolicy.Default
            ? null
            : new PlacementRules(policy.Node == AntiAffinity.Hard, policy.Zone == AntiAffinity.Hard, policy.Selector, policy.Locality == Locality.Preferred),
        Replicas = [.. volume.Replicas.Select(replica => new ReplicaEntry(replica.Id, replica.Pool, ReplicaStanding.InSync, Created: false))],
    };

    /// <summary>Record, then opening (which creates the replicas), then the mark that it is done.</summary>
    /// <exception cref="VolumeUnavailableException">It could not be opened yet; upkeep goes on trying.</exception>
    public async Task FinishCreateAsync(string name)
    {
        if (!registry.Current.Volumes.TryGetValue(name, out var volume) || volume.Stage != RegistrationStage.Creating) return;
        await records.Of(name).TryCreateAsync(NewRecord(name, volume));
        var started = time.GetTimestamp();
        while (true)
        {
            var left = OpenPatience - time.GetElapsedTime(started);
            try
            {
                SetHint(volume);
                await grains.GetGrain<IVolumeGrain>(name).AttachAsync().AsTask().WaitAsync(left > TimeSpan.Zero ? left : TimeSpan.Zero, time);
                break;
            }
            catch (VolumeNotFoundException) when (left > TimeSpan.Zero)
            {
                // An activation from before the record existed is on its way out.
            }
            catch (Exception failure) when (failure is TimeoutException || left <= TimeSpan.Zero)
            {
                throw new VolumeUnavailableException($"Volume '{name}' was created but could not be opened within {OpenPatience}; the cluster goes on trying. 'openebsctl volume describe {name}' says what it waits for.");
            }
            catch (Exception failure)
            {
                LogOpenFailed(name, failure.Message);
            }

            await Task.Delay(RetryDelay, time);
        }

        await registry.ChangeAsync(state =>
        {
            if (!state.Volumes.TryGetValue(name, out var current) || current.Uid != volume.Uid || current.Stage != RegistrationStage.Creating) return false;
            state.Volumes[name] = current with { Stage = RegistrationStage.Created };
            return true;
        });
    }

    /// <summary>Tombstone in the record, replicas (those out of reach are remembered), record, registration.</summary>
    public async Task FinishDeleteAsync(string name)
    {
        if (!registry.Current.Volumes.TryGetValue(name, out var volume) || volume.Stage != RegistrationStage.Deleting) return;
        var record = await records.Of(name).LoadAsync();
        var replicas = volume.Replicas.Concat(record?.Record.Replicas.Concat(record.Value.Record.Leaving).Select(replica => new RegisteredReplica(replica.Pool, replica.Id)) ?? []).Distinct().ToList();
        await grains.GetGrain<IVolumeGrain>(name).DeleteAsync();

        // First remembered, then removed: a crash in between leaves only a removal that finds nothing.
        await registry.ChangeAsync(state =>
        {
            var missing = replicas.Except(state.Removals).ToList();
            state.Removals.AddRange(missing);
            return missing.Count > 0;
        });
        await RemoveLeftoversAsync();

        // A later volume of the same name is another's.
        await access.SetRuleAsync(name, null);
        await records.Of(name).RemoveAsync();
        await registry.ChangeAsync(state =>
        {
            if (!state.Volumes.TryGetValue(name, out var current) || current.Uid != volume.Uid) return false;
            events.Tell(state, ClusterEventKind.VolumeDeleted, name, $"{record?.Record.SizeBytes ?? volume.Spec.SizeBytes} bytes", "", "asked for");
            return state.Volumes.Remove(name);
        });
        LogDeleted(name);
    }

    /// <summary>Removes replicas of deleted volumes from pools that are online.</summary>
    public async Task RemoveLeftoversAsync()
    {
        var removed = await Task.WhenAll(registry.Current.Removals.Where(replica => nodes.FindPool(replica.Pool) is not null).Select(TryRemoveAsync));
        await registry.ChangeAsync(state => state.Removals.RemoveAll(replica => removed.Contains(replica)) > 0);
    }

    /// <summary>Opens the volume if it is not open. One that is open on a node that drains, and used by nobody there, goes to another.</summary>
    public async Task KeepOpenAsync(string name, RegisteredVolume volume)
    {
        var control = grains.GetGrain<IVolumeControl>(name);
        var hasPlace = SetHint(volume);
        await control.KeepOpenAsync();
        if (hasPlace && DrainingNodes() is { Count: > 0 } draining) await control.LeaveAsync(draining);
    }

    private List<string> DrainingNodes() =>
        [.. registry.Current.NodeAvailability.Where(node => node.Value.Availability is Availability.Draining or Availability.Drained).Select(node => node.Key)];

    /// <summary>A volume that nobody uses is opened beside its first replica that can be reached: volumes spread as their replicas do. Not on a node that drains, if there is another.</summary>
    /// <returns>Whether there is a node for it that does not drain.</returns>
    private bool SetHint(RegisteredVolume volume)
    {
        RequestContext.Remove(IPlacementDirector.PlacementHintKey);
        var homes = volume.Replicas.Select(replica => nodes.FindPool(replica.Pool)).OfType<NodeEntry>().ToList();
        var home = homes.Find(IsStaying) ?? (homes.Count > 0 ? nodes.ListActive().Where(IsStaying).MinBy(node => node.Name, StringComparer.Ordinal) : null);
        if ((home ?? homes.FirstOrDefault()) is { } place) RequestContext.Set(IPlacementDirector.PlacementHintKey, place.Silo);
        return home is not null;

        bool IsStaying(NodeEntry node) => cordons.OfNode(node.Name) is Availability.Available or Availability.Cordoned;
    }

    private async Task<RegisteredReplica?> TryRemoveAsync(RegisteredReplica replica)
    {
        try
        {
            await grains.GetGrain<IReplicaGrain>($"{replica.Pool}/{replica.Id}").DeleteAsync().AsTask().WaitAsync(RemovalPatience, time);
            return replica;
        }
        catch (Exception failure)
        {
            LogRemovalFailed(replica.Id, replica.Pool, failure.Message);
            return null;
        }
    }

    [LoggerMessage(1410, LogLevel.Debug, "Volume {Volume}: not opened yet: {Reason}")]
    private partial void LogOpenFailed(string volume, string reason);

    [LoggerMessage(1411, LogLevel.Information, "Volume {Volume}: deleted")]
    private partial void LogDeleted(string volume);

    [LoggerMessage(1412, LogLevel.Warning, "Replica {Replica} on pool {Pool}: its files could not be removed yet: {Reason}")]
    private partial void LogRemovalFailed(string replica, string pool, string reason);
}
