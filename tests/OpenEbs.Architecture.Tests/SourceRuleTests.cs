using Xunit;

namespace OpenEbs.Architecture.Tests;

public class SourceRuleTests
{
    /// <summary>Files of src that may be longer, each with its reason.</summary>
    private static readonly Dictionary<string, string> LongFiles = [];

    /// <summary>Uses of ambient time or chance in the cores, each with its reason: path, then the beginning of the finding.</summary>
    private static readonly (string Path, string Finding, string Reason)[] AmbientExceptions = [];

    [Fact]
    public void Files_OfTheProduct_AreShort()
    {
        var files = SourceTree.CSharpFiles("src").Select(f => (f.Path, Lines: f.Text.AsSpan().Count('\n'))).ToList();

        Assert.True(files.Count > 20, $"only {files.Count} files found below {SourceTree.Root}/src");
        Expect.Nothing(files.Where(f => f.Lines > SourceRules.MaxLines && !LongFiles.ContainsKey(f.Path)).Select(f => $"{f.Path}: {f.Lines} lines, more than {SourceRules.MaxLines}: split it by owner of state"));
        Expect.Nothing(LongFiles.Keys.Except(files.Where(f => f.Lines > SourceRules.MaxLines).Select(f => f.Path)).Select(path => $"{path}: no longer needs its exception"));
    }

    [Fact]
    public void Types_HaveNamesThatSayWhatTheyAre() => Expect.Nothing(Findings(SourceRules.VagueTypeNames, "src", "tests", "samples"));

    [Fact]
    public void Files_HaveNoRegions() => Expect.Nothing(Findings(SourceRules.Regions, "src", "tests", "samples"));

    [Fact]
    public void Cores_TakeTimeAndChanceFromTheirCaller()
    {
        var findings = Findings(SourceRules.AmbientTimeAndChance, "src/OpenEbs.Storage", "src/OpenEbs.Replication", "src/OpenEbs.Iscsi").ToList();

        Expect.Nothing(findings.Where(f => !AmbientExceptions.Any(e => f.StartsWith($"{e.Path}: {e.Finding}", StringComparison.Ordinal))));
        Expect.Nothing(AmbientExceptions.Where(e => !findings.Any(f => f.StartsWith($"{e.Path}: {e.Finding}", StringComparison.Ordinal))).Select(e => $"no longer needed: {e}"));
    }

    [Theory]
    [InlineData("public sealed class BlockHelper", 1)]
    [InlineData("internal static class PathUtils;", 1)]
    [InlineData("public record struct SessionManager(int A);", 1)]
    [InlineData("internal interface IReplicaManager { }", 1)]
    [InlineData("// class BlockHelper\npublic class TaskManager { } class Managed { }", 0)]
    public void VagueTypeNames_Finds(string text, int count) => Assert.Equal(count, SourceRules.VagueTypeNames(text).Count());

    [Theory]
    [InlineData("await Task.Delay(100);", 1)]
    [InlineData("await Task.Delay(TimeSpan.FromSeconds(Math.Min(a, b)), cancellationToken);", 1)]
    [InlineData("await Task.Delay(TimeSpan.FromSeconds(1), _time, cancellationToken);", 0)]
    [InlineData("await Task.Delay(Backoff(attempt, 3), _options.TimeProvider);", 0)]
    [InlineData("var id = Guid.NewGuid(); var now = DateTime.UtcNow;", 2)]
    [InlineData("// DateTime.UtcNow is not used here\n/* Random.Shared\n neither */", 0)]
    [InlineData("new PeriodicTimer(TimeSpan.FromSeconds(1))", 1)]
    [InlineData("new PeriodicTimer(TimeSpan.FromSeconds(1), time)", 0)]
    [InlineData("new Random(seed).Next(); DateTimeOffset.UnixEpoch.AddDays(1);", 0)]
    public void AmbientTimeAndChance_Finds(string text, int count) => Assert.Equal(count, SourceRules.AmbientTimeAndChance(text).Count());

    [Fact]
    public void Regions_Finds() => Assert.Single(SourceRules.Regions("class A\n{\n    #region x\n    // #region y\n}\n"));

    private static IEnumerable<string> Findings(Func<string, IEnumerable<string>> rule, params string[] folders) =>
        SourceTree.CSharpFiles(folders).Where(f => !f.Path.StartsWith("tests/OpenEbs.Architecture.Tests/", StringComparison.Ordinal))
            .SelectMany(f => rule(f.Text).Select(finding => $"{f.Path}: {finding}"));
}
