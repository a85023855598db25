using OpenEbs.Simulation.Histories;
using OpenEbs.Storage;
using OpenEbs.Storage.Store;
using Xunit;

namespace OpenEbs.Simulation.Tests;

/// <summary>The history checker on small histories that can be judged by hand.</summary>
public sealed class CheckerTests
{
    [Fact]
    public void Read_AfterAcknowledgedWrite_MustSeeIt()
    {
        Assert.Null(RegisterHistory.FindContradiction([Write(7, 1, 2), Read(7, 3, 4)]));
        Assert.NotNull(RegisterHistory.FindContradiction([Write(7, 1, 2), Read(0, 3, 4)]));
    }

    [Fact]
    public void Read_DuringWrite_MaySeeEither_ButNeverGoesBack()
    {
        Assert.Null(RegisterHistory.FindContradiction([Write(7, 1, 10), Read(0, 2, 3), Read(7, 4, 5)]));
        Assert.NotNull(RegisterHistory.FindContradiction([Write(7, 1, 10), Read(7, 2, 3), Read(0, 4, 5)]));
    }

    [Fact]
    public void UnknownWrite_MayHappenLateOrNever_ButOnlyOnce()
    {
        Assert.Null(RegisterHistory.FindContradiction([Unknown(7, 1), Write(8, 2, 3), Read(8, 4, 5), Read(7, 6, 7)]));
        Assert.Null(RegisterHistory.FindContradiction([Unknown(7, 1), Write(8, 2, 3), Read(8, 4, 5)]));
        Assert.NotNull(RegisterHistory.FindContradiction([Unknown(7, 1), Read(7, 2, 3), Write(8, 4, 5), Read(8, 6, 7), Read(7, 8, 9)]));
    }

    [Fact]
    public void CompareAndWrite_SucceedsOnlyOnWhatItExpected()
    {
        Assert.Null(RegisterHistory.FindContradiction([Write(7, 1, 2), Swap(7, 8, 3, 4), Read(8, 5, 6)]));
        Assert.NotNull(RegisterHistory.FindContradiction([Write(7, 1, 2), Swap(0, 8, 3, 4)]));
        Assert.NotNull(RegisterHistory.FindContradiction([Write(7, 1, 2), Swap(7, 8, 3, 6), Swap(7, 9, 4, 5)]));
        Assert.NotNull(RegisterHistory.FindContradiction([Write(7, 1, 2), new(RegisterAction.Differ, 7, 7, 3, 4, false, 0)]));
    }

    [Fact]
    public void RandomHistories_AreJudgedAsByTryingEveryOrder()
    {
        var random = new Random(5);
        var counts = new int[2];
        for (var round = 0; round < 20_000; round++)
        {
            var operations = RandomHistory(random);
            var linearizable = SomeOrderExplains(operations, new bool[operations.Length], 0);
            Assert.True(linearizable == RegisterHistory.FindContradiction(operations) is null, $"round {round}: {string.Join("; ", operations)}");
            counts[linearizable ? 1 : 0]++;
        }

        Assert.All(counts, count => Assert.True(count > 2000));
    }

    private static RegisterOperation[] RandomHistory(Random random)
    {
        var moments = Enumerable.Range(1, 14).Select(moment => (long)moment).ToArray();
        random.Shuffle(moments);
        return [.. Enumerable.Range(0, 3 + random.Next(5)).Select(i =>
        {
            var (start, end) = (Math.Min(moments[2 * i], moments[(2 * i) + 1]), Math.Max(moments[2 * i], moments[(2 * i) + 1]));
            var action = random.Next(8) switch { < 4 => RegisterAction.Write, < 6 => RegisterAction.Read, 6 => RegisterAction.Swap, _ => RegisterAction.Differ };
            var optional = action is RegisterAction.Write or RegisterAction.Swap && random.Next(3) == 0;
            return new RegisterOperation(action, random.Next(4), random.Next(4), start, optional ? long.MaxValue : end, optional, i);
        })];
    }

    /// <summary>By definition: some order, of all that must have happened and any of the rest, in which nothing comes after what began only when it had ended.</summary>
    private static bool SomeOrderExplains(RegisterOperation[] operations, bool[] happened, long value)
    {
        if (Enumerable.Range(0, operations.Length).All(i => happened[i] || operations[i].Optional)) return true;
        var firstEnd = Enumerable.Range(0, operations.Length).Where(i => !happened[i]).Min(i => operations[i].End);
        for (var i = 0; i < operations.Length; i++)
        {
            var operation = operations[i];
            if (happened[i] || operation.Start > firstEnd) continue;
            if (operation.Action == RegisterAction.Differ ? value == operation.Expected : operation.Action != RegisterAction.Write && value != (operation.Action == RegisterAction.Read ? operation.Value : operation.Expected)) continue;
            happened[i] = true;
            if (SomeOrderExplains(operations, happened, operation.Action is RegisterAction.Write or RegisterAction.Swap ? operation.Value : value)) return true;
            happened[i] = false;
        }

        return false;
    }

    [Fact]
    public void Stamp_OfAnotherSector_OrDamaged_IsCorrupt()
    {
        var data = new byte[2 * SectorStamp.SectorBytes];
        SectorStamp.Fill(data, 10, 5);
        Assert.Equal([5L, 5L], SectorStamp.DecodeAll(data, 10));
        Assert.Equal(SectorStamp.Corrupt, SectorStamp.Decode(data, 11));
        data[200] ^= 1;
        Assert.Equal([SectorStamp.Corrupt, 5L], SectorStamp.DecodeAll(data, 10));
        Assert.Equal(SectorStamp.Zero, SectorStamp.Decode(new byte[SectorStamp.SectorBytes], 3));
    }

    [Fact]
    public void Order_SameSeqWithOtherContents_OrOtherPredecessor_IsRefused()
    {
        var order = new VolumeOrder(64);
        order.Observe("a", LogPosition.Zero, Batch(1, 1, 5), _ => null);
        order.Observe("b", LogPosition.Zero, Batch(1, 1, 5), _ => null);
        Assert.Equal(Promise.LogsMatch, Assert.Throws<PromiseBrokenException>(() => order.Observe("c", LogPosition.Zero, Batch(1, 1, 6), _ => null)).Promise);
        order.Observe("a", new LogPosition(1, 1), Batch(2, 2, 7), _ => null);
        Assert.Throws<PromiseBrokenException>(() => order.Observe("b", new LogPosition(1, 2), Batch(2, 2, 7), _ => null));
        Assert.True(order.Contains(new LogPosition(2, 2), new LogPosition(1, 1)));
        Assert.False(order.Contains(new LogPosition(2, 2), new LogPosition(1, 2)));
        Assert.Equal(7, order.Replay(new LogPosition(2, 2))[0]);
    }

    [Fact]
    public void Atomicity_HalfOfAWrite_IsNoticed()
    {
        var older = Command(1, 5);
        var newer = Command(2, 6);
        var order = new VolumeOrder(64);
        order.Observe("a", LogPosition.Zero, Batch(1, 1, 5), _ => null);
        order.Observe("a", new LogPosition(1, 1), Batch(1, 2, 6), _ => null);
        var check = new AtomicityCheck([older, newer], order);
        check.Check("a read", 0, [6, 6, 6, 6, 6, 6, 6, 6]);
        Assert.Equal(Promise.WritesAreAtomic, Assert.Throws<PromiseBrokenException>(() => check.Check("a read", 0, [6, 6, 6, 6, 5, 5, 5, 5])).Promise);
    }

    private static VolumeCommand Command(int id, long writeId) => new()
    {
        Id = id,
        Kind = CommandKind.Write,
        FirstSector = 0,
        SectorCount = 8,
        ForceUnitAccess = false,
        WriteId = writeId,
    };

    private static StoreBatch Batch(long epoch, long seq, long writeId)
    {
        var data = new byte[4096];
        SectorStamp.Fill(data, 0, writeId);
        return new StoreBatch(epoch, seq, new[] { new StoreOperation(OperationKind.Write, 0, 1, data, new[] { Crc32C.Compute(data) }) });
    }

    private static RegisterOperation Write(long value, long start, long end) => new(RegisterAction.Write, value, 0, start, end, false, 0);

    private static RegisterOperation Unknown(long value, long start) => new(RegisterAction.Write, value, 0, start, long.MaxValue, true, 0);

    private static RegisterOperation Read(long value, long start, long end) => new(RegisterAction.Read, value, 0, start, end, false, 0);

    private static RegisterOperation Swap(long expected, long value, long start, long end) => new(RegisterAction.Swap, value, expected, start, end, false, 0);
}
