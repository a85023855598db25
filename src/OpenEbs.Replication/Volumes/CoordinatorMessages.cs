using System.Buffers;
using OpenEbs.Replication.Rebuilds;
using OpenEbs.Replication.Scrubs;

namespace OpenEbs.Replication.Volumes;

/// <summary>How an I/O ended.</summary>
public enum VolumeIoStatus : byte
{
    Ok,
    OutOfRange,
    NoSpace,
    TimedOut,
    MediumError,
    Miscompare,
    Gone,

    /// <summary>This coordinator was fenced: nothing is known of the outcome.</summary>
    Fenced,

    /// <summary>The volume cannot be written at present, and its policy is to say so: nothing of the write was done.</summary>
    WriteProtected,

    /// <summary>The I/O bears another version of the shared state than the present one: nothing was done.</summary>
    Outdated,
}

/// <summary>Outcome of an I/O; the receiver disposes <see cref="Data"/>.</summary>
public readonly record struct VolumeIoResult(VolumeIoStatus Status, IMemoryOwner<byte>? Data = null, int MiscompareOffset = 0, string Detail = "");

/// <summary>States of a coordinator; see VolumeCoordinator for the transitions.</summary>
public enum CoordinatorState
{
    /// <summary>Raising the epoch, fencing replicas, levelling them.</summary>
    Opening,

    /// <summary>Serving I/O.</summary>
    Serving,

    /// <summary>Fewer replicas in sync than minInSync, or one of them cannot be reached and may not leave the set: writes wait, reads are served where that is safe.</summary>
    Frozen,

    /// <summary>Asked to end: what is under way ends, what comes waits.</summary>
    Closing,

    /// <summary>Another coordinator opened the volume, or this one was closed: nothing is answered any more but Fenced.</summary>
    Fenced,

    /// <summary>The volume was deleted.</summary>
    Gone,
}

/// <summary>A replica as its coordinator sees it.</summary>
public readonly record struct ReplicaSnapshot(string Id, string Pool, ReplicaStanding Standing, long AckedSeq, long DurableSeq, long Lag, long UsedBytes, string Reason, long? WritableBytes = null, RebuildSnapshot? Rebuild = null);

/// <summary>A volume as its coordinator sees it.</summary>
public sealed record CoordinatorSnapshot(CoordinatorState State, string Reason, VolumeRecord? Record, long Seq, long CommitSeq, IReadOnlyList<ReplicaSnapshot> Replicas, double ScrubProgress, bool IsScrubHurried, ScrubTally? PresentScrub = null);
