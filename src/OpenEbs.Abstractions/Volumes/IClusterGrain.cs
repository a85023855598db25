using OpenEbs.Events;
using OpenEbs.Nodes;
using OpenEbs.Pools;
using OpenEbs.Replicas;

namespace OpenEbs.Volumes;

/// <summary>The cluster's registry and control plane entry; key 0. Creating an existing volume with the same spec answers with it.</summary>
[Alias("openebs.IClusterGrain")]
public interface IClusterGrain : IGrainWithIntegerKey
{
    /// <exception cref="VolumeAlreadyExistsException">It exists with another spec.</exception>
    /// <exception cref="VolumeRequestInvalidException">The spec has a problem.</exception>
    /// <exception cref="VolumeUnavailableException">Fewer pools are online than replicas asked for.</exception>
    [Alias("CreateVolume")]
    Task<VolumeView> CreateVolumeAsync(string name, VolumeSpec spec);

    /// <summary>Deleting an absent volume succeeds; returns whether there was one.</summary>
    [Alias("DeleteVolume")]
    Task<bool> DeleteVolumeAsync(string name);

    /// <summary>Changes the number of replicas, and how many must be in sync for the volume to serve (null: what it was, or the default if that was the default). Returns when the change is
    /// begun: a new replica is rebuilt, and a surplus one removed, in the background.</summary>
    /// <exception cref="VolumeNotFoundException">There is none.</exception>
    /// <exception cref="VolumeRequestInvalidException">The numbers are out of bounds.</exception>
    /// <exception cref="VolumeUnavailableException">Fewer pools are online than replicas asked for.</exception>
    [Alias("SetReplicas")]
    Task<VolumeView> SetReplicasAsync(string name, int replicas, int? minInSync);

    /// <summary>Where the replicas of a volume would be if it were created now, and why.</summary>
    /// <exception cref="VolumeRequestInvalidException">The spec has a problem.</exception>
    [Alias("PlanVolume")]
    Task<PlacementView> PlanVolumeAsync(string name, VolumeSpec spec);

    /// <summary>Where the replicas of a volume are and where the next would be, and why.</summary>
    /// <exception cref="VolumeNotFoundException">There is none.</exception>
    [Alias("ExplainPlacement")]
    Task<PlacementView> ExplainPlacementAsync(string name);

    [Alias("ListVolumeNames")]
    Task<IReadOnlyList<string>> ListVolumeNamesAsync();

    [Alias("ListVolumes")]
    Task<IReadOnlyList<VolumeView>> ListVolumesAsync();

    [Alias("ListReplicas")]
    Task<IReadOnlyList<ReplicaView>> ListReplicasAsync();

    [Alias("ListPools")]
    Task<IReadOnlyList<PoolView>> ListPoolsAsync();

    /// <summary>What happened to a volume, or (null) to all volumes and the cluster, the newest last.</summary>
    /// <param name="volume">A volume's name; null for all.</param>
    /// <param name="limit">At most so many, the newest.</param>
    /// <exception cref="VolumeNotFoundException">There is no such volume.</exception>
    [Alias("ListEvents")]
    Task<IReadOnlyList<EventView>> ListEventsAsync(string? volume, int limit);

    [Alias("ListNodes")]
    Task<IReadOnlyList<NodeView>> ListNodesAsync();

    /// <summary>Cordons, drains (which cordons and moves all replicas elsewhere, in the background) or uncordons a node. One that is drained stays so when it is to be cordoned.</summary>
    /// <param name="name">The node.</param>
    /// <param name="availability">Available, Cordoned or Draining.</param>
    /// <exception cref="NodeNotFoundException">There is none.</exception>
    [Alias("SetNodeAvailability")]
    Task<NodeView> SetNodeAvailabilityAsync(string name, Availability availability);

    /// <inheritdoc cref="SetNodeAvailabilityAsync"/>
    /// <exception cref="PoolNotFoundException">There is none.</exception>
    [Alias("SetPoolAvailability")]
    Task<PoolView> SetPoolAvailabilityAsync(string id, Availability availability);

    /// <summary>What draining a node would do.</summary>
    /// <exception cref="NodeNotFoundException">There is none.</exception>
    [Alias("PlanNodeDrain")]
    Task<DrainPlan> PlanNodeDrainAsync(string name);

    /// <summary>What draining a pool would do.</summary>
    /// <exception cref="PoolNotFoundException">There is none.</exception>
    [Alias("PlanPoolDrain")]
    Task<DrainPlan> PlanPoolDrainAsync(string id);

    /// <summary>Forgets a node that has stopped for good, and its pools.</summary>
    /// <exception cref="NodeNotFoundException">There is none.</exception>
    /// <exception cref="StillNeededException">It runs, or volumes have replicas on its pools.</exception>
    [Alias("RemoveNode")]
    Task RemoveNodeAsync(string name);

    /// <summary>Forgets a pool that is gone for good.</summary>
    /// <exception cref="PoolNotFoundException">There is none.</exception>
    /// <exception cref="StillNeededException">A running node has it, or volumes have replicas on it.</exception>
    [Alias("RemovePool")]
    Task RemovePoolAsync(string id);
}
