using OpenEbs.Replication.Replicas;

namespace OpenEbs.Replication.Volumes;

/// <summary>What a link sends between two operations: a step of a rebuild, or blocks that are copied.</summary>
/// <param name="afterSeq">The operation that it follows.</param>
/// <param name="send">Sends it.</param>
internal sealed class LinkStep(long afterSeq, Func<ValueTask<RebuildReply>> send)
{
    public long AfterSeq { get; } = afterSeq;

    public Func<ValueTask<RebuildReply>> Send { get; } = send;

    public TaskCompletionSource<RebuildReply> Reply { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
}
