using OpenEbs.Access;
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

    /// <summary>Who may log in to a volume.</summary>
    /// <exception cref="VolumeNotFoundException">There is none of that name.</exception>
    public Task<VolumeAccessView> GetAccessAsync(string volume, CancellationToken cancellationToken = default) => Access.GetAccessAsync(volume).WaitAsync(cancellationToken);

    /// <summary>Gives a volume an access rule, or takes it (null). Sessions that are no longer allowed end.</summary>
    /// <exception cref="VolumeNotFoundException">There is no such volume.</exception>
    /// <exception cref="CredentialNotFoundException">The rule names a credential that there is not.</exception>
    /// <exception cref="VolumeRequestInvalidException">The rule has a problem.</exception>
    public Task<VolumeAccessView> SetAccessAsync(string volume, AccessRule? rule, CancellationToken cancellationToken = default) =>
        (rule is null ? Access.ClearAccessAsync(volume) : Access.SetAccessAsync(volume, rule)).WaitAsync(cancellationToken);

    /// <summary>The credentials, without their secrets.</summary>
    public Task<IReadOnlyList<CredentialView>> ListCredentialsAsync(CancellationToken cancellationToken = default) => Access.ListCredentialsAsync().WaitAsync(cancellationToken);

    /// <summary>Creates a credential, or replaces one that exists.</summary>
    /// <exception cref="CredentialAlreadyExistsException">There is one, and it is not to be replaced.</exception>
    /// <exception cref="CredentialNotFoundException">There is none, and one is to be replaced.</exception>
    /// <exception cref="VolumeRequestInvalidException">It has a problem.</exception>
    public Task<CredentialView> PutCredentialAsync(string name, CredentialSpec spec, bool isReplacement = false, CancellationToken cancellationToken = default) =>
        Access.PutCredentialAsync(name, spec, isReplacement).WaitAsync(cancellationToken);

    /// <exception cref="CredentialNotFoundException">There is none.</exception>
    /// <exception cref="StillNeededException">Volumes' rules name it.</exception>
    public Task DeleteCredentialAsync(string name, CancellationToken cancellationToken = default) => Access.DeleteCredentialAsync(name).WaitAsync(cancellationToken);

    /// <summary>The iSCSI sessions on all gateways, or those on one volume.</summary>
    public Task<IReadOnlyList<SessionView>> ListSessionsAsync(string? volume = null, CancellationToken cancellationToken = default) => Access.ListSessionsAsync(volume).WaitAsync(cancellationToken);

    /// <summary>Ends a session; false when there is none.</summary>
    public Task<bool> CloseSessionAsync(string id, CancellationToken cancellationToken = default) => Access.CloseSessionAsync(id).WaitAsync(cancellationToken);

    /// <summary>Opens the bytes of a volume. Closing it flushes.</summary>
    /// <exception cref="VolumeNotFoundException">There is none of that name.</exception>
    public async Task<VolumeStream> OpenVolumeAsync(string name, CancellationToken cancellationToken = default)
    {
        var volume = Volume(name);
        return new VolumeStream(volume, await volume.AttachAsync().AsTask().WaitAsync(cancellationToken), time);
    }

    private IAccessGrain Access => cluster.GetGrain<IAccessGrain>(0);

    private IVolumeGrain Volume(string name) =>
        VolumeName.TryParse(name, out _) ? cluster.GetGrain<IVolumeGrain>(name) : throw new VolumeNotFoundException($"There is no volume '{name}': that is not a volume name.");
}
