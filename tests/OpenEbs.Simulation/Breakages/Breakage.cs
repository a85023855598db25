using OpenEbs.Replication.Replicas;
using OpenEbs.Replication.Volumes;
using OpenEbs.Simulation.Histories;
using OpenEbs.Storage.Store;

namespace OpenEbs.Simulation.Breakages;

/// <summary>Something that is deliberately wrong in a run, to prove that the checker notices.</summary>
public sealed record Breakage
{
    public static readonly Breakage None = new() { Name = "none", Breaks = [] };

    public required string Name { get; init; }

    /// <summary>The promises of which it may break one: the checker must report one of these.</summary>
    public required IReadOnlyList<Promise> Breaks { get; init; }

    internal CoordinatorFaults CoordinatorFaults { get; init; } = CoordinatorFaults.None;

    internal ReplicaFaults ReplicaFaults { get; init; } = ReplicaFaults.None;

    /// <summary>Replaces what a replica's process offers.</summary>
    internal Func<IReplicaChannel, IReplicaChannel> WrapReplica { get; init; } = session => session;

    /// <summary>Replaces a replica's store, below what the history watches.</summary>
    internal Func<IReplicaStore, IReplicaStore> WrapStore { get; init; } = store => store;

    /// <summary>Replaces the metadata store.</summary>
    internal Func<IVolumeRecordStore, IVolumeRecordStore> WrapRecords { get; init; } = records => records;

    /// <summary>Faults under which it shows soon; empty for whatever the seed draws.</summary>
    public IReadOnlyList<FaultKind> Favours { get; init; } = [];

    /// <summary>Every process counts as one that has ended.</summary>
    internal bool TakesAllForEnded { get; init; }

    /// <summary>The gateway writes in two halves.</summary>
    internal bool SplitsWrites { get; init; }
}
