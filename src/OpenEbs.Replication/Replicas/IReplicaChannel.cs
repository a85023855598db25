using OpenEbs.Storage.Store;

namespace OpenEbs.Replication.Replicas;

/// <summary>The way from a coordinator to one replica. Messages may be lost, delayed, repeated or reordered: an exception (or no answer) says nothing about whether the replica
/// acted; every call may be made again. Continuations run on the caller's scheduler.</summary>
public interface IReplicaChannel
{
    /// <summary>True when the replica lives in this process: reads prefer it.</summary>
    bool IsLocal => false;

    /// <summary>Why it is certain, without asking, that nobody answers for the replica now: its process has ended and no other has its bytes. Null when a call may be answered.
    /// The incarnation that was called before does not come back.</summary>
    string? Obstacle => null;

    ValueTask<OpenReply> OpenAsync(OpenRequest request);

    /// <summary>Deletes a store that cannot be opened, or is damaged (<see cref="StoreStatus.IsDamaged"/>); one that is sound is refused. The next opening may create another.</summary>
    /// <param name="epoch">The coordinator's.</param>
    /// <param name="incarnation">The life of the replica in which that was found: in a later one it may have been rebuilt.</param>
    ValueTask<ReplicaOutcome> DiscardAsync(long epoch, Guid incarnation);

    /// <summary>Takes over one reference to <paramref name="request"/>. Order is the caller's affair: it has one or few requests in flight, and the replica applies strictly by seq.</summary>
    ValueTask<AppendReply> AppendAsync(AppendRequest request);

    /// <summary>Renews the lease, spreads the commit point and, if asked, makes everything applied so far durable.</summary>
    ValueTask<AppendReply> FlushAsync(long epoch, Guid incarnation, long commitSeq, bool flush);

    /// <summary>The coordinator serves nothing any more and gives its lease up: who opens the replica next is told so, and need not wait for it. To be called only by a coordinator that had
    /// finished opening the volume, after its last I/O ended. Ok, or why it was not taken note of, which does no harm.</summary>
    ValueTask<ReplicaOutcome> ReleaseAsync(long epoch, Guid incarnation, long commitSeq);

    ValueTask<ReadReply> ReadAsync(long epoch, Guid incarnation, long block, int blockCount);

    /// <summary>Reads blocks from stable media and checks them against their checksums; says of their contents only a digest. Replicas that have the same operations have the same digests.</summary>
    ValueTask<CheckReply> CheckAsync(long epoch, Guid incarnation, long block, int blockCount);

    /// <summary>What each block holds and when it was last changed.</summary>
    ValueTask<BlocksReply> DescribeBlocksAsync(long epoch, Guid incarnation, long block, int blockCount);

    /// <summary>One step of reading and checking, on stable media, what the replica's store has beside the blocks; what can be repaired is.</summary>
    ValueTask<StoreScrubReply> ScrubStoreAsync(long epoch, Guid incarnation, bool restart);

    /// <summary>A digest of each block, to find out what a rebuild need not copy.</summary>
    ValueTask<DigestReply> DigestAsync(long epoch, Guid incarnation, long block, int blockCount);

    ValueTask<LogReply> ReadLogAsync(long epoch, Guid incarnation, long fromSeq, int maxBytes);

    ValueTask<RebuildReply> RebuildAsync(RebuildRequest request);

    /// <summary>CopyAsync (repair = false) or RepairAsync (repair = true) of the operations in <paramref name="request"/>; its FirstSeq is the number of the
    /// step (see <see cref="RebuildRequest"/>), not a seq. Takes over one reference.</summary>
    ValueTask<RebuildReply> CopyAsync(AppendRequest request, bool repair);

    ValueTask<ChangedReply> ListChangedAsync(long epoch, Guid incarnation, long sinceSeq, long fromBlock, int maxRuns);

    ValueTask<AllocatedReply> ListAllocatedAsync(long epoch, Guid incarnation, long fromBlock, long blockCount, int maxRuns);
}
