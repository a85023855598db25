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

    [Alias("ListVolumeNames")]
    Task<IReadOnlyList<string>> ListVolumeNamesAsync();

    [Alias("ListVolumes")]
    Task<IReadOnlyList<VolumeView>> ListVolumesAsync();

    [Alias("ListReplicas")]
    Task<IReadOnlyList<ReplicaView>> ListReplicasAsync();

    [Alias("ListPools")]
    Task<IReadOnlyList<PoolView>> ListPoolsAsync();

    [Alias("ListNodes")]
    Task<IReadOnlyList<NodeView>> ListNodesAsync();
}
