using Xunit;

namespace OpenEbs.Architecture.Tests;

internal static class Expect
{
    /// <summary>Fails with every finding on a line of its own; xunit's Assert.Empty would show the first few only.</summary>
    public static void Nothing(IEnumerable<string> findings)
    {
        var all = findings.ToList();
        if (all.Count > 0) Assert.Fail($"{all.Count} finding(s):\n{string.Join('\n', all)}");
    }
}
