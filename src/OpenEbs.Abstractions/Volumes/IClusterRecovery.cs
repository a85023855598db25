using OpenEbs.Replicas;

namespace OpenEbs.Volumes;

/// <summary>What is done about replicas on disk that the registry does not know; key 0.</summary>
[Alias("openebs.IClusterRecovery")]
public interface IClusterRecovery : IGrainWithIntegerKey
{
    /// <summary>Looks through all pools that are online. Takes as long as it takes to open the stores found.</summary>
    [Alias("ListOrphans"), ResponseTimeout("00:02:00")]
    Task<IReadOnlyList<OrphanVolumeView>> ListOrphansAsync();

    /// <summary>Makes a volume of replicas found on disk: the one with the highest (epoch, seq) is in sync, the others are brought level with it.</summary>
    /// <param name="uid">Of the volume.</param>
    /// <param name="name">Its name from now on; null for the one that its replicas remember.</param>
    /// <exception cref="VolumeNotFoundException">No such orphans were found.</exception>
    /// <exception cref="VolumeRequestInvalidException">The name is no name, or the replicas do not tell enough.</exception>
    /// <exception cref="VolumeAlreadyExistsException">There is another volume of that name.</exception>
    [Alias("ImportVolume"), ResponseTimeout("00:02:00")]
    Task<VolumeView> ImportVolumeAsync(Guid uid, string? name);

    /// <summary>Deletes the files of a replica that no volume knows.</summary>
    /// <param name="uid">Of the volume.</param>
    /// <param name="replicaId">The replica.</param>
    /// <param name="evenIfLast">Also when it could be the last copy of its volume.</param>
    /// <exception cref="VolumeNotFoundException">No such orphan was found.</exception>
    /// <exception cref="VolumeRequestInvalidException">It could be the last copy.</exception>
    [Alias("DeleteOrphan"), ResponseTimeout("00:02:00")]
    Task DeleteOrphanAsync(Guid uid, string replicaId, bool evenIfLast);
}
