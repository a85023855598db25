using OpenEbs.Replication.Volumes;
using OpenEbs.Storage.Store;

namespace OpenEbs.Grains.Replicas;

/// <summary>What a replica has on disk, without a volume that knows it.</summary>
/// <param name="Status">What its store has; null when that cannot be opened.</param>
/// <param name="Record">The record of its volume, as it was last told; null when it was told none.</param>
/// <param name="Reason">For people, why there is no status.</param>
internal sealed record ReplicaInspection(StoreStatus? Status, VolumeRecord? Record, string Reason = "");
