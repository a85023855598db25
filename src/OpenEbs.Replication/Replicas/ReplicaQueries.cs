using Microsoft.Extensions.Logging;
using OpenEbs.Storage;
using OpenEbs.Storage.Store;

namespace OpenEbs.Replication.Replicas;

/// <summary>What a replica is asked about its store that changes no block: what it lists, digests, and finds damaged.</summary>
internal sealed class ReplicaQueries(ReplicaSession session, ILogger logger)
{
    private readonly List<string> _repaired = [];

    public async ValueTask<CheckReply> CheckAsync(long epoch, Guid incarnation, long block, int blockCount)
    {
        var read = await session.ReadAsync(epoch, incarnation, block, blockCount, fromMedia: true);
        using var data = read.Data;
        return new CheckReply(read.Outcome, data is null ? 0 : Crc32C.Compute(data.Memory.Span[..(blockCount * VolumeBlocks.BlockBytes)]), read.BadBlock, read.Reason);
    }

    public ValueTask<BlocksReply> DescribeBlocksAsync(long epoch, Guid incarnation, long block, int blockCount) => AskAsync(
        epoch, incarnation, "read", async () => (Digests: await BlockDigests.OfMediaAsync(session.Store, block, blockCount, session.Pool), Seqs: await session.Store.ListSeqsAsync(block, blockCount)),
        (outcome, found, reason) => outcome is ReplicaOutcome.Ok ? new BlocksReply(outcome, found.Digests, found.Seqs) : new BlocksReply(outcome, [], [], reason));

    public ValueTask<DigestReply> DigestAsync(long epoch, Guid incarnation, long block, int blockCount) => AskAsync(
        epoch, incarnation, "read", () => BlockDigests.OfAsync(session.Store, block, blockCount, session.Pool), (outcome, digests, reason) => new DigestReply(outcome, outcome is ReplicaOutcome.Ok ? digests! : [], reason));

    public ValueTask<ChangedReply> ListChangedAsync(long epoch, Guid incarnation, long sinceSeq, long fromBlock, int maxRuns) => AskAsync(
        epoch, incarnation, "list changed blocks", () => session.Store.ListChangedAsync(sinceSeq, fromBlock, maxRuns),
        (outcome, changed, reason) => outcome is ReplicaOutcome.Ok ? new ChangedReply(outcome, changed.Runs, changed.NextBlock) : new ChangedReply(outcome, [], -1, reason));

    public ValueTask<AllocatedReply> ListAllocatedAsync(long epoch, Guid incarnation, long fromBlock, long blockCount, int maxRuns) => AskAsync(
        epoch, incarnation, "list allocated blocks", () => session.Store.ListAllocatedAsync(fromBlock, blockCount, maxRuns),
        (outcome, runs, reason) => outcome is ReplicaOutcome.Ok ? new AllocatedReply(outcome, runs!) : new AllocatedReply(outcome, [], reason));

    /// <remarks>Answers may be lost on their way: each says all that was put right since the scrub began. What cannot be put right does not end this life of the replica, which may be needed still: its store
    /// remembers it, and who may do without the replica has it rebuilt.</remarks>
    public ValueTask<StoreScrubReply> ScrubStoreAsync(long epoch, Guid incarnation, bool restart) => AskAsync(
        epoch, incarnation, "scrub", () => ScrubAsync(restart),
        (outcome, step, reason) => outcome is ReplicaOutcome.Ok ? new StoreScrubReply(outcome, step!.IsDone, step.CheckedBytes, [.. _repaired], step.Damage) : new StoreScrubReply(outcome, false, 0, [], [], reason));

    private async ValueTask<StoreScrubStep> ScrubAsync(bool restart)
    {
        var store = session.Store;
        if (restart) _repaired.Clear();
        var step = await store.ScrubAsync(restart);
        _repaired.AddRange(step.Repaired);
        foreach (var found in step.Repaired.Concat(step.Damage)) session.NoteFault(found);
        if (step.Damage.Count > 0) await DamagedStore.MarkAsync(store, logger);
        return step;
    }

    private async ValueTask<TReply> AskAsync<TResult, TReply>(long epoch, Guid incarnation, string what, Func<ValueTask<TResult>> ask, Func<ReplicaOutcome, TResult?, string, TReply> reply)
    {
        var refusal = session.Check(epoch, incarnation);
        if (refusal is not ReplicaOutcome.Ok) return reply(refusal, default, session.Obstacle);
        try
        {
            var result = await ask();
            return reply(session.Check(epoch, incarnation), result, session.Obstacle);
        }
        catch (IOException e)
        {
            return reply(e is BadBlockException ? ReplicaOutcome.BadBlock : session.Fail(what, e).Outcome, default, e.Message);
        }
    }
}
