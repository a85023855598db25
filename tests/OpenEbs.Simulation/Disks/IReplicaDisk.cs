using OpenEbs.Storage.Store;

namespace OpenEbs.Simulation.Disks;

/// <summary>What one replica has on its host's disk: it outlives processes.</summary>
public interface IReplicaDisk
{
    /// <summary>Opens the store for a new process; its argument of creation as in ReplicaSession.</summary>
    ValueTask<IReplicaStore> OpenAsync(bool create, string bootId);

    /// <summary>The process that used the store was killed.</summary>
    void Kill();

    /// <summary>The host lost power.</summary>
    void LosePower();

    /// <summary>Harms the stored form of a block; false when there was nothing to harm.</summary>
    bool Rot(long block);

    /// <summary>Undoes <see cref="Rot"/>, if nothing has been written there since.</summary>
    void Unrot(long block);

    /// <summary>Flushes take so much longer.</summary>
    TimeSpan Slowness { get; set; }
}
