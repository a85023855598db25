using System.Globalization;
using OpenEbs.Cli.Commands;
using OpenEbs.Pools;
using OpenEbs.Rest;
using OpenEbs.Units;
using OpenEbs.Volumes;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace OpenEbs.Cli.Output;

/// <summary>Volumes for people.</summary>
internal static class VolumeDescription
{
    public static IRenderable Table(IReadOnlyList<VolumeResource> volumes)
    {
        if (volumes.Count == 0) return new Text("There is no volume. Create one: openebsctl volume create NAME --size 1Gi\n");
        var table = ResultWriter.Columns("VOLUME", "SIZE", "STATE", "REPLICAS", "COORDINATOR", ">SESSIONS", "TARGET");
        foreach (var v in volumes)
        {
            table.Add(v.Name, ByteSize.Format(v.SizeBytes), ResultWriter.State(v.State.ToString()), InSync(v), v.Coordinator, v.Sessions.Count, v.TargetName);
        }

        return table;
    }

    public static IRenderable Details(VolumeResource volume) => Details(volume, []);

    /// <param name="volume">The volume.</param>
    /// <param name="pools">Pools of the cluster, to say which of its own run short of space.</param>
    public static IRenderable Details(VolumeResource volume, IReadOnlyList<PoolResource> pools)
    {
        var facts = new Grid().AddColumn(new GridColumn { NoWrap = true, Padding = new Padding(0, 0, 3, 0) }).AddColumn();
        Add("Volume", new Text(volume.Name));
        Add("State", ResultWriter.State(volume.State.ToString()));
        if (volume.Reason.Length > 0) Add("Reason", new Text(volume.Reason));
        if (volume.Concern.Length > 0) Add("Concern", new Text(volume.Concern));
        if (ShortOfSpace(volume, pools) is { Length: > 0 } tight) Add("Space", new Text(tight));
        Add("Size", new Text($"{ByteSize.Format(volume.SizeBytes)} ({volume.SizeBytes} bytes, blocks of {volume.BlockLength})"));
        Add("Replicas", new Text($"{InSync(volume)} in sync, serves with {volume.MinInSync}"));
        Add("Placement", new Text($"apart by node: {volume.NodeAntiAffinity.ToString().ToLowerInvariant()}, by zone: {volume.ZoneAntiAffinity.ToString().ToLowerInvariant()}{(volume.Selector.Length > 0 ? $", on pools with {volume.Selector}" : "")}{(volume.Locality == Locality.Preferred ? ", one beside its gateway" : "")}"));
        Add("Write cache", new Text(volume.WriteCache ? "on" : "off"));
        Add("I/O timeout", new Text($"{Duration.Format(TimeSpan.FromSeconds(volume.IoTimeoutSeconds))}, then {Outcome(volume.OnTimeout)}"));
        if (volume.RebuildLimitBytesPerSecond is { } limit) Add("Rebuild limit", new Text(ByteRate.Format(limit)));
        Add("Scrub", new Text(Scrub(volume)));
        if (volume.LastScrub is { } lastScrub) Add("Last scrub", new Text(lastScrub.Summary));
        if (volume.PresentScrub is { } presentScrub) Add("Present scrub", new Text(presentScrub.Summary));
        Add("Coordinator", new Text(volume.Coordinator.Length > 0 ? volume.Coordinator : "-"));
        Add("Epoch", new Text(volume.Epoch.ToString(CultureInfo.InvariantCulture)));
        Add("Seq", new Text($"{volume.Seq} (durable up to {volume.CommitSeq})"));
        if (volume.Access is { } access) Add("Access", new Text(access.Summary, new Style(access.AdmitsNobody ? Color.Red : null)));
        Add("Target", new Text(volume.TargetName));
        Add("Portals", new Text(volume.Portals.Count > 0 ? string.Join(", ", volume.Portals) : "-"));
        Add("Uid", new Text(volume.Uid.ToString()));
        return new Rows(facts, Text.NewLine, ClusterCommands.ReplicaTable(volume.Replicas), Rebuilds(volume), Text.NewLine, Sessions(volume));

        void Add(string name, IRenderable value) => facts.AddRow(new Text(name, new Style(decoration: Decoration.Bold)), value);
    }

    /// <summary>The pools of its replicas that run short of space: the fullest decides what the volume can still take.</summary>
    private static string ShortOfSpace(VolumeResource volume, IReadOnlyList<PoolResource> pools) => string.Join("; ", pools
        .Where(pool => pool.Fullness != PoolFullness.Healthy && volume.Replicas.Any(replica => replica.Pool == pool.Id))
        .Select(pool => $"pool {pool.Id} is {(pool.Fullness == PoolFullness.Full ? "full" : "nearly full")} ({ByteSize.Format(pool.FreeBytes)} of {ByteSize.Format(pool.CapacityBytes)} free)"));

    private static string Scrub(VolumeResource volume)
    {
        var last = volume.LastScrubAt is { } at ? $"last ended {at.ToLocalTime().ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture)}" : "none has ended yet";
        return $"{last}; {(volume.IsScrubbing ? "one that was asked for" : "the present one")} is at {volume.ScrubProgress.ToString("P0", CultureInfo.InvariantCulture)}";
    }

    private static IRenderable Rebuilds(VolumeResource volume)
    {
        var replicas = volume.Replicas.Where(replica => replica.Rebuild is not null).ToList();
        if (replicas.Count == 0) return new Text("");
        var table = ResultWriter.Columns("REBUILD", "STATE", ">DONE", ">MOVED", ">EQUAL", ">SPEED", ">LEFT", "SOURCE", "WHY");
        foreach (var replica in replicas)
        {
            var r = replica.Rebuild!;
            var left = r.RemainingSeconds is { } seconds ? Duration.Format(TimeSpan.FromSeconds(Math.Ceiling(seconds))) : "-";
            var why = r.Attempt > 1 ? $"{r.Reason} (attempt {r.Attempt})" : r.Reason;
            table.Add(
                replica.Id, ResultWriter.State(r.State.ToString()), $"{r.Progress.ToString("P0", CultureInfo.InvariantCulture)} of {ByteSize.Format(r.TotalBytes)}", ByteSize.Format(r.MovedBytes), ByteSize.Format(r.EqualBytes),
                ByteRate.Format(r.BytesPerSecond), left, r.Source, why);
        }

        return new Rows(Text.NewLine, table);
    }

    private static IRenderable Sessions(VolumeResource volume) => volume.Sessions.Count == 0 ? new Text("No sessions.") : AccessDescription.Table(volume.Sessions);

    private static string InSync(VolumeResource volume) => $"{volume.Replicas.Count(replica => replica.State == Replicas.ReplicaState.InSync)}/{volume.ReplicaCount}";

    private static string Outcome(TimeoutAction action) => action switch
    {
        TimeoutAction.Wait => "it goes on waiting",
        TimeoutAction.Error => "it fails",
        TimeoutAction.ReadOnly => "writes are refused",
        _ => throw new ArgumentOutOfRangeException(nameof(action), action, "Unknown policy."),
    };
}
