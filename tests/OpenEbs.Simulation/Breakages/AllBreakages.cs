using OpenEbs.Replication.Replicas;
using OpenEbs.Replication.Volumes;
using OpenEbs.Simulation.Histories;

namespace OpenEbs.Simulation.Breakages;

/// <summary>The deliberately broken variants of the system, each of which the checker must catch.</summary>
public static class AllBreakages
{
    public static IReadOnlyList<Breakage> List { get; } =
    [
        new() { Name = "acknowledge-early", Breaks = [Promise.AcknowledgedIsReplicated], CoordinatorFaults = new CoordinatorFaults { AcknowledgeEarly = true } },
        new() { Name = "drop-without-record", Favours = [FaultKind.PauseReplica, FaultKind.KillReplica], Breaks = [Promise.AcknowledgedIsReplicated], CoordinatorFaults = new CoordinatorFaults { DropWithoutRecord = true } },
        // What a stale coordinator wrote over the record stays there: the replica that it dropped then never becomes in sync again in the record.
        new() { Name = "ignore-record-conflicts", Favours = [FaultKind.SplitBrain, FaultKind.SecondCoordinator], Breaks = [Promise.AcknowledgedIsReplicated, Promise.ReadsSeeLastWrite, Promise.LogsMatch, Promise.EpochsRise, Promise.FaultsAreInvisible], WrapRecords = records => new ForcedRecordStore(records) },
        new() { Name = "skip-flush", Breaks = [Promise.FlushedIsDurable], CoordinatorFaults = new CoordinatorFaults { SkipFlush = true } },
        new() { Name = "end-doubt-early", Favours = [FaultKind.PowerLoss, FaultKind.SecondCoordinator], Breaks = [Promise.AcknowledgedIsReplicated, Promise.FlushedIsDurable, Promise.PrefixAfterPowerLoss], CoordinatorFaults = new CoordinatorFaults { EndDoubtEarly = true } },
        new() { Name = "lying-flush", Breaks = [Promise.FlushedIsDurable, Promise.PrefixAfterPowerLoss], WrapStore = store => new LyingFlushStore(store) },
        new() { Name = "skip-epoch-check", Favours = [FaultKind.SecondCoordinator, FaultKind.PauseCoordinator], Breaks = [Promise.ReadsSeeLastWrite, Promise.LogsMatch, Promise.AcknowledgedIsReplicated], ReplicaFaults = new ReplicaFaults { SkipEpochCheck = true } },
        new() { Name = "skip-lease", Favours = [FaultKind.SplitBrain], Breaks = [Promise.ReadsSeeLastWrite], CoordinatorFaults = new CoordinatorFaults { SkipLease = true } },
        new() { Name = "believe-record", Favours = [FaultKind.SplitBrain], Breaks = [Promise.ReadsSeeLastWrite], CoordinatorFaults = new CoordinatorFaults { BelieveRecordForever = true } },
        new() { Name = "skip-lease-wait", Favours = [FaultKind.SplitBrain], Breaks = [Promise.ReadsSeeLastWrite], CoordinatorFaults = new CoordinatorFaults { SkipLeaseWait = true } },
        new() { Name = "release-early", Favours = [FaultKind.OrderlyStop], Breaks = [Promise.ReadsSeeLastWrite], CoordinatorFaults = new CoordinatorFaults { ReleaseEarly = true } },
        new() { Name = "take-all-for-ended", Favours = [FaultKind.SplitBrain], Breaks = [Promise.ReadsSeeLastWrite], TakesAllForEnded = true },
        new() { Name = "skip-read-wait", Favours = [FaultKind.SplitBrain, FaultKind.KillHostProcesses, FaultKind.PauseReplica], Breaks = [Promise.ReadsSeeLastWrite, Promise.WritesAreAtomic], CoordinatorFaults = new CoordinatorFaults { SkipReadWait = true } },
        new() { Name = "shortest-source", Breaks = [Promise.AcknowledgedIsReplicated, Promise.FlushedIsDurable, Promise.PrefixAfterPowerLoss], CoordinatorFaults = new CoordinatorFaults { ShortestSource = true } },
        new() { Name = "skip-levelling", Favours = [FaultKind.CongestedReplica, FaultKind.SecondCoordinator], Breaks = [Promise.ReadsSeeLastWrite, Promise.WritesAreAtomic, Promise.PrefixAfterPowerLoss], CoordinatorFaults = new CoordinatorFaults { SkipLevelling = true } },
        new() { Name = "split-writes", Breaks = [Promise.WritesAreAtomic], SplitsWrites = true },
        new() { Name = "torn-write", Breaks = [Promise.WritesAreAtomic, Promise.PrefixAfterPowerLoss], WrapStore = store => new TearingStore(store) },
        new() { Name = "skip-checksum", Favours = [FaultKind.BitRot], Breaks = [Promise.BadBlocksAreHidden], WrapStore = store => new UncheckedStore(store) },
        new() { Name = "skip-repair", Favours = [FaultKind.BitRot], Breaks = [Promise.BadBlocksAreHidden], WrapStore = store => new UnrepairedStore(store) },
        new() { Name = "skip-media", Favours = [FaultKind.HiddenRot], Breaks = [Promise.BadBlocksAreHidden], WrapStore = store => new CachedStore(store) },
        new() { Name = "leave-differences", Breaks = [Promise.BadBlocksAreHidden, Promise.PrefixAfterPowerLoss, Promise.ReadsSeeLastWrite], CoordinatorFaults = new CoordinatorFaults { LeaveDifferences = true } },
        new() { Name = "stay-full", Favours = [FaultKind.FullPool], Breaks = [Promise.FullPoolsHarmNothing], CoordinatorFaults = new CoordinatorFaults { StayFull = true } },
        new() { Name = "fail-when-full", Favours = [FaultKind.FullPool], Breaks = [Promise.FullPoolsHarmNothing, Promise.FaultsAreInvisible], WrapStore = store => new FailingWhenFullStore(store) },
    ];

    /// <summary>The unbroken system under the same favoured faults: must keep every promise, or the breakages prove nothing.</summary>
    public static IEnumerable<Breakage> Controls => List.Where(breakage => breakage.Favours.Count > 0).Select(breakage => Breakage.None with { Name = $"control of {breakage.Name}", Favours = breakage.Favours });

    /// <summary>A broken variant, or a control by its own name ("control of ...").</summary>
    /// <exception cref="ArgumentException">There is none of that name; the message lists them.</exception>
    public static Breakage Named(string name) => List.Concat(Controls).FirstOrDefault(breakage => breakage.Name == name)
        ?? throw new ArgumentException($"There is no breakage {name}; there are {string.Join(", ", List.Select(breakage => breakage.Name))}.");
}
