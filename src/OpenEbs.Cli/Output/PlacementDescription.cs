using System.Globalization;
using OpenEbs.Pools;
using OpenEbs.Rest;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace OpenEbs.Cli.Output;

/// <summary>Choices of pools for people.</summary>
internal static class PlacementDescription
{
    public static IRenderable Details(PlacementResource placement)
    {
        var table = ResultWriter.Columns("POOL", "NODE", "ZONE", "VERDICT", ">SCORE", "BECAUSE");
        foreach (var candidate in placement.Candidates)
        {
            var score = string.Join(", ", candidate.Parts.Where(part => part.Points != 0).Select(part => string.Create(CultureInfo.InvariantCulture, $"{part.Name} {part.Points:+0;-0} ({part.Reason})")));
            var because = candidate.Verdict == PoolVerdict.Refused ? string.Join("; ", candidate.Refusals)
                : candidate.Refusals.Count == 0 ? score : $"{score}; against it now: {string.Join("; ", candidate.Refusals)}";
            table.Add(candidate.Pool, candidate.Node, candidate.Zone, Verdict(candidate.Verdict), candidate.Score, because);
        }

        return placement.Problem.Length == 0 ? table : new Rows(table, Text.NewLine, new Text($"{placement.Problem}.\n"));
    }

    private static Text Verdict(PoolVerdict verdict) => new(verdict.ToString(), new Style(verdict switch
    {
        PoolVerdict.Holding or PoolVerdict.Chosen => Color.Green,
        PoolVerdict.Possible => Color.Yellow,
        _ => Color.Red,
    }));
}
