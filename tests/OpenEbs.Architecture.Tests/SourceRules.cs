using System.Text.RegularExpressions;

namespace OpenEbs.Architecture.Tests;

/// <summary>What no source file may contain, as functions from a file's text to what is wrong with it.</summary>
internal static partial class SourceRules
{
    public const int MaxLines = 400;

    /// <summary>Names in which a type would hide what it is. SAM's own TaskManager is the exception (SAM-5 §4.5.8).</summary>
    public static IEnumerable<string> VagueTypeNames(string text) =>
        TypeName().Matches(WithoutComments(text)).Select(m => m.Groups["name"].Value).Where(name => VagueEnding().IsMatch(name) && name is not "TaskManager")
            .Select(name => $"type {name}: name it by what it is, not Helper, Manager or Utils");

    public static IEnumerable<string> Regions(string text) =>
        text.Split('\n').Where(line => line.TrimStart().StartsWith("#region", StringComparison.Ordinal)).Select(_ => "#region: make smaller types instead");

    /// <summary>Clocks and randomness that the simulation could not control (design section 2: time from TimeProvider, randomness from a seed).</summary>
    public static IEnumerable<string> AmbientTimeAndChance(string text)
    {
        var code = WithoutComments(text);
        foreach (var match in Ambient().Matches(code).Select(m => m.Value)) yield return $"{match}: take a TimeProvider, a seeded Random or an id from the caller";
        foreach (Match match in Delay().Matches(code))
        {
            var arguments = Arguments(code, match.Index + match.Length);
            if (arguments.Count < 2 || !ClockName().IsMatch(arguments[1])) yield return $"Task.Delay({string.Join(", ", arguments)}): pass a TimeProvider as second argument";
        }

        foreach (Match match in Timers().Matches(code))
        {
            if (Arguments(code, match.Index + match.Length).Count < 2) yield return $"{match.Value}...): pass a TimeProvider";
        }
    }

    /// <summary>The text with its comments blanked. String literals are kept: "//" in one is rare here, and errs towards finding less.</summary>
    private static string WithoutComments(string text) => Comment().Replace(text, "");

    /// <summary>The top-level arguments of a call whose '(' ends just before <paramref name="start"/>.</summary>
    private static List<string> Arguments(string code, int start)
    {
        var arguments = new List<string>();
        var depth = 0;
        var from = start;
        for (var i = start; i < code.Length; i++)
        {
            if (code[i] is '(' or '[' or '{') depth++;
            else if (depth > 0 && code[i] is ')' or ']' or '}') depth--;
            else if (depth == 0 && code[i] is ',' or ')')
            {
                if (i > from) arguments.Add(code[from..i].Trim());
                from = i + 1;
                if (code[i] == ')') break;
            }
        }

        return arguments;
    }

    [GeneratedRegex(@"\b(class|struct|interface|enum|record)\s+(class\s+|struct\s+)?(?<name>[A-Z]\w*)")]
    private static partial Regex TypeName();

    [GeneratedRegex("(Helpers?|Managers?|Utils?|Utility|Utilities)$")]
    private static partial Regex VagueEnding();

    [GeneratedRegex(@"\bDateTime(Offset)?\.(Utc)?Now\b|\bDateTime\.Today\b|\bRandom\.Shared\b|\bnew Random\(\)|\bGuid\.(NewGuid|CreateVersion7)\b|\bThread\.Sleep\b")]
    private static partial Regex Ambient();

    [GeneratedRegex(@"\bTask\.Delay\(")]
    private static partial Regex Delay();

    [GeneratedRegex(@"\bnew PeriodicTimer\(")]
    private static partial Regex Timers();

    [GeneratedRegex("(time|timeProvider|clock)$", RegexOptions.IgnoreCase)]
    private static partial Regex ClockName();

    [GeneratedRegex(@"//[^\n]*|/\*.*?\*/", RegexOptions.Singleline)]
    private static partial Regex Comment();
}
