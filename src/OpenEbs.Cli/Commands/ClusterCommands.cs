using System.CommandLine;
using System.Globalization;
using OpenEbs.Cli.Api;
using OpenEbs.Cli.Output;
using OpenEbs.Pools;
using OpenEbs.Rest;
using OpenEbs.Units;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace OpenEbs.Cli.Commands;

/// <summary>The commands that list what a cluster has.</summary>
internal static class ClusterCommands
{
    public static Command Replica() => List("replica", "Replicas: the copies of volumes.", "List the replicas of all volumes.", (api, token) => api.ListReplicasAsync(token), ReplicaTable);

    public static Command Pool() => AvailabilityCommands.AddToPool(List("pool", "Pools: storage that nodes give.", "List the pools of all nodes.", (api, token) => api.ListPoolsAsync(token), PoolTable));

    public static Command Node() => AvailabilityCommands.AddToNode(List("node", "Nodes: openebs processes.", "List the nodes of the cluster.", (api, token) => api.ListNodesAsync(token), NodeTable));

    public static Command Events()
    {
        var volume = new Option<string?>("--volume") { Description = "Of this volume only [default: of all, and of the cluster]", HelpName = "NAME" };
        var limit = new Option<int>("--limit", "-n") { Description = "At most so many, the newest", DefaultValueFactory = _ => 50, CustomParser = CommonOptions.ParseNumber };
        var command = new Command("events", "Show what happened to volumes, replicas, pools and nodes, the newest last.") { volume, limit };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var api = CommonOptions.Connect(parsed);
            var events = await Output.Progress.ShowAsync("Asking the cluster", api.ListEventsAsync(parsed.GetValue(volume), parsed.GetValue(limit), cancellationToken));
            ResultWriter.Write(parsed.GetValue(CommonOptions.Output), events, EventTable);
            return (int)ExitCode.Ok;
        });
        return command;
    }

    public static Command Version()
    {
        var command = new Command("version", "Show the versions of openebsctl and of the server.");
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var api = CommonOptions.Connect(parsed);
            VersionResource? server = null;
            CommandFailedException? unreachable = null;
            try
            {
                server = await Output.Progress.ShowAsync("Asking the server", api.GetVersionAsync(cancellationToken));
            }
            catch (CommandFailedException exception)
            {
                // The client's version is worth showing without a server.
                unreachable = exception;
            }

            var versions = new VersionPair(ProgramVersion.Text, server);
            ResultWriter.Write(parsed.GetValue(CommonOptions.Output), versions, VersionTable);
            return unreachable is null ? (int)ExitCode.Ok : throw unreachable;
        });
        return command;
    }

    public static Table ReplicaTable(IReadOnlyList<ReplicaResource> replicas)
    {
        var table = ResultWriter.Columns("REPLICA", "VOLUME", "POOL", "NODE", "STATE", ">SEQ", ">LAG", ">USED", ">WRITABLE", "REASON");
        foreach (var r in replicas) table.Add(r.Id, r.Volume, r.Pool, r.Node, ResultWriter.State(r.State.ToString()), r.Seq, r.Lag, ByteSize.Format(r.UsedBytes), r.WritableBytes is { } writable ? ByteSize.Format(writable) : "", r.Reason);
        return table;
    }

    private static Table PoolTable(IReadOnlyList<PoolResource> pools)
    {
        var table = ResultWriter.Columns("POOL", "NODE", "STATE", "AVAILABILITY", "SPACE", "MEDIA", ">CAPACITY", ">USED", ">FREE", ">REPLICAS", "PATH", "REASON");
        foreach (var p in pools)
        {
            table.Add(
                p.Id, p.Node, ResultWriter.State(p.Online ? "online" : "offline"), AvailabilityDescription.Cell(p.Availability, p.Drain), SpaceOf(p), MediaOf(p), ByteSize.Format(p.CapacityBytes), ByteSize.Format(p.UsedBytes),
                ByteSize.Format(p.FreeBytes), p.ReplicaCount, p.Path, p.Reason);
        }

        return table;
    }

    private static string SpaceOf(PoolResource pool) => pool.Fullness switch
    {
        PoolFullness.NearlyFull => "nearly full",
        PoolFullness.Full => "full",
        _ => pool.Online ? "healthy" : "",
    };

    private static string MediaOf(PoolResource pool) => pool.Suspicion.Length > 0 ? $"marked: {pool.Suspicion}" : !pool.Online ? "" : pool.MediaErrorCount == 0 ? "sound" : $"{pool.MediaErrorCount} error(s)";

    private static Table NodeTable(IReadOnlyList<NodeResource> nodes)
    {
        var table = ResultWriter.Columns("NODE", "STATUS", "AVAILABILITY", "ROLES", "PORTAL", "HTTP", "POOLS", "SILO", "VERSION");
        foreach (var n in nodes)
        {
            table.Add(
                n.Name, ResultWriter.State(n.Status), AvailabilityDescription.Cell(n.Availability, n.Drain), string.Join(",", n.Roles), n.Portal, n.HttpAddress, string.Join(",", n.Pools), n.SiloAddress, n.Version);
        }

        return table;
    }

    private static Table EventTable(IReadOnlyList<EventResource> events)
    {
        var table = ResultWriter.Columns("TIME", "VOLUME", "EVENT", "SUBJECT", "BEFORE", "AFTER", "CAUSE");
        foreach (var e in events) table.Add(e.At.ToLocalTime().ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture), e.Volume, e.Kind, e.Subject, e.Before, e.After, e.Cause);
        return table;
    }

    private static Table VersionTable(VersionPair versions)
    {
        var table = ResultWriter.Columns("PROGRAM", "VERSION", "CLUSTER", "NODE");
        table.Add("openebsctl", versions.Client, "", "");
        if (versions.Server is { } server) table.Add("openebs", server.Version, server.ClusterId, server.Node);
        return table;
    }

    private static Command List<T>(string noun, string about, string what, Func<ControlApi, CancellationToken, Task<T[]>> get, Func<IReadOnlyList<T>, IRenderable> table)
    {
        var list = new Command("list", what);
        list.Aliases.Add("ls");
        list.SetAction(async (parsed, cancellationToken) =>
        {
            using var api = CommonOptions.Connect(parsed);
            var all = await Output.Progress.ShowAsync($"Listing {noun}s", get(api, cancellationToken));
            ResultWriter.Write(parsed.GetValue(CommonOptions.Output), all, table);
            return (int)ExitCode.Ok;
        });
        return new Command(noun, about) { list };
    }

    private sealed record VersionPair(string Client, VersionResource? Server);
}
