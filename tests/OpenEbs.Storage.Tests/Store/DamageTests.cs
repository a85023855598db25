using OpenEbs.Storage.Formats;
using OpenEbs.Storage.Store;
using OpenEbs.Testing.Devices;
using Xunit;
using Xunit.Abstractions;

namespace OpenEbs.Storage.Tests.Store;

/// <summary>Flips single bits on media, in every kind of place. Whatever the store then does, it never gives wrong data and never loses flushed operations in silence (promise P6).</summary>
public sealed class DamageTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData(1, true)]
    [InlineData(2, true)]
    [InlineData(3, false)]
    [InlineData(4, false)]
    public async Task FlippedBit_IsAnsweredFromRedundancy_OrRefused(int seed, bool closeFirst)
    {
        var seen = new SortedDictionary<string, int>();
        for (var i = 0; i < 60; i++)
        {
            var outcome = await FlipAsync((seed * 1000) + i, closeFirst);
            seen[outcome] = seen.GetValueOrDefault(outcome) + 1;
        }

        output.WriteLine(string.Join("\n", seen.Select(pair => $"{pair.Key}: {pair.Value}")));
        foreach (var place in new[] { "superblock", "segment header", "record header", "data", "map" }) Assert.Contains(seen.Keys, key => key.StartsWith(place, StringComparison.Ordinal));
    }

    private static async Task<string> FlipAsync(int seed, bool closeFirst)
    {
        var host = new SimulatedStoreHost(new SimulatedStorageOptions { Seed = seed }, SimulatedStoreHost.SmallOptions);
        var run = new StoreRun(host, seed);
        Assert.True(await run.OpenAsync());
        await StoreHistory.RunAsync(run, 60, crashes: false);
        while (run.Model.IsRebuilding) Assert.True(await run.RebuildAsync());
        Assert.True(await run.FlushAsync());
        if (closeFirst) await run.Store.CloseAsync();

        // Without a clean close only a later record tells that the one before it was flushed.
        else Assert.True(await run.AppendAsync(new StoreBatch(1000, run.Model.Last.Seq + 1, new[] { TestBlocks.Mark() })));
        host.Crash(CrashKind.ProcessKill);
        var place = Flip(host.Device, run.Random);
        try
        {
            return $"{place}: {await CheckAsync(host, run)}";
        }
        catch (Exception failure)
        {
            throw new InvalidOperationException($"FlipAsync({seed}, {closeFirst}), in {place}: {failure.Message}\n{run.Trace}", failure);
        }
    }

    private static async Task<string> CheckAsync(SimulatedStoreHost host, StoreRun run)
    {
        IReplicaStore store;
        try
        {
            store = await host.OpenAsync();
        }
        catch (StoreCorruptException failure)
        {
            Assert.Contains("rebuilt from another", failure.Message, StringComparison.Ordinal);
            return "refused at opening";
        }

        var flushed = run.Floor;
        var status = store.Status;
        Assert.InRange(status.Last.Seq, flushed, run.Model.Last.Seq);
        Assert.Equal(run.Model.FenceEpoch, status.FenceEpoch);

        // What was behind the flushed ones may be lost, but not in silence.
        Assert.Equal(status.Last.Seq < run.Model.Last.Seq, status.MayHaveLostTail);
        var outcome = await TestBlocks.CheckAllAsync(store, run.Model.Stamps);
        await CheckLogAsync(store, run);

        // Nothing that goes on makes bad data look good.
        for (var i = 0; i < 30; i++)
        {
            try
            {
                store.SetCommit(status.Last.Seq);
                await store.MaintainAsync();
            }
            catch (StoreCorruptException)
            {
                return outcome + ", refused later";
            }
        }

        var later = await TestBlocks.CheckAllAsync(store, run.Model.Stamps);
        if (later == "refused") return outcome + ", refused later";
        Assert.Equal(outcome, later);
        if (outcome == "bad block") await RepairAsync(store, run);
        return outcome;
    }

    private static async Task CheckLogAsync(IReplicaStore store, StoreRun run)
    {
        var next = store.Status.LogStart.Seq + 1;
        try
        {
            while (await store.ReadLogAsync(next, 1) is { } batch)
            {
                foreach (var operation in batch.Operations.ToArray())
                {
                    var expected = run.Model.OperationAt(next++).Operation;
                    Assert.True(expected.Kind == operation.Kind && expected.Block == operation.Block && expected.Data.Span.SequenceEqual(operation.Data.Span));
                }
            }

            Assert.Equal(store.Status.Last.Seq + 1, next);
        }
        catch (Exception failure) when (failure is BadBlockException or StoreCorruptException)
        {
            // A damaged log is refused; the blocks are copied then.
        }
    }

    private static async Task RepairAsync(IReplicaStore store, StoreRun run)
    {
        var data = new byte[TestBlocks.BlockBytes];
        for (var i = 0; i < TestBlocks.Count; i++)
        {
            try
            {
                await store.ReadAsync(TestBlocks.BlockAt(i), 1, data);
            }
            catch (BadBlockException)
            {
                var good = TestBlocks.Write(TestBlocks.BlockAt(i), [run.Model.Stamps[i]]);
                await store.RepairAsync(good.Block, 1, good.Data, good.Checksums);
            }
        }

        Assert.Equal("whole", await TestBlocks.CheckAllAsync(store, run.Model.Stamps));
    }

    /// <summary>Flips a bit somewhere; every kind of place as often as the others.</summary>
    private static string Flip(SimulatedStorageDevice device, Random random)
    {
        var wanted = random.Next(5) switch { 0 => "superblock", 1 => "segment header", 2 => "record header", 3 => "map", _ => "data" };
        var pages = new List<(string Name, int Page)>();
        foreach (var name in device.List())
        {
            var bytes = device.ReadAllBytes(name);
            for (var page = 0; page < bytes.Length / FormatTags.PageBytes; page++)
            {
                var content = bytes.AsSpan(page * FormatTags.PageBytes, FormatTags.PageBytes);
                if (content.IndexOfAnyExcept((byte)0) >= 0 && KindOf(name, content) == wanted) pages.Add((name, page));
            }
        }

        if (pages.Count == 0) return "nothing";
        var (file, number) = pages[random.Next(pages.Count)];

        // Headers are mostly padding: hit the part that means something as often.
        var within = random.Next(2) == 0 ? random.Next(FormatTags.PageBytes) : random.Next(128);
        device.FlipBit(file, ((long)number * FormatTags.PageBytes) + within, random.Next(8));
        return wanted;
    }

    private static string KindOf(string name, ReadOnlySpan<byte> page) => name switch
    {
        Superblock.FileName => "superblock",
        _ when name.StartsWith("map-", StringComparison.Ordinal) => "map",
        _ when BitConverter.ToUInt32(page) == FormatTags.Segment => "segment header",
        _ when BitConverter.ToUInt32(page) == FormatTags.Record => "record header",
        _ => "data",
    };
}
