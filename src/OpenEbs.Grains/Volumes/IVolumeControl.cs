using OpenEbs.Volumes;

namespace OpenEbs.Grains.Volumes;

/// <summary>What the cluster, and not a user, asks of a volume grain. Key: the volume's name.</summary>
[Alias("openebs.IVolumeControl")]
internal interface IVolumeControl : IGrainWithStringKey
{
    /// <summary>Opens the volume if it is not open, without waiting for it: replicas that are out then come back although nobody uses the volume.</summary>
    [Alias("KeepOpen"), ResponseTimeout("00:00:10")]
    ValueTask KeepOpenAsync();

    /// <summary>Gives the volume one more replica, on a pool that has none of it; it is rebuilt from the others.</summary>
    /// <returns>Its id.</returns>
    [Alias("AddReplica"), ResponseTimeout("00:00:30")]
    ValueTask<string> AddReplicaAsync(string pool, string cause);

    /// <summary>Takes a replica from the volume for good. False when the volume cannot do without it now.</summary>
    [Alias("RemoveReplica"), ResponseTimeout("00:00:30")]
    ValueTask<bool> RemoveReplicaAsync(string replicaId, string cause);

    /// <summary>Somebody has taken on to delete the files of these replicas, which were removed.</summary>
    [Alias("ForgetReplicas"), ResponseTimeout("00:00:30")]
    ValueTask ForgetReplicasAsync(IReadOnlyList<string> replicaIds);

    /// <summary>How many replicas the volume is to have, and how many must be in sync for it to serve.</summary>
    [Alias("SetWantedReplicas"), ResponseTimeout("00:00:30")]
    ValueTask SetWantedReplicasAsync(int replicas, int minInSync, bool isMinInSyncChosen);

    /// <summary>What the cluster would do for the volume and cannot, for people; empty when there is nothing (any more).</summary>
    [Alias("SetConcern"), ResponseTimeout("00:00:10")]
    ValueTask SetConcernAsync(string concern);

    /// <summary>A replica's node is about to stop: the volume goes on without it, as soon as it can. True when nothing rests on it any more.</summary>
    [Alias("LetGo"), ResponseTimeout("00:00:05")]
    ValueTask<bool> LetGoAsync(string replicaId, Guid incarnation);

    /// <summary>Steps down if the volume is on one of these nodes. It goes to a gateway on another node that has sessions, else where the placement hint of the call says.</summary>
    [Alias("Leave"), ResponseTimeout("00:00:30")]
    ValueTask LeaveAsync(IReadOnlyList<string> nodes);

    /// <summary>Flushes, closes and deactivates. I/O that waits is answered with <see cref="IoStatus.Fenced"/>.</summary>
    [Alias("StepDown"), ResponseTimeout("00:00:30")]
    ValueTask StepDownAsync();
}

/// <summary>This activation is going away, so that another, elsewhere, can come: ask again.</summary>
[GenerateSerializer, Alias("openebs.VolumeMoving")]
internal sealed class VolumeMovingException(string message) : Exception(message);
