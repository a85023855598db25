using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using OpenEbs.Storage.Store;
using OpenEbs.Testing.Devices;
using Xunit;

namespace OpenEbs.Storage.Tests.Store;

/// <summary>Flushes, maintenance and reads that take time, beside appends: in one scheduling context, as a grain's calls are.</summary>
public sealed class OverlapTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Calls_ThatOverlap_KeepTheModel_AcrossCrashes(int seed)
    {
        for (var i = 0; i < 6; i++)
        {
            var time = new FakeTimeProvider();
            new TurnContext(time).Run(() => RunAsync((seed * 1000) + i, time));
        }
    }

    [Fact]
    public void Flush_DuringAnAppendThatWaitsForTheMap_LeavesNothingUncounted()
    {
        var time = new FakeTimeProvider();
        new TurnContext(time).Run(async () =>
        {
            const int leafBlocks = 256;
            var options = new SimulatedStorageOptions { Seed = 1, Time = time, MaxReadLatency = TimeSpan.FromMilliseconds(5), MaxFlushLatency = TimeSpan.FromMilliseconds(1) };
            var host = new SimulatedStoreHost(options, SimulatedStoreHost.SmallOptions);
            var store = await host.OpenAsync();
            for (var seq = 1; seq <= 64; seq++) await store.AppendAsync(new StoreBatch(1, seq, new[] { TestBlocks.Write(seq * leafBlocks, [seq]) }));
            store.SetCommit(await store.FlushAsync());
            await store.CloseAsync();
            host.Crash(CrashKind.ProcessKill);
            store = await host.OpenAsync();

            var append = store.AppendAsync(new StoreBatch(1, 65, new[] { TestBlocks.Write(leafBlocks, [65]) }));
            Assert.False(append.IsCompleted);
            await store.FlushAsync();
            await append;

            Assert.Equal(65, await store.FlushAsync());
        });
    }

    [Fact]
    public void Read_OvertakenByAWrite_FindsNoBadBlock()
    {
        var time = new FakeTimeProvider();
        new TurnContext(time).Run(async () =>
        {
            var options = new SimulatedStorageOptions { Seed = 1, Time = time, MaxReadLatency = TimeSpan.FromMilliseconds(5), MaxFlushLatency = TimeSpan.FromMilliseconds(1) };
            var host = new SimulatedStoreHost(options, SimulatedStoreHost.SmallOptions);
            var store = await host.OpenAsync();
            await store.AppendAsync(new StoreBatch(1, 1, new[] { TestBlocks.Write(7, [1, 2]) }));

            // The second block is read with the first and written meanwhile: in the same leaf, which nothing has captured.
            var found = new byte[2 * 4096];
            var read = store.ReadAsync(7, 2, found);
            Assert.False(read.IsCompleted);
            await store.AppendAsync(new StoreBatch(1, 2, new[] { TestBlocks.Write(8, [3]) }));
            await read;

            var expected = new byte[2 * 4096];
            await store.ReadAsync(7, 2, expected);
            Assert.Equal(expected, found);
        });
    }

    private static async Task RunAsync(int seed, FakeTimeProvider time)
    {
        var options = new SimulatedStorageOptions { Seed = seed, Time = time, MaxReadLatency = TimeSpan.FromMilliseconds(0.3), MaxFlushLatency = TimeSpan.FromMilliseconds(3) };
        var run = new StoreRun(new SimulatedStoreHost(options, SimulatedStoreHost.SmallOptions), seed);
        try
        {
            Assert.True(await run.OpenAsync());
            for (var life = 0; life < 4; life++)
            {
                await LiveAsync(run, time);
                run.Crash(run.Random.Next(3) == 0 ? CrashKind.ProcessKill : CrashKind.PowerLoss);
                Assert.True(await run.OpenAsync());
                await StoreChecks.CheckAllAsync(run);
            }
        }
        catch (Exception failure)
        {
            throw new InvalidOperationException($"RunAsync({seed}): {failure.Message}\n{run.Trace}", failure);
        }
    }

    /// <summary>Ends with calls still under way: their outcome is up to the crash that follows.</summary>
    private static async Task LiveAsync(StoreRun run, FakeTimeProvider time)
    {
        var beside = new List<Task>();
        for (var step = 0; step < 120; step++)
        {
            switch (run.Random.Next(12))
            {
                case < 4: await run.AppendAsync(run.NextBatch()); break;
                case 4 or 5: beside.Add(run.FlushBesideAsync()); break;
                case 6 or 7: beside.Add(run.Store.MaintainAsync().AsTask()); break;
                case 8: beside.Add(run.ReadBesideAsync()); break;
                case 9: run.SetCommit(); break;
                case 10: await Task.Delay(TimeSpan.FromMilliseconds(run.Random.NextDouble()), time); break;
                default:
                    if (run.Random.Next(6) > 0) break;
                    await Task.WhenAll(beside);
                    beside.Clear();
                    await (run.Random.Next(2) == 0 ? run.TruncateAsync() : run.SetFenceAsync());
                    break;
            }

            foreach (var done in beside.FindAll(task => task.IsCompleted)) await done;
            beside.RemoveAll(task => task.IsCompleted);
        }

        // Those that the crash interrupts fail, with nobody waiting.
        foreach (var task in beside) _ = task.ContinueWith(t => t.Exception, TaskScheduler.Default);
    }
}

/// <summary>One thread that runs continuations in order and, when there is none, lets time pass.</summary>
internal sealed class TurnContext(FakeTimeProvider time) : SynchronizationContext
{
    private readonly Queue<(SendOrPostCallback Callback, object? State)> _turns = new();

    public override void Post(SendOrPostCallback d, object? state)
    {
        lock (_turns) _turns.Enqueue((d, state));
    }

    public void Run(Func<Task> action)
    {
        var before = Current;
        SetSynchronizationContext(this);
        try
        {
            var task = action();
            for (var idle = 0; !task.IsCompleted;)
            {
                if (TryTake(out var turn))
                {
                    turn.Callback(turn.State);
                    idle = 0;
                }
                else if (idle++ < 10_000)
                {
                    time.Advance(TimeSpan.FromMilliseconds(0.05));
                }
                else
                {
                    throw new TimeoutException("Nothing goes on: a call waits for something that never comes.");
                }
            }

            task.GetAwaiter().GetResult();
        }
        finally
        {
            SetSynchronizationContext(before);
        }
    }

    private bool TryTake(out (SendOrPostCallback Callback, object? State) turn)
    {
        lock (_turns) return _turns.TryDequeue(out turn);
    }
}
