using OpenEbs.Grains.Gateways;
using OpenEbs.Grains.Nodes;
using OpenEbs.Replication.Replicas;
using Orleans.Runtime;

namespace OpenEbs.Grains.Replicas;

/// <summary>The way to a replica through its grain. Within a silo requests and replies are handed over by reference; between silos their codecs copy payloads once to the wire and once from it.</summary>
internal sealed class GrainReplicaChannel(IReplicaGrain replica, string pool, bool isLocal, NodeDirectory nodes) : IReplicaChannel
{
    private SiloAddress? _home;
    private ClusterMembershipSnapshot? _membership;

    public bool IsLocal => isLocal;

    private string NoNode => $"No running node has pool '{pool}'.";

    /// <remarks>A node that shuts down in good order is no obstacle: its replicas answer until it has stopped.</remarks>
    public string? Obstacle
    {
        get
        {
            // Asked before every call: nothing can be in the way that was not there before, unless the membership changed.
            var membership = nodes.Membership;
            if (ReferenceEquals(membership, _membership)) return null;
            if (nodes.FindPool(pool) is null && (_home is null || nodes.HasEnded(_home))) return NoNode;
            _membership = membership;
            return null;
        }
    }

    public ValueTask<OpenReply> OpenAsync(OpenRequest request)
    {
        // A coordinator asks again and again for a replica that is away: without bothering Orleans, which would log each failed placement at length.
        if (nodes.FindPool(pool) is not { } node) return Away<OpenReply>(NoNode);
        _home = node.Silo;
        return replica.OpenAsync(request);
    }

    public ValueTask<ReplicaOutcome> DiscardAsync(long epoch, Guid incarnation) => replica.DiscardAsync(epoch, incarnation);

    public ValueTask<AppendReply> AppendAsync(AppendRequest request)
    {
        // The call's copier has taken the reference that travels; ours ends here.
        using (request) return Obstacle is { } obstacle ? Away<AppendReply>(obstacle) : CallTraces.IsTracing ? CallTraces.CarryAsync((replica, request), static call => call.replica.AppendAsync(call.request)) : replica.AppendAsync(request);
    }

    public ValueTask<AppendReply> FlushAsync(long epoch, Guid incarnation, long commitSeq, bool flush) => Obstacle is { } obstacle ? Away<AppendReply>(obstacle) : CallTraces.IsTracing
        ? CallTraces.CarryAsync((replica, epoch, incarnation, commitSeq, flush), static call => call.replica.FlushAsync(call.epoch, call.incarnation, call.commitSeq, call.flush))
        : replica.FlushAsync(epoch, incarnation, commitSeq, flush);

    public ValueTask<ReplicaOutcome> ReleaseAsync(long epoch, Guid incarnation, long commitSeq) =>
        Obstacle is { } obstacle ? Away<ReplicaOutcome>(obstacle) : replica.ReleaseAsync(epoch, incarnation, commitSeq);

    public ValueTask<ReadReply> ReadAsync(long epoch, Guid incarnation, long block, int blockCount) => Obstacle is { } obstacle ? Away<ReadReply>(obstacle) : CallTraces.IsTracing
        ? CallTraces.CarryAsync((replica, epoch, incarnation, block, blockCount), static call => call.replica.ReadAsync(call.epoch, call.incarnation, call.block, call.blockCount))
        : replica.ReadAsync(epoch, incarnation, block, blockCount);

    public ValueTask<CheckReply> CheckAsync(long epoch, Guid incarnation, long block, int blockCount) =>
        Obstacle is { } obstacle ? Away<CheckReply>(obstacle) : replica.CheckAsync(epoch, incarnation, block, blockCount);

    public ValueTask<DigestReply> DigestAsync(long epoch, Guid incarnation, long block, int blockCount) =>
        Obstacle is { } obstacle ? Away<DigestReply>(obstacle) : replica.DigestAsync(epoch, incarnation, block, blockCount);

    public ValueTask<BlocksReply> DescribeBlocksAsync(long epoch, Guid incarnation, long block, int blockCount) =>
        Obstacle is { } obstacle ? Away<BlocksReply>(obstacle) : replica.DescribeBlocksAsync(epoch, incarnation, block, blockCount);

    public ValueTask<StoreScrubReply> ScrubStoreAsync(long epoch, Guid incarnation, bool restart) =>
        Obstacle is { } obstacle ? Away<StoreScrubReply>(obstacle) : replica.ScrubStoreAsync(epoch, incarnation, restart);

    public ValueTask<LogReply> ReadLogAsync(long epoch, Guid incarnation, long fromSeq, int maxBytes) => replica.ReadLogAsync(epoch, incarnation, fromSeq, maxBytes);

    public ValueTask<RebuildReply> RebuildAsync(RebuildRequest request) => replica.RebuildAsync(request);

    public ValueTask<RebuildReply> CopyAsync(AppendRequest request, bool repair)
    {
        using (request) return replica.CopyAsync(request, repair);
    }

    public ValueTask<ChangedReply> ListChangedAsync(long epoch, Guid incarnation, long sinceSeq, long fromBlock, int maxRuns) =>
        replica.ListChangedAsync(epoch, incarnation, sinceSeq, fromBlock, maxRuns);

    public ValueTask<AllocatedReply> ListAllocatedAsync(long epoch, Guid incarnation, long fromBlock, long blockCount, int maxRuns) =>
        replica.ListAllocatedAsync(epoch, incarnation, fromBlock, blockCount, maxRuns);

    /// <summary>Orleans would look for a place for 0.4 s before it fails.</summary>
    private static ValueTask<T> Away<T>(string obstacle) => ValueTask.FromException<T>(new SiloUnavailableException(obstacle));
}
