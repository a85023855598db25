using OpenEbs.Paths.Tests.Gateways;
using OpenEbs.Paths.Tests.Histories;
using Xunit;
using Xunit.Abstractions;

namespace OpenEbs.Paths.Tests;

/// <summary>Reservations through several gateways under faults are what a sequential model says, run after run the same; and the check notices when they are not.</summary>
public sealed class SharedUnitTests(ITestOutputHelper output)
{
    private const ulong SeedsToCatch = 150;

    public static TheoryData<PathVariant> Variants => [.. Enum.GetValues<PathVariant>().Where(variant => variant != PathVariant.None)];

    /// <summary>OPENEBS_PATHS_SEEDS=FIRST-LAST runs others.</summary>
    [Fact]
    public void Reservations_ThroughSeveralGatewaysUnderFaults_AreSequential()
    {
        var range = (Environment.GetEnvironmentVariable("OPENEBS_PATHS_SEEDS") ?? "1-60").Split('-');
        var (first, last) = (ulong.Parse(range[0]), ulong.Parse(range[1]));
        var (versions, coordinators, commands, losses, deaths) = (0, 0, 0, 0, 0);
        Parallel.For((long)first, (long)last + 1, new ParallelOptions { MaxDegreeOfParallelism = 2 }, seed =>
        {
            var result = PathsRun.Run((ulong)seed);
            Assert.True(result.Failure is null, $"seed {seed}: {result.Failure}");
            Interlocked.Add(ref versions, result.Versions);
            Interlocked.Add(ref coordinators, result.Coordinators);
            Interlocked.Add(ref commands, result.Commands);
            Interlocked.Add(ref losses, result.PowerLosses);
            Interlocked.Add(ref deaths, result.PortalDeaths);
        });
        var runs = (int)(last - first + 1);
        output.WriteLine($"{runs} runs: {commands} commands, {versions} versions of the shared state, {coordinators} coordinators, {losses} losses of power, {deaths} deaths of gateways");

        // A run in which nothing is reserved, or nothing fails, proves nothing.
        Assert.True(versions > runs * 5 && coordinators > runs * 2, "Too little happened.");
    }

    [Theory]
    [InlineData(3UL)]
    [InlineData(8UL)]
    public void A_seed_replays_exactly(ulong seed) => Assert.Equal(PathsRun.Run(seed).TraceHash, PathsRun.Run(seed).TraceHash);

    [Theory]
    [MemberData(nameof(Variants))]
    public void A_broken_variant_is_caught(PathVariant variant)
    {
        for (ulong seed = 1; seed <= SeedsToCatch; seed++)
        {
            if (PathsRun.Run(seed, variant).Failure is not { } failure) continue;
            Assert.IsType<UnitPromiseBrokenException>(failure);
            output.WriteLine($"seed {seed}: {failure.Message}");
            return;
        }

        Assert.Fail($"The check did not notice {variant} in {SeedsToCatch} seeds.");
    }
}
