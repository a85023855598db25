using System.Buffers;
using OpenEbs.Replication.Volumes;
using OpenEbs.Storage.Store;

namespace OpenEbs.Replication.Replicas;

/// <summary>How a replica answered. Values are on the wire: append only.</summary>
public enum ReplicaOutcome : byte
{
    Ok = 0,

    /// <summary>The replica has seen a higher epoch: the caller is fenced and must stop.</summary>
    StaleEpoch = 1,

    /// <summary>The replica process restarted since the caller opened it: what it acknowledged before may be gone.</summary>
    Restarted = 2,

    /// <summary>The batch does not continue the replica's log; <see cref="AppendReply.LastSeq"/> says where it ends.</summary>
    SeqGap = 3,

    /// <summary>The pool is full; nothing of the batch was applied.</summary>
    NoSpace = 4,

    /// <summary>A block is bad on media; see <see cref="ReadReply.BadBlock"/>.</summary>
    BadBlock = 5,

    /// <summary>The replica's store failed; Reason says how.</summary>
    Failed = 6,

    /// <summary>The replica is rebuilding and cannot answer reads.</summary>
    NotReadable = 7,

    /// <summary>There is no store that can be opened: none at all, or one that is damaged beyond use. It will never answer with what it had.</summary>
    Lost = 8,
}

/// <summary>How a replica's store is to be opened.</summary>
public enum StoreOpening : byte
{
    /// <summary>It must be there.</summary>
    Existing,

    /// <summary>An absent one is created, empty: the first replicas of a volume.</summary>
    CreateEmpty,

    /// <summary>An absent one is created in the midst of a rebuild: nobody may take it for a volume that is empty.</summary>
    CreateRebuilding,
}

/// <summary>Fences the replica at <paramref name="Epoch"/> and asks what it has.</summary>
/// <param name="Epoch">The new coordinator's epoch.</param>
/// <param name="Create">True for a replica that must be created when absent (a new volume's, or one placed anew).</param>
/// <param name="StepNumber">Taken from the same numbers as rebuild steps (<see cref="RebuildRequest.Number"/>), so that steps sent before this opening are refused from now on; 0 when
/// the caller only asks.</param>
/// <param name="Record">The volume's record, without its events: kept beside the replica's data, so that the volume is known from them should the metadata store be lost. Null when it is not to be changed.</param>
/// <param name="IsNew">With Create: the volume is new too. Else what is created begins in the midst of a rebuild.</param>
/// <param name="Opener">Names the process of the coordinator (<see cref="CoordinatorOptions.Process"/>); empty when it has no name.</param>
public sealed record OpenRequest(long Epoch, bool Create, long StepNumber = 0, VolumeRecord? Record = null, bool IsNew = false, string Opener = "")
{
    public StoreOpening Opening => !Create ? StoreOpening.Existing : IsNew ? StoreOpening.CreateEmpty : StoreOpening.CreateRebuilding;
}

/// <param name="Outcome">Ok, StaleEpoch, Lost or Failed.</param>
/// <param name="Incarnation">This life of the replica; goes into all later requests.</param>
/// <param name="Status">What the store has; null unless Ok.</param>
/// <param name="Reason">For people, when Failed.</param>
/// <param name="Predecessor">Whose epoch was the replica's fence until this one, when that one opened it in this life; null when that is not known.</param>
public sealed record OpenReply(ReplicaOutcome Outcome, Guid Incarnation, StoreStatus? Status, string Reason = "", Predecessor? Predecessor = null);

/// <summary>The coordinator before the present one, as a replica remembers it.</summary>
/// <param name="Epoch">Its epoch.</param>
/// <param name="Opener">Its process; may be empty.</param>
/// <param name="HasReleased">It said that it serves nothing any more.</param>
public sealed record Predecessor(long Epoch, string Opener, bool HasReleased);

/// <summary>Each Ok answer grants the caller a read lease of the agreed length, counted by the caller from when it sent the request (design section 4, Lease).</summary>
/// <param name="Outcome">Ok, StaleEpoch, Restarted, SeqGap, NoSpace or Failed.</param>
/// <param name="LastSeq">The newest operation that the replica has applied.</param>
/// <param name="DurableSeq">The newest operation that is on its stable media.</param>
/// <param name="WritableBytes">Room for further writes.</param>
/// <param name="Reason">For people, when Failed.</param>
public readonly record struct AppendReply(ReplicaOutcome Outcome, long LastSeq, long DurableSeq, long WritableBytes, string Reason = "");

/// <summary>Answer to a read; the receiver disposes <see cref="Data"/>.</summary>
/// <param name="Outcome">Ok, StaleEpoch, Restarted, BadBlock, NotReadable or Failed.</param>
/// <param name="Data">blockCount x 4,096 bytes when Ok.</param>
/// <param name="BadBlock">The first bad block, when BadBlock.</param>
/// <param name="Reason">For people.</param>
public readonly record struct ReadReply(ReplicaOutcome Outcome, IMemoryOwner<byte>? Data, long BadBlock = -1, string Reason = "");

/// <summary>Answer to a check.</summary>
/// <param name="Outcome">As of a read.</param>
/// <param name="Digest">CRC-32C of all the blocks' bytes, when Ok.</param>
/// <param name="BadBlock">The first bad block, when BadBlock.</param>
/// <param name="Reason">For people.</param>
public sealed record CheckReply(ReplicaOutcome Outcome, uint Digest, long BadBlock = -1, string Reason = "");

/// <summary>Answer to a question for digests.</summary>
/// <param name="Outcome">As of a read; a replica that is being rebuilt answers too.</param>
/// <param name="Digests">16 bytes for each block, when Ok; all zeros for a block that holds nothing.</param>
/// <param name="Reason">For people.</param>
public sealed record DigestReply(ReplicaOutcome Outcome, byte[] Digests, string Reason = "");

/// <summary>What blocks hold and when they were last changed, to find out which of differing replicas is right.</summary>
/// <param name="Outcome">As of a read.</param>
/// <param name="Digests">16 bytes for each block, when Ok; all zeros for one that reads as zeros.</param>
/// <param name="Seqs">For each block the seq of what changed it last.</param>
/// <param name="Reason">For people.</param>
public sealed record BlocksReply(ReplicaOutcome Outcome, byte[] Digests, long[] Seqs, string Reason = "");

/// <summary>Answer to a step of scrubbing what a replica's store has beside the blocks.</summary>
/// <param name="Outcome">As of a read.</param>
/// <param name="IsDone">That was the last step.</param>
/// <param name="CheckedBytes">Read from media in this step.</param>
/// <param name="Repaired">What has been put right since the scrub began; a sentence each.</param>
/// <param name="Damage">What is damaged beyond repair there.</param>
/// <param name="Reason">For people.</param>
public sealed record StoreScrubReply(ReplicaOutcome Outcome, bool IsDone, long CheckedBytes, IReadOnlyList<string> Repaired, IReadOnlyList<string> Damage, string Reason = "");

/// <summary>Operations read back from a replica's log.</summary>
/// <param name="Outcome">Ok, StaleEpoch, Restarted or Failed (also when the log no longer reaches back so far).</param>
/// <param name="Batch">Null at the end of the log.</param>
/// <param name="Reason">For people.</param>
public sealed record LogReply(ReplicaOutcome Outcome, StoreBatch? Batch, string Reason = "");

/// <summary>One step of bringing a replica level by copying blocks; see <see cref="IReplicaStore"/> for each.</summary>
public enum RebuildStep : byte
{
    /// <summary>TruncateAsync(Seq).</summary>
    Truncate = 1,

    /// <summary>BeginRebuildAsync(From, Seq as base).</summary>
    Begin = 2,

    /// <summary>EndRebuildAsync.</summary>
    End = 3,
}

/// <param name="Epoch">The coordinator's epoch.</param>
/// <param name="Incarnation">The replica's life.</param>
/// <param name="Step">What to do.</param>
/// <param name="Seq">Argument of Truncate and Begin.</param>
/// <param name="From">Argument of Begin.</param>
/// <param name="Number">Rises with every rebuild step, copy and repair that the coordinator sends to this replica. The replica carries out each number once, answers a
/// repeated one with Ok, and refuses lower ones: a delayed message must not truncate or overwrite what came after it. Opening takes a number too.</param>
public sealed record RebuildRequest(long Epoch, Guid Incarnation, RebuildStep Step, long Seq, LogPosition From, long Number);

/// <summary>Answer to a rebuild step or a copy.</summary>
public sealed record RebuildReply(ReplicaOutcome Outcome, StoreStatus? Status, string Reason = "");

/// <summary>Blocks changed on a replica.</summary>
public sealed record ChangedReply(ReplicaOutcome Outcome, IReadOnlyList<BlockRun> Runs, long NextBlock, string Reason = "");

/// <summary>Allocated and unallocated runs.</summary>
public sealed record AllocatedReply(ReplicaOutcome Outcome, IReadOnlyList<AllocatedRun> Runs, string Reason = "");
