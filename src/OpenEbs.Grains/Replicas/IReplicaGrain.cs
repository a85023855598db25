using OpenEbs.Replication.Replicas;

namespace OpenEbs.Grains.Replicas;

/// <summary>A replica: <see cref="IReplicaChannel"/> as grain calls. Key: "pool/replica id".</summary>
/// <remarks>Requests carry one reference to their buffers (their copier takes it), which the receiving method owns; so does the receiver of a <see cref="ReadReply"/>.</remarks>
[Alias("openebs.IReplicaGrain")]
internal interface IReplicaGrain : IGrainWithStringKey
{
    [Alias("Open"), ResponseTimeout("00:01:00")]
    ValueTask<OpenReply> OpenAsync(OpenRequest request);

    [Alias("Discard"), ResponseTimeout("00:01:00")]
    ValueTask<ReplicaOutcome> DiscardAsync(long epoch, Guid incarnation);

    [Alias("Append"), ResponseTimeout("00:00:10")]
    ValueTask<AppendReply> AppendAsync(AppendRequest request);

    [Alias("Flush"), ResponseTimeout("00:00:10")]
    ValueTask<AppendReply> FlushAsync(long epoch, Guid incarnation, long commitSeq, bool flush);

    [Alias("Release"), ResponseTimeout("00:00:05")]
    ValueTask<ReplicaOutcome> ReleaseAsync(long epoch, Guid incarnation, long commitSeq);

    [Alias("Read"), ResponseTimeout("00:00:10")]
    ValueTask<ReadReply> ReadAsync(long epoch, Guid incarnation, long block, int blockCount);

    [Alias("Check"), ResponseTimeout("00:00:10")]
    ValueTask<CheckReply> CheckAsync(long epoch, Guid incarnation, long block, int blockCount);

    [Alias("Digest"), ResponseTimeout("00:00:10")]
    ValueTask<DigestReply> DigestAsync(long epoch, Guid incarnation, long block, int blockCount);

    [Alias("DescribeBlocks"), ResponseTimeout("00:00:10")]
    ValueTask<BlocksReply> DescribeBlocksAsync(long epoch, Guid incarnation, long block, int blockCount);

    [Alias("ScrubStore"), ResponseTimeout("00:01:00")]
    ValueTask<StoreScrubReply> ScrubStoreAsync(long epoch, Guid incarnation, bool restart);

    [Alias("ReadLog"), ResponseTimeout("00:00:10")]
    ValueTask<LogReply> ReadLogAsync(long epoch, Guid incarnation, long fromSeq, int maxBytes);

    [Alias("Rebuild"), ResponseTimeout("00:01:00")]
    ValueTask<RebuildReply> RebuildAsync(RebuildRequest request);

    [Alias("Copy"), ResponseTimeout("00:00:10")]
    ValueTask<RebuildReply> CopyAsync(AppendRequest request, bool repair);

    [Alias("ListChanged"), ResponseTimeout("00:00:10")]
    ValueTask<ChangedReply> ListChangedAsync(long epoch, Guid incarnation, long sinceSeq, long fromBlock, int maxRuns);

    [Alias("ListAllocated"), ResponseTimeout("00:00:10")]
    ValueTask<AllocatedReply> ListAllocatedAsync(long epoch, Guid incarnation, long fromBlock, long blockCount, int maxRuns);

    /// <summary>Says what the replica has, without fencing or creating it.</summary>
    [Alias("Inspect"), ResponseTimeout("00:01:00")]
    ValueTask<ReplicaInspection> InspectAsync();

    /// <summary>The node is about to stop: has the volume's coordinator let go of the replica while it still answers, and lets nobody open it any more.</summary>
    [Alias("Leave"), ResponseTimeout("00:00:10")]
    ValueTask LeaveAsync();

    /// <summary>Removes the replica and its files; nothing happens when there are none.</summary>
    [Alias("Delete"), ResponseTimeout("00:01:00")]
    ValueTask DeleteAsync();
}
