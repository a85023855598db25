using System.Globalization;
using OpenEbs.Pools;
using OpenEbs.Rest;
using OpenEbs.Units;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace OpenEbs.Cli.Output;

/// <summary>Nodes, pools and their drains for people.</summary>
internal static class AvailabilityDescription
{
    /// <summary>For a column: while a drain is under way, with how far it is.</summary>
    public static Text Cell(Availability availability, DrainResource? drain)
    {
        var state = ResultWriter.State(availability.ToString());
        return availability == Availability.Draining && drain is not null ? new Text($"Draining({drain.ReplicasLeft}/{drain.ReplicasAtStart})", new Style(Color.Yellow)) : state;
    }

    public static string Outcome(string noun, string name, Availability availability, string reason, DrainResource? drain) => availability switch
    {
        Availability.Available => $"{noun} {name} takes new replicas.",
        Availability.Cordoned => $"{noun} {name} takes no new replicas{(reason.StartsWith("its node", StringComparison.Ordinal) ? $": {reason}" : "")}.",
        Availability.Draining => $"{noun} {name} is being drained: {Left(drain)}. '{noun.ToLowerInvariant()} uncordon {name}' stops that.{string.Concat((drain?.Obstacles ?? []).Select(obstacle => $"\nHeld up: {obstacle}."))}",
        Availability.Drained => $"{noun} {name} is drained: no replica is left on it.",
        _ => throw new ArgumentOutOfRangeException(nameof(availability), availability, "Unknown availability."),
    };

    public static IRenderable Details(NodeResource node)
    {
        var facts = Facts();
        Add(facts, "Node", node.Name);
        facts.AddRow(Heading("Status"), ResultWriter.State(node.Status));
        AddAvailability(facts, node.Availability, "", node.Drain);
        Add(facts, "Roles", string.Join(", ", node.Roles));
        Add(facts, "Pools", string.Join(", ", node.Pools));
        Add(facts, "Portal", node.Portal);
        Add(facts, "HTTP", node.HttpAddress);
        Add(facts, "Silo", node.SiloAddress);
        Add(facts, "Version", node.Version);
        return facts;
    }

    public static IRenderable Details(PoolResource pool)
    {
        var facts = Facts();
        Add(facts, "Pool", pool.Id);
        facts.AddRow(Heading("State"), ResultWriter.State(pool.Online ? "online" : "offline"));
        if (pool.Reason.Length > 0) Add(facts, "Reason", pool.Reason);
        AddAvailability(facts, pool.Availability, pool.AvailabilityReason, pool.Drain);
        if (pool.Suspicion.Length > 0) Add(facts, "Marked", $"{pool.Suspicion}; replace the disk, or trust it again: pool uncordon {pool.Id}");
        Add(facts, "Media errors", pool.MediaErrorCount == 0 ? "none" : $"{pool.MediaErrorCount}, the newest: {pool.LastMediaError}");
        Add(facts, "Node", pool.Node);
        Add(facts, "Path", pool.Path);
        Add(facts, "Capacity", $"{ByteSize.Format(pool.CapacityBytes)}, {ByteSize.Format(pool.FreeBytes)} free");
        Add(facts, "Placed", $"volumes of {ByteSize.Format(pool.PlacedBytes)}");
        Add(facts, "Labels", string.Join(", ", pool.Labels.OrderBy(label => label.Key, StringComparer.Ordinal).Select(label => $"{label.Key}={label.Value}")));
        Add(facts, "Replicas", pool.ReplicaCount.ToString(CultureInfo.InvariantCulture));
        return facts;
    }

    public static IRenderable Plan(DrainPlanResource plan)
    {
        if (plan.Moves.Count == 0) return new Text($"Nothing is on {plan.Subject}: there is nothing to move.\n");
        var table = ResultWriter.Columns("VOLUME", "REPLICA", "FROM", "TO", "NODE", ">BYTES", "RISK");
        foreach (var move in plan.Moves)
        {
            var to = move.ToPool.Length > 0 ? move.ToPool : move.IsStuck ? "nowhere" : "not needed";
            table.Add(move.Volume, move.Replica, move.FromPool, to, move.ToNode, ByteSize.Format(move.Bytes), string.Join("; ", move.Risks));
        }

        var stuck = plan.Moves.Count(move => move.IsStuck);
        var risky = plan.Moves.Where(move => move.Risks.Count > 0).Select(move => move.Volume).Distinct().Count();
        var summary = $"{plan.Moves.Count} replica(s) would go, {ByteSize.Format(plan.CopyBytes)} be copied: about {Duration.Format(TimeSpan.FromSeconds(Math.Ceiling(plan.DurationSeconds)))}, "
            + $"if a move copies {ByteSize.Format(plan.AssumedBytesPerSecond)}/s and {plan.ConcurrentMoves} run at once. {(risky > 0 ? $"{risky} volume(s) at risk." : "No volume at risk.")}"
            + (stuck > 0 ? $" {stuck} replica(s) have nowhere to go and would stay." : "");
        return new Rows(table, Text.NewLine, new Text(summary + "\n"));
    }

    private static string Left(DrainResource? drain) => drain is null ? "" : $"{drain.ReplicasLeft} of {drain.ReplicasAtStart} replica(s) left";

    private static Grid Facts() => new Grid().AddColumn(new GridColumn { NoWrap = true, Padding = new Padding(0, 0, 3, 0) }).AddColumn();

    private static Text Heading(string name) => new(name, new Style(decoration: Decoration.Bold));

    private static void Add(Grid facts, string name, string value) => facts.AddRow(Heading(name), new Text(value.Length > 0 ? value : "-"));

    private static void AddAvailability(Grid facts, Availability availability, string reason, DrainResource? drain)
    {
        facts.AddRow(Heading("Availability"), ResultWriter.State(availability.ToString()));
        if (reason.Length > 0) Add(facts, "", reason);
        if (drain is null) return;
        Add(facts, "Drain", $"{Left(drain)}, since {drain.Since.ToLocalTime().ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture)}");
        foreach (var obstacle in drain.Obstacles) Add(facts, "Held up", obstacle);
    }
}
