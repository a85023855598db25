using OpenEbs.Replication.Rebuilds;
using OpenEbs.Replication.Volumes;
using OpenEbs.Storage.Store;
using Xunit;

namespace OpenEbs.Simulation.Tests;

/// <summary>What a rebuild decides: how much at once, how long until the next attempt, which of several goes first, what is compared.</summary>
public sealed class RebuildPolicyTests
{
    private const long Frequency = 1_000_000;
    private const long Window = 8 << 20;

    private readonly RebuildPressure _pressure = new(Frequency, Window);
    private long _now = 1;

    [Fact]
    public void Pressure_OfAnIdleVolume_GrowsToTheWindow()
    {
        for (var i = 0; i < 10; i++) Copy(0, 0.1);

        Assert.Equal((Window, TimeSpan.Zero), (_pressure.WindowBytes, _pressure.Rest));
    }

    [Fact]
    public void Pressure_WhenUsersWaitLonger_FallsToOnePieceAndRests()
    {
        LearnUsual(0.001);
        for (var i = 0; i < 20; i++) Copy(0.01, 0.1);

        Assert.Equal((RebuildPressure.MinWindowBytes, TimeSpan.FromMilliseconds(50)), ((int)_pressure.WindowBytes, _pressure.Rest));
    }

    [Fact]
    public void Pressure_WhenUsersWaitNoLongerThanUsual_GrowsAgain()
    {
        LearnUsual(0.001);
        for (var i = 0; i < 20; i++) Copy(0.01, 0.1);
        for (var i = 0; i < 60; i++) Copy(0.0012, 0.1);

        Assert.Equal((Window, TimeSpan.Zero), (_pressure.WindowBytes, _pressure.Rest));
    }

    [Fact]
    public void Pressure_WithinHalfAsMuchAgain_DoesNotSlowDown()
    {
        LearnUsual(0.001);
        var before = _pressure.WindowBytes;
        for (var i = 0; i < 5; i++) Copy(0.0016, 0.1);

        Assert.True(_pressure.WindowBytes > before);
    }

    [Fact]
    public void Pressure_UnderLoad_LooksNowAndThenWhatIsUsual()
    {
        LearnUsual(0.001);
        var probes = 0;
        for (var i = 0; i < 100; i++) probes += Copy(0.001, 0.1) > TimeSpan.Zero ? 1 : 0;

        Assert.InRange(probes, 4, 6);
    }

    [Fact]
    public void Pressure_OfCommandsThatBeganBeforeTheLastPieceEnded_LearnsNothing()
    {
        LearnUsual(0.001);
        _pressure.SetCopying(_now, true);
        _now += Frequency / 100;
        _pressure.SetCopying(_now, false);
        _now += Frequency / 100;
        _pressure.Sample(_now, Frequency / 50);

        Assert.Equal(0.001, _pressure.Usual, 6);
    }

    [Fact]
    public void BackOff_OfFailuresInARow_DoublesUpToItsBound()
    {
        var backOff = new RebuildBackOff(new CoordinatorOptions());
        var delays = Enumerable.Range(0, 8).Select(_ => backOff.Fail(0).TotalSeconds);

        Assert.Equal([0.5, 1, 2, 4, 8, 16, 30, 30], delays);
    }

    [Fact]
    public void BackOff_AfterProgressOrSuccess_BeginsAnew()
    {
        var backOff = new RebuildBackOff(new CoordinatorOptions());
        for (var i = 0; i < 5; i++) backOff.Fail(0);

        Assert.Equal(0.5, backOff.Fail(64 << 20).TotalSeconds);
        backOff.Fail(0);
        backOff.Succeed();
        Assert.Equal(0.5, backOff.Fail(0).TotalSeconds);
    }

    [Fact]
    public async Task Slots_WhenAllAreTaken_GoToWhoeverWaitedLongest()
    {
        var slots = new RebuildSlots(1);
        Assert.True(slots.TryEnter());
        using var gone = new CancellationTokenSource();
        var (first, second, third) = (slots.EnterAsync(gone.Token).AsTask(), slots.EnterAsync(default).AsTask(), slots.EnterAsync(default).AsTask());
        Assert.False(slots.TryEnter());
        await gone.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);

        slots.Leave();
        await second;
        Assert.False(third.IsCompleted);
        slots.Leave();
        await third;
        Assert.False(slots.TryEnter());
        slots.Leave();
        Assert.True(slots.TryEnter());
    }

    [Fact]
    public void Pieces_OfChangedRuns_SayWhichTheReplicaMayHold()
    {
        BlockRun[] own = [new(20, 2), new(100, 1)];
        var runs = ChangedPieces.Merge([new(0, 10), new(8, 10), new(100, 1), .. own, new(300, 50)], end: 320);

        Assert.Equal([new(0, 18), new(20, 2), new(100, 1), new(300, 20)], runs);
        Assert.Equal(
            [new CopyPiece(0, 16, false), new CopyPiece(16, 2, false), new CopyPiece(20, 2, true), new CopyPiece(100, 1, true), new CopyPiece(300, 16, false), new CopyPiece(316, 4, false)],
            ChangedPieces.Cut(runs, own, maxBlocks: 16));
    }

    private void LearnUsual(double seconds)
    {
        for (var i = 0; i < 50; i++)
        {
            _now += Frequency / 100;
            _pressure.Sample(_now, (long)(seconds * Frequency));
        }
    }

    /// <summary>Copies for a while, during which users' I/Os take so long (0: there are none); returns what the pressure says then.</summary>
    private TimeSpan Copy(double latencySeconds, double seconds)
    {
        _pressure.SetCopying(_now, true);
        for (var i = 0; i < 10; i++)
        {
            _now += (long)(seconds / 10 * Frequency);
            if (latencySeconds > 0) _pressure.Sample(_now, (long)(latencySeconds * Frequency));
        }

        _now++;
        return _pressure.Decide(_now);
    }
}
