using OpenEbs.Simulation.Breakages;
using OpenEbs.Simulation.Histories;
using Xunit;

namespace OpenEbs.Simulation.Tests;

/// <summary>Whole clusters under faults keep their promises, run after run the same; and the checker notices when they do not.</summary>
public sealed class SimulationTests
{
    private const int SeedsPerPart = 125;
    private const int SeedsToCatch = 120;

    public static TheoryData<string> BreakageNames => [.. AllBreakages.List.Select(breakage => breakage.Name)];

    public static TheoryData<string, ulong, int> RegressionSeeds
    {
        get
        {
            var seeds = new TheoryData<string, ulong, int>();
            foreach (var line in File.ReadLines(Path.Combine(AppContext.BaseDirectory, "RegressionSeeds.txt")).Where(line => line.Length > 0 && line[0] != '#'))
            {
                var parts = line.Split(' ', 3);
                seeds.Add(parts[2], ulong.Parse(parts[0]), int.Parse(parts[1]));
            }

            return seeds;
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Every_promise_is_kept_under_faults(int part)
    {
        Parallel.For(part * SeedsPerPart, (part + 1) * SeedsPerPart, new ParallelOptions { MaxDegreeOfParallelism = 2 }, seed => AssertKept(new RunOptions { Seed = 1000 + (ulong)seed, Commands = 160 }));
    }

    [Theory]
    [MemberData(nameof(RegressionSeeds))]
    public void A_seed_that_once_failed_passes(string found, ulong seed, int commands)
    {
        Assert.NotEmpty(found);
        AssertKept(new RunOptions { Seed = seed, Commands = commands });
    }

    [Theory]
    [InlineData(3UL)]
    [InlineData(17UL)]
    [InlineData(42UL)]
    public void A_seed_replays_exactly(ulong seed)
    {
        var first = SimulationRun.Run(new RunOptions { Seed = seed, Commands = 120 });
        var second = SimulationRun.Run(new RunOptions { Seed = seed, Commands = 120, KeepsTrace = true });
        Assert.Equal(first.TraceHash, second.TraceHash);
        Assert.Equal(first.Events, second.Events);
        Assert.NotEqual(first.TraceHash, SimulationRun.Run(new RunOptions { Seed = seed + 1, Commands = 120 }).TraceHash);
    }

    [Theory]
    [MemberData(nameof(BreakageNames))]
    public void A_broken_variant_is_caught(string name)
    {
        var breakage = AllBreakages.Named(name);
        for (ulong seed = 0; seed < SeedsToCatch; seed++)
        {
            var result = SimulationRun.Run(new RunOptions { Seed = seed, Commands = 200, Breakage = breakage });
            if (result.Failure is null) continue;
            var broken = Assert.IsType<PromiseBrokenException>(result.Failure);
            Assert.Contains(broken.Promise, breakage.Breaks);
            return;
        }

        Assert.Fail($"The checker did not notice {name} in {SeedsToCatch} seeds.");
    }

    [Fact]
    public void Slow_replicas_are_set_aside_and_taken_back()
    {
        var breakage = Breakage.None with { Name = "slow disks", Favours = [FaultKind.SlowDisk, FaultKind.CongestedReplica] };
        var aside = 0L;
        for (ulong seed = 0; seed < 30; seed++)
        {
            // Each ends with all replicas in sync, so those that were set aside have been taken back.
            var options = new RunOptions { Seed = seed, Commands = 200, Breakage = breakage };
            var result = SimulationRun.Run(options);
            Assert.True(result.Failure is null, $"seed {seed}: {result.Failure}");
            aside += result.Faults["SetAside"];
        }

        Assert.True(aside > 10, $"{aside} were set aside in 30 seeds.");
    }

    [Fact]
    public void Damaged_replicas_are_discarded_and_rebuilt()
    {
        var breakage = Breakage.None with { Name = "damage", Favours = [FaultKind.MediaDamage, FaultKind.KillReplica, FaultKind.PowerLoss] };
        var discarded = 0L;
        for (ulong seed = 0; seed < 60; seed++)
        {
            // Each ends with all replicas in sync and equal.
            var result = SimulationRun.Run(new RunOptions { Seed = seed, Commands = 200, Breakage = breakage });
            Assert.True(result.Failure is null, $"seed {seed}: {result.Failure}");
            discarded += result.Faults["Discarded"];
        }

        Assert.True(discarded > 2, $"{discarded} were discarded in 60 seeds.");
    }

    [Fact]
    public void The_unbroken_system_passes_under_the_faults_that_break_the_variants()
    {
        foreach (var control in AllBreakages.Controls)
        {
            for (ulong seed = 0; seed < 5; seed++) AssertKept(new RunOptions { Seed = seed, Commands = 200, Breakage = control });
        }
    }

    private static void AssertKept(RunOptions options)
    {
        var undecided = Run(options).Faults["UndecidedSectors"];
        Assert.True(undecided == 0, $"seed {options.Seed} with --ops {options.Commands} ({options.Breakage.Name}): the order of events on {undecided} sectors could not be checked.");
    }

    private static RunResult Run(RunOptions options)
    {
        var result = SimulationRun.Run(options);
        Assert.True(result.Failure is null, $"seed {options.Seed} with --ops {options.Commands} ({options.Breakage.Name}): {result.Failure}");
        return result;
    }
}
