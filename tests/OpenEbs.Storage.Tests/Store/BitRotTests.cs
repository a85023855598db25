using OpenEbs.Storage.Store;
using OpenEbs.Testing.Devices;
using Xunit;
using Xunit.Abstractions;

namespace OpenEbs.Storage.Tests.Store;

/// <summary>For every class of byte positions in the files of a replica: a bit flips, on media under what is cached, or also in the cache, while the store is open or between two openings. What is served is
/// never wrong, a scrub finds what matters, and afterwards all is on media as it must be (or the store says that it cannot be, and is rebuilt from others). Promise P6.</summary>
public sealed class BitRotTests(ITestOutputHelper output)
{
    /// <summary>Below these a flip changes nothing that anybody reads.</summary>
    private static readonly string[] Meaningless = ["map: free page", "segment: behind the log", "segment without a header"];

    private const int MostTries = 20;

    public enum Where
    {
        /// <summary>The store is open, and what it or the host has in memory is good.</summary>
        OnMediaOnly,

        /// <summary>The store is open, and nothing but what it has in memory itself is good.</summary>
        InTheCacheToo,

        /// <summary>The store is closed.</summary>
        BetweenOpenings,
    }

    [Theory]
    [InlineData(Where.OnMediaOnly)]
    [InlineData(Where.InTheCacheToo)]
    [InlineData(Where.BetweenOpenings)]
    public async Task FlippedBit_InEveryClassOfPositions_IsNeverServedAndIsRepaired(Where where)
    {
        var (seed, history) = (0, await PrepareAsync(1));
        var names = PositionClasses.Of(history.Host.Device).Keys.ToList();
        Assert.True(names.Count > 110, $"only {names.Count} classes: {string.Join("; ", names)}");
        foreach (var name in names)
        {
            // What nothing lives in (any more) is harmed in vain; and not every history leaves every structure.
            var outcomes = new List<string>();
            for (var tries = 0; tries < MostTries && (outcomes.Count < 2 || !IsFound(outcomes, name, where)); tries++)
            {
                seed++;
                try
                {
                    if (await FlipAsync(seed, name, where) is { } outcome) outcomes.Add(outcome);
                }
                catch (Exception failure)
                {
                    throw new InvalidOperationException($"FlipAsync({seed}, \"{name}\", {where}): {failure.Message}", failure);
                }
            }

            output.WriteLine($"{name}: {string.Join(" | ", outcomes)}");
            Assert.NotEmpty(outcomes);

            // As long as memory has what the media lost, nothing is lost; and where it matters it is found.
            if (where == Where.OnMediaOnly) Assert.DoesNotContain("to be rebuilt", outcomes);
            Assert.True(IsFound(outcomes, name, where), $"{name}: nothing was found in {outcomes.Count} places");
        }
    }

    private static bool IsFound(List<string> outcomes, string name, Where where) => where != Where.OnMediaOnly || Meaningless.Contains(name) || outcomes.Exists(outcome => outcome.Contains("repaired", StringComparison.Ordinal));

    [Fact]
    public async Task Scrub_OfASoundStore_FindsNothing_HoweverItCameAbout()
    {
        for (var seed = 1; seed <= 40; seed++)
        {
            var (host, run) = await PrepareAsync(seed);
            if (seed % 2 == 0)
            {
                run.Crash(seed % 4 == 0 ? CrashKind.PowerLoss : CrashKind.ProcessKill);
                Assert.True(await run.OpenAsync());
                await StoreHistory.RunAsync(run, 20, crashes: true);
            }

            var (repaired, damage) = await ScrubAsync(run.Store);
            Assert.True(repaired.Count + damage.Count == 0, $"seed {seed}: {string.Join("; ", repaired.Concat(damage))}\n{run.Trace}");
            Assert.False(host.Device.IsDead);
        }
    }

    /// <summary>A store after some history, with all that was written on media.</summary>
    private static async Task<(SimulatedStoreHost Host, StoreRun Run)> PrepareAsync(int seed)
    {
        var host = new SimulatedStoreHost(new SimulatedStorageOptions { Seed = seed }, SimulatedStoreHost.SmallOptions);
        var run = new StoreRun(host, seed);
        Assert.True(await run.OpenAsync());
        await StoreHistory.RunAsync(run, 60, crashes: false);
        while (run.Model.IsRebuilding) Assert.True(await run.RebuildAsync());
        Assert.True(await run.RepairAsync());
        Assert.True(await run.FlushAsync());
        for (var i = 0; i < 20; i++) Assert.True(await run.MaintainAsync());
        Assert.True(await run.AppendAsync(run.NextBatch()));
        Assert.True(await run.FlushAsync());
        return (host, run);
    }

    /// <summary>What became of it; null when this history leaves nothing of that class.</summary>
    private static async Task<string?> FlipAsync(int seed, string name, Where where)
    {
        var (host, run) = await PrepareAsync(seed);
        if (where == Where.BetweenOpenings)
        {
            if (run.Random.Next(2) == 0) await run.Store.CloseAsync();

            // Without a clean close only a later record tells that the one before it was flushed.
            else Assert.True(await run.AppendAsync(new StoreBatch(1000, run.Model.Last.Seq + 1, new[] { TestBlocks.Mark() })));
            host.Crash(CrashKind.ProcessKill);
        }

        if (!PositionClasses.Of(host.Device).TryGetValue(name, out var places)) return null;
        var place = places[run.Random.Next(places.Count)];
        var (offset, bit) = (place.OffsetBytes + run.Random.Next(place.LengthBytes), run.Random.Next(8));
        if (where != Where.OnMediaOnly) host.Device.FlipBit(place.File, offset, bit);
        else Assert.True(host.Device.FlipMediaBit(place.File, offset, bit), "it is not on media yet");
        var outcome = where == Where.BetweenOpenings ? await OpenAsync(host, run) : await HealAsync(run.Store, run);
        if (outcome is "refused" or "to be rebuilt") return outcome;
        if (where == Where.BetweenOpenings) return outcome;

        // What is in memory goes; what is on media must be all that is needed.
        run.Crash(CrashKind.PowerLoss);
        var store = await host.OpenAsync();
        Assert.Equal(run.Model.Last, store.Status.Last);
        Assert.False(store.Status.IsDamaged);
        await TestBlocks.CheckAllAsync(store, run.Model.Stamps);
        var (repaired, damage) = await ScrubAsync(store);
        Assert.True(repaired.Count + damage.Count == 0, $"after {outcome}, a second scrub: {string.Join("; ", repaired.Concat(damage))}");
        return outcome;
    }

    /// <summary>Opens the store and heals it; "refused" when it says that it cannot be opened.</summary>
    private static async Task<string> OpenAsync(SimulatedStoreHost host, StoreRun run)
    {
        IReplicaStore store;
        try
        {
            store = await host.OpenAsync();
        }
        catch (StoreCorruptException failure)
        {
            Assert.Contains("rebuilt from another", failure.Message, StringComparison.Ordinal);
            return "refused";
        }

        Assert.InRange(store.Status.Last.Seq, run.Floor, run.Model.Last.Seq);
        Assert.Equal(run.Model.FenceEpoch, store.Status.FenceEpoch);
        Assert.Equal(store.Status.Last.Seq < run.Model.Last.Seq, store.Status.MayHaveLostTail);
        var last = store.Status.Last.Seq;
        var outcome = await HealAsync(store, run, last);
        if (outcome == "to be rebuilt") return outcome;
        await store.FlushAsync();
        host.Crash(CrashKind.PowerLoss);
        store = await host.OpenAsync();
        Assert.Equal(last, store.Status.Last.Seq);
        await TestBlocks.CheckAllAsync(store, StampsAt(run, last));
        var (repaired, damage) = await ScrubAsync(store);
        Assert.True(repaired.Count + damage.Count == 0, $"after {outcome}, a second scrub: {string.Join("; ", repaired.Concat(damage))}");
        return outcome;
    }

    /// <summary>What a coordinator does: blocks are read from media and bad ones repaired, the store is scrubbed and kept up.</summary>
    private static async Task<string> HealAsync(IReplicaStore store, StoreRun run, long? last = null)
    {
        if (await TestBlocks.CheckAllAsync(store, StampsAt(run, last)) == "refused") return "to be rebuilt";
        var outcome = "whole";
        var data = new byte[TestBlocks.BlockBytes];
        for (var i = 0; i < TestBlocks.Count; i++)
        {
            try
            {
                await store.ReadMediaAsync(TestBlocks.BlockAt(i), 1, data);
                Assert.Equal(StampsAt(run, last)[i], TestBlocks.StampOf(data));
            }
            catch (BadBlockException bad)
            {
                Assert.Equal(TestBlocks.BlockAt(i), bad.Block);
                outcome = "bad block repaired";
                var good = TestBlocks.Write(TestBlocks.BlockAt(i), [StampsAt(run, last)[i]]);
                await store.RepairAsync(good.Block, 1, good.Data, good.Checksums);
            }
        }

        await store.FlushAsync();
        var (repaired, damage) = await ScrubAsync(store);
        if (damage.Count > 0) return "to be rebuilt";
        if (repaired.Count > 0) outcome = $"repaired: {string.Join("; ", repaired)}";
        store.SetCommit(store.Status.Last.Seq);
        for (var i = 0; i < 100 && await store.MaintainAsync(); i++)
        {
        }

        await store.FlushAsync();
        Assert.NotEqual("refused", await TestBlocks.CheckAllAsync(store, StampsAt(run, last)));
        return outcome;
    }

    private static async Task<(List<string> Repaired, List<string> Damage)> ScrubAsync(IReplicaStore store)
    {
        var (repaired, damage) = (new List<string>(), new List<string>());
        for (var (isDone, restart) = (false, true); !isDone; restart = false)
        {
            var step = await store.ScrubAsync(restart);
            isDone = step.IsDone;
            repaired.AddRange(step.Repaired);
            damage.AddRange(step.Damage);
        }

        return (repaired, damage);
    }

    private static long[] StampsAt(StoreRun run, long? last) => last is { } seq && seq < run.Model.Last.Seq ? run.Model.OperationAt(seq).Stamps : run.Model.Stamps;
}
