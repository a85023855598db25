using OpenEbs.Replication.Replicas;
using OpenEbs.Storage.Store;

namespace OpenEbs.Simulation.Disks;

/// <summary>What one replica has on its host's disk: it outlives processes.</summary>
public interface IReplicaDisk
{
    /// <summary>There is a store, though it may be damaged.</summary>
    bool Exists { get; }

    /// <summary>Opens the store for a new process.</summary>
    ValueTask<IReplicaStore> OpenAsync(StoreOpening opening, string bootId);

    /// <summary>Deletes the store, which is not open.</summary>
    ValueTask DiscardAsync();

    /// <summary>Harms a page of the map or the superblock; false when there is none.</summary>
    bool Damage();

    /// <summary>Harms a bit anywhere in the files; false when there is nothing to harm.</summary>
    /// <param name="onMediaOnly">What is cached stays good.</param>
    /// <param name="block">The block of the volume that it belonged to, when it was one's data.</param>
    bool RotAnywhere(bool onMediaOnly, out long? block);

    /// <summary>The process that used the store was killed.</summary>
    void Kill();

    /// <summary>The host lost power.</summary>
    void LosePower();

    /// <summary>Harms the stored form of a block; false when there was nothing to harm.</summary>
    bool Rot(long block);

    /// <summary>Undoes <see cref="Rot"/>, if nothing has been written there since.</summary>
    void Unrot(long block);

    /// <summary>Bytes that writes may still take, beside the reserve.</summary>
    long RoomBytes { get; }

    /// <summary>Others on the pool take all but so much of what writes may still take; they cannot take what is reserved. False when this disk never fills up.</summary>
    bool Fill(long leftBytes);

    /// <summary>What others took is free again.</summary>
    void Relieve();

    /// <summary>Flushes take so much longer.</summary>
    TimeSpan Slowness { get; set; }
}
