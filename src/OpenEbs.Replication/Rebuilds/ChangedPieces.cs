using OpenEbs.Replication.Replicas;
using OpenEbs.Replication.Volumes;
using OpenEbs.Storage.Store;

namespace OpenEbs.Replication.Rebuilds;

/// <summary>Blocks that are copied at once.</summary>
/// <param name="Block">The first.</param>
/// <param name="BlockCount">How many.</param>
/// <param name="MayHold">The replica has changed some of them itself since the base, in an earlier rebuild perhaps: it may hold already what the source holds.</param>
internal readonly record struct CopyPiece(long Block, int BlockCount, bool MayHold);

/// <summary>What differs between a source and a replica at most: what changed since the base on the one or the other.</summary>
internal static class ChangedPieces
{
    private const int RunsPerPage = 1024;
    private const int MaxCountedPages = 32;

    /// <summary>How many bytes changed on a source, for people: counted as far as that is quick, and estimated from that where the volume goes on.</summary>
    /// <exception cref="IOException">It could not say.</exception>
    public static async Task<long> CountAsync(VolumeContext context, ReplicaLink source, long baseSeq)
    {
        var (blocks, next) = (0L, 0L);
        for (var page = 0; page < MaxCountedPages && next >= 0; page++)
        {
            var reply = await source.Channel.ListChangedAsync(context.Epoch, source.Incarnation, baseSeq, next, RunsPerPage);
            source.Learn(reply.Outcome);
            if (reply.Outcome != ReplicaOutcome.Ok) throw new IOException($"replica {source.Entry.Id} could not list what changed: {reply.Outcome} {reply.Reason}");
            blocks += reply.Runs.Sum(run => run.BlockCount);
            next = reply.NextBlock;
        }

        var scale = next > 0 ? Math.Max(1, context.Keeper.Record!.SizeBytes / (double)VolumeBlocks.BlockBytes / next) : 1;
        return (long)(blocks * scale) * VolumeBlocks.BlockBytes;
    }

    /// <summary>The changed blocks of a part of the volume, and where the next part begins; -1 at the end.</summary>
    /// <exception cref="IOException">One of them could not say.</exception>
    public static async Task<(List<CopyPiece> Pieces, long NextBlock)> ListAsync(VolumeContext context, ReplicaLink source, ReplicaLink target, long baseSeq, long fromBlock)
    {
        var theirs = await source.Channel.ListChangedAsync(context.Epoch, source.Incarnation, baseSeq, fromBlock, RunsPerPage);
        source.Learn(theirs.Outcome);
        if (theirs.Outcome != ReplicaOutcome.Ok) throw new IOException($"replica {source.Entry.Id} could not list what changed: {theirs.Outcome} {theirs.Reason}");
        var own = await target.Channel.ListChangedAsync(context.Epoch, target.Incarnation, baseSeq, fromBlock, RunsPerPage);
        if (own.Outcome != ReplicaOutcome.Ok) throw new IOException($"it could not list what changed: {own.Outcome} {own.Reason}");
        var end = Math.Min(End(theirs), End(own));
        return (Cut(Merge(theirs.Runs.Concat(own.Runs), end), own.Runs, context.Options.CopyBytes / VolumeBlocks.BlockBytes), end == long.MaxValue ? -1 : end);

        static long End(ChangedReply reply) => reply.NextBlock < 0 ? long.MaxValue : reply.NextBlock;
    }

    /// <summary>Runs in ascending order that neither overlap nor touch, up to <paramref name="end"/>.</summary>
    internal static List<BlockRun> Merge(IEnumerable<BlockRun> all, long end)
    {
        var runs = new List<BlockRun>();
        foreach (var run in all.Where(r => r.Block < end).OrderBy(r => r.Block))
        {
            var (block, stop) = (run.Block, Math.Min(run.Block + run.BlockCount, end));
            if (runs.Count > 0 && block <= runs[^1].Block + runs[^1].BlockCount)
            {
                var previous = runs[^1];
                runs[^1] = previous with { BlockCount = Math.Max(previous.BlockCount, stop - previous.Block) };
            }
            else
            {
                runs.Add(new BlockRun(block, stop - block));
            }
        }

        return runs;
    }

    /// <summary>Pieces of at most so many blocks, and which of them overlap what the replica itself changed; both lists ascend.</summary>
    internal static List<CopyPiece> Cut(List<BlockRun> runs, IReadOnlyList<BlockRun> own, int maxBlocks)
    {
        var pieces = new List<CopyPiece>();
        var at = 0;
        foreach (var run in runs)
        {
            var end = run.Block + run.BlockCount;
            for (var block = run.Block; block < end; block += maxBlocks)
            {
                var count = (int)Math.Min(maxBlocks, end - block);
                while (at < own.Count && own[at].Block + own[at].BlockCount <= block) at++;
                pieces.Add(new CopyPiece(block, count, at < own.Count && own[at].Block < block + count));
            }
        }

        return pieces;
    }
}
