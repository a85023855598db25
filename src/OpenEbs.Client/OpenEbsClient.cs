using OpenEbs.Nodes;
using OpenEbs.Pools;
using OpenEbs.Replicas;
using OpenEbs.Volumes;

namespace OpenEbs.Client;

/// <summary>What tooling asks of a cluster: volumes, replicas, pools and nodes, and the bytes of a volume as a <see cref="Stream"/>. A singleton service; thread-safe.</summary>
/// <remarks>Failures of <c>OpenEbs.Volumes</c> pass through as they are; others are Orleans' (no gateway reachable, say).</remarks>
public sealed class OpenEbsClient(IClusterClient cluster, TimeProvider time)
{
    private IClusterGrain Registry => cluster.GetGrain<IClusterGrain>(0);

    /// <summary>Creates a volume; one that exists with the same spec is the answer as well.</summary>
    /// <exception cref="VolumeAlreadyExistsException">It exists with another spec.</exception>
    /// <exception cref="VolumeRequestInvalidException">The name or the spec has a problem.</exception>
    /// <exception cref="VolumeUnavailableException">Fewer pools are online than replicas asked for, or it cannot be opened now.</exception>
    public Task<VolumeView> CreateVolumeAsync(string name, VolumeSpec spec, CancellationToken cancellationToken = default) => Registry.CreateVolumeAsync(name, spec).WaitAsync(cancellationToken);

    /// <summary>Deletes a volume and its data; false when there was none.</summary>
    public Task<bool> DeleteVolumeAsync(string name, CancellationToken cancellationToken = default) => Registry.DeleteVolumeAsync(name).WaitAsync(cancellationToken);

    public Task<IReadOnlyList<VolumeView>> ListVolumesAsync(CancellationToken cancellationToken = default) => Registry.ListVolumesAsync().WaitAsync(cancellationToken);

    /// <exception cref="VolumeNotFoundException">There is none of that name.</exception>
    public Task<VolumeView> DescribeVolumeAsync(string name, CancellationToken cancellationToken = default) => Volume(name).DescribeAsync().AsTask().WaitAsync(cancellationToken);

    /// <summary>Makes a volume larger; those attached see it at once.</summary>
    /// <exception cref="VolumeNotFoundException">There is none of that name.</exception>
    /// <exception cref="VolumeRequestInvalidException">The size is smaller than it was, or not one that a volume may have.</exception>
    public Task ResizeVolumeAsync(string name, long sizeBytes, CancellationToken cancellationToken = default) => Volume(name).ResizeAsync(sizeBytes).AsTask().WaitAsync(cancellationToken);

    public Task<IReadOnlyList<ReplicaView>> ListReplicasAsync(CancellationToken cancellationToken = default) => Registry.ListReplicasAsync().WaitAsync(cancellationToken);

    public Task<IReadOnlyList<PoolView>> ListPoolsAsync(CancellationToken cancellationToken = default) => Registry.ListPoolsAsync().WaitAsync(cancellationToken);

    public Task<IReadOnlyList<NodeView>> ListNodesAsync(CancellationToken cancellationToken = default) => Registry.ListNodesAsync().WaitAsync(cancellationToken);

    /// <summary>Opens the bytes of a volume. Closing it flushes.</summary>
    /// <exception cref="VolumeNotFoundException">There is none of that name.</exception>
    public async Task<VolumeStream> OpenVolumeAsync(string name, CancellationToken cancellationToken = default)
    {
        var volume = Volume(name);
        return new VolumeStream(volume, await volume.AttachAsync().AsTask().WaitAsync(cancellationToken), time);
    }

    private IVolumeGrain Volume(string name) =>
        VolumeName.TryParse(name, out _) ? cluster.GetGrain<IVolumeGrain>(name) : throw new VolumeNotFoundException($"There is no volume '{name}': that is not a volume name.");
}
