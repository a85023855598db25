using OpenEbs.Storage.Store;
using Xunit;

namespace OpenEbs.Storage.Tests.Store;

/// <summary>Compares a store with what it must be.</summary>
internal static class StoreChecks
{
    /// <summary>Finds which of the possible outcomes a crash left, down to every block; fails when it is none of them.</summary>
    public static async Task AdoptOutcomeAsync(StoreRun run, List<(StoreModel Model, long Floor)> outcomes)
    {
        var status = run.Store.Status;
        var reasons = new List<string>();
        foreach (var (model, floor) in outcomes)
        {
            if (await FindMismatchAsync(run, model, floor, status, outcomes) is { } reason)
            {
                reasons.Add(reason);
                continue;
            }

            run.Adopt(model.Clone(), floor, status);
            CheckStatus(run);
            return;
        }

        run.Fail($"What the crash left is none of the possible outcomes: {string.Join("; ", reasons)}.");
    }

    private static async Task<string?> FindMismatchAsync(StoreRun run, StoreModel model, long floor, StoreStatus status, List<(StoreModel Model, long Floor)> outcomes)
    {
        var lowestFence = outcomes.Min(outcome => outcome.Model.FenceEpoch);
        var highestFence = outcomes.Max(outcome => outcome.Model.FenceEpoch);
        if (status.FenceEpoch < Math.Min(lowestFence, run.Model.FenceEpoch) || status.FenceEpoch > highestFence) return $"fence {status.FenceEpoch} instead of {lowestFence}..{highestFence}";
        var consistency = model.IsRebuilding ? ReplicaConsistency.Rebuilding : ReplicaConsistency.Prefix;
        if (status.Consistency != consistency) return $"{status.Consistency} instead of {consistency}";
        var seq = status.Last.Seq;
        if (seq < floor || seq > model.Last.Seq) return $"last {status.Last}, must lie in {floor}..{model.Last.Seq} (P4)";
        if (model.PositionAt(seq) != status.Last) return $"last {status.Last} instead of {model.PositionAt(seq)}";
        if (!model.EndsBatch(seq)) return $"the log ends at {seq}, inside of a batch (P5)";
        if (status.CommitSeq > model.CommitSeq) return $"commit {status.CommitSeq} is above {model.CommitSeq}";
        if (model.IsRebuilding) return status.RebuildBaseSeq == model.RebuildBaseSeq ? null : $"rebuild base {status.RebuildBaseSeq} instead of {model.RebuildBaseSeq}";
        var expected = seq == model.Base.Seq ? model.Clone() : null;
        expected?.TruncateTo(seq);
        var stamps = expected?.Stamps ?? model.OperationAt(seq).Stamps;
        var actual = await TestBlocks.ReadAllAsync(run.Store);
        return Difference(stamps, actual) is { } difference ? $"at {status.Last} {difference}" : null;
    }

    /// <summary>Everything that a status says, against the model.</summary>
    public static void CheckStatus(StoreRun run)
    {
        var (status, model) = (run.Store.Status, run.Model);
        if (status.Last != model.Last) run.Fail($"Last is {status.Last} instead of {model.Last}.");
        if (status.FenceEpoch != model.FenceEpoch) run.Fail($"FenceEpoch is {status.FenceEpoch} instead of {model.FenceEpoch}.");
        if (status.CommitSeq != model.CommitSeq) run.Fail($"CommitSeq is {status.CommitSeq} instead of {model.CommitSeq}.");
        if (status.DurableSeq > status.Last.Seq) run.Fail($"DurableSeq is {status.DurableSeq}, above {status.Last}.");
        if ((status.Consistency == ReplicaConsistency.Rebuilding) != model.IsRebuilding) run.Fail($"Consistency is {status.Consistency}.");
        if (status.RebuildBaseSeq != model.RebuildBaseSeq) run.Fail($"RebuildBaseSeq is {status.RebuildBaseSeq} instead of {model.RebuildBaseSeq}.");
        if (run.ExpectedLostTail is { } expected && status.MayHaveLostTail != expected) run.Fail($"MayHaveLostTail is {status.MayHaveLostTail}.");
        if (status.LogStart.Seq < model.Base.Seq || status.LogStart.Seq > status.Last.Seq) run.Fail($"LogStart is {status.LogStart}, must lie in {model.Base}..{status.Last}.");
        if (!model.IsRebuilding && status.LogStart.Seq > model.Base.Seq && status.LogStart.Seq > status.CommitSeq) run.Fail($"LogStart {status.LogStart} is above CommitSeq {status.CommitSeq}.");
        if (status.LogStart != model.PositionAt(status.LogStart.Seq)) run.Fail($"LogStart is {status.LogStart} instead of {model.PositionAt(status.LogStart.Seq)}.");
        if (!status.Runs.SequenceEqual(model.RunsAfter(status.LogStart.Seq)))
        {
            run.Fail($"Runs are {string.Join(" ", status.Runs)} instead of {string.Join(" ", model.RunsAfter(status.LogStart.Seq))}.");
        }

        if (run.Store.Last != status.Last || run.Store.FenceEpoch != status.FenceEpoch || run.Store.DurableSeq != status.DurableSeq
            || run.Store.WritableBytes != status.WritableBytes || run.Store.Consistency != status.Consistency) run.Fail("A property differs from its place in Status.");
    }

    /// <summary>All blocks, the whole log that can be read, the changed blocks since some seq, the allocated blocks.</summary>
    public static async Task CheckAllAsync(StoreRun run)
    {
        CheckStatus(run);
        if (run.Model.IsRebuilding) return;
        if (Difference(run.Model.Stamps, await TestBlocks.ReadAllAsync(run.Store)) is { } difference) run.Fail($"At {run.Model.Last} {difference}.");
        await CheckLogAsync(run);
        await CheckChangedAsync(run);
        await CheckAllocatedAsync(run);
    }

    /// <summary>A part of what can be read, by chance.</summary>
    public static async Task CheckSomeAsync(StoreRun run)
    {
        CheckStatus(run);
        if (run.Model.IsRebuilding) return;
        var index = run.Random.Next(TestBlocks.Count);
        var count = run.RunLength(index, 40);
        var data = new byte[count * TestBlocks.BlockBytes];
        await run.Store.ReadAsync(TestBlocks.BlockAt(index), count, data);
        for (var i = 0; i < count; i++)
        {
            var stamp = TestBlocks.StampOf(data.AsSpan(i * TestBlocks.BlockBytes, TestBlocks.BlockBytes));
            if (stamp != run.Model.Stamps[index + i]) run.Fail($"Block {TestBlocks.BlockAt(index + i)} holds {stamp} instead of {run.Model.Stamps[index + i]}.");
        }

        switch (run.Random.Next(3))
        {
            case 0: await CheckLogAsync(run); break;
            case 1: await CheckChangedAsync(run); break;
            default: await CheckAllocatedAsync(run); break;
        }
    }

    private static async Task CheckLogAsync(StoreRun run)
    {
        var status = run.Store.Status;
        if (status.LogStart.Seq < status.Last.Seq || run.Random.Next(2) == 0)
        {
            await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await run.Store.ReadLogAsync(status.LogStart.Seq, 1));
        }

        var next = run.Random.NextInt64(status.LogStart.Seq + 1, status.Last.Seq + 2);

        // Its own dice: how many operations the store gives at once must not change the history.
        var sizes = new Random((int)next);
        while (await run.Store.ReadLogAsync(next, sizes.Next(1, 100_000)) is { } batch)
        {
            if (batch.FirstSeq != next || batch.Operations.IsEmpty) run.Fail($"ReadLog({next}) begins at {batch.FirstSeq} with {batch.Operations.Length} operations.");
            foreach (var operation in batch.Operations.ToArray())
            {
                var expected = run.Model.OperationAt(next);
                if (expected.Position != new LogPosition(batch.Epoch, next)) run.Fail($"ReadLog says {batch.Epoch}/{next} instead of {expected.Position}.");
                var same = expected.Operation.Kind == operation.Kind && expected.Operation.Block == operation.Block && expected.Operation.BlockCount == operation.BlockCount
                    && expected.Operation.Data.Span.SequenceEqual(operation.Data.Span) && expected.Operation.Checksums.Span.SequenceEqual(operation.Checksums.Span);
                if (!same) run.Fail($"ReadLog gives {operation.Kind}({operation.Block}+{operation.BlockCount}) as {next} instead of {expected.Operation.Kind}({expected.Operation.Block}+{expected.Operation.BlockCount}).");
                next++;
            }
        }

        if (next != status.Last.Seq + 1) run.Fail($"The log ends before {next} instead of after {status.Last.Seq}.");
    }

    private static async Task CheckChangedAsync(StoreRun run)
    {
        var since = run.Random.Next(4) == 0 ? 0 : run.Random.NextInt64(0, run.Model.Last.Seq + 1);
        var reported = new HashSet<long>();
        var (from, previous) = (0L, -1L);
        while (from >= 0)
        {
            var answer = await run.Store.ListChangedAsync(since, from, run.Random.Next(1, 6));
            foreach (var block in answer.Runs)
            {
                if (block.Block <= previous || block.BlockCount <= 0 || block.Block < from) run.Fail($"Changed runs do not ascend: {block.Block} after {previous}.");
                previous = block.Block + block.BlockCount - 1;
                for (var i = 0L; i < Math.Min(block.BlockCount, 10_000); i++) reported.Add(block.Block + i);
            }

            if (answer.NextBlock >= 0 && answer.NextBlock <= previous) run.Fail($"Changed runs go on at {answer.NextBlock}, behind {previous}.");
            from = answer.NextBlock;
        }

        for (var i = 0; i < TestBlocks.Count; i++)
        {
            var changed = since == 0 ? run.Model.Stamps[i] != 0 : run.Model.ChangedAt[i] > since;
            if (changed && !reported.Contains(TestBlocks.BlockAt(i))) run.Fail($"Block {TestBlocks.BlockAt(i)} changed at {run.Model.ChangedAt[i]} and is not reported as changed since {since}.");
        }
    }

    private static async Task CheckAllocatedAsync(StoreRun run)
    {
        foreach (var (first, count) in TestBlocks.Clusters)
        {
            var skip = run.Random.Next(count);
            var (from, left) = (first + skip, (long)count - skip);
            var mapped = new bool[count];
            var at = from;
            while (at < first + count)
            {
                var runs = await run.Store.ListAllocatedAsync(at, first + count - at, run.Random.Next(1, 5));
                if (runs.Count == 0) run.Fail($"ListAllocated says nothing from {at} on.");
                bool? before = null;
                foreach (var one in runs)
                {
                    if (one.Block != at || one.BlockCount <= 0 || one.Mapped == before) run.Fail($"ListAllocated: {one} after block {at}.");
                    for (var i = 0; i < one.BlockCount; i++) mapped[at - first + i] = one.Mapped;
                    (at, before) = (at + one.BlockCount, one.Mapped);
                }
            }

            for (var i = skip; i < count; i++)
            {
                var stamp = run.Model.Stamps[TestBlocks.IndexOf(first + i)];
                if (mapped[i] != (stamp != 0)) run.Fail($"ListAllocated says that block {first + i} is {(mapped[i] ? "mapped" : "unmapped")}; it holds {stamp}.");
            }
        }
    }

    private static string? Difference(long[] expected, long[] actual)
    {
        for (var i = 0; i < expected.Length; i++)
        {
            if (expected[i] != actual[i]) return $"block {TestBlocks.BlockAt(i)} holds {(actual[i] < 0 ? "no stamp" : actual[i])} instead of {expected[i]}";
        }

        return null;
    }
}
