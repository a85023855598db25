using System.CommandLine;
using OpenEbs.Cli.Api;
using OpenEbs.Cli.Output;
using OpenEbs.Rest;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace OpenEbs.Cli.Commands;

/// <summary>The commands that describe, cordon, drain and remove nodes and pools.</summary>
internal static class AvailabilityCommands
{
    /// <summary>What the commands on nodes and those on pools differ in.</summary>
    /// <param name="Noun">node or pool.</param>
    /// <param name="Argument">How its name is asked for.</param>
    /// <param name="Details">Everything about one.</param>
    private sealed record Kind<T>(
        string Noun,
        Argument<string> Argument,
        Func<ControlApi, string, CancellationToken, Task<T>> Get,
        Func<ControlApi, string, string, CancellationToken, Task<T>> Change,
        Func<ControlApi, string, CancellationToken, Task<DrainPlanResource>> Plan,
        Func<ControlApi, string, CancellationToken, Task> Remove,
        Func<T, IRenderable> Details,
        Func<T, string> Outcome);

    public static Command AddToNode(Command node) => Add(node, new Kind<NodeResource>(
        "node",
        new Argument<string>("name") { Description = "The node's name", HelpName = "NAME" },
        (api, name, token) => api.GetNodeAsync(name, token),
        (api, name, verb, token) => api.ChangeNodeAsync(name, verb, token),
        (api, name, token) => api.PlanNodeDrainAsync(name, token),
        (api, name, token) => api.RemoveNodeAsync(name, token),
        AvailabilityDescription.Details,
        node => AvailabilityDescription.Outcome("Node", node.Name, node.Availability, "", node.Drain)));

    public static Command AddToPool(Command pool) => Add(pool, new Kind<PoolResource>(
        "pool",
        new Argument<string>("id") { Description = "The pool's id", HelpName = "ID" },
        (api, id, token) => api.GetPoolAsync(id, token),
        (api, id, verb, token) => api.ChangePoolAsync(id, verb, token),
        (api, id, token) => api.PlanPoolDrainAsync(id, token),
        (api, id, token) => api.RemovePoolAsync(id, token),
        AvailabilityDescription.Details,
        pool => AvailabilityDescription.Outcome("Pool", pool.Id, pool.Availability, pool.AvailabilityReason, pool.Drain)));

    private static Command Add<T>(Command command, Kind<T> kind)
    {
        command.Subcommands.Add(Describe(kind));
        command.Subcommands.Add(Change(kind, "cordon", $"Have a {kind.Noun} take no new replicas; it keeps those that it has."));
        command.Subcommands.Add(Change(kind, "uncordon", $"Have a {kind.Noun} take replicas again; stops its drain."));
        command.Subcommands.Add(Drain(kind));
        command.Subcommands.Add(Remove(kind));
        return command;
    }

    private static Command Describe<T>(Kind<T> kind)
    {
        var command = new Command("describe", $"Show everything about a {kind.Noun}.") { kind.Argument };
        command.Aliases.Add("get");
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var api = CommonOptions.Connect(parsed);
            var found = await Output.Progress.ShowAsync("Asking the cluster", kind.Get(api, parsed.GetValue(kind.Argument)!, cancellationToken));
            ResultWriter.Write(parsed.GetValue(CommonOptions.Output), found, kind.Details);
            return (int)ExitCode.Ok;
        });
        return command;
    }

    private static Command Change<T>(Kind<T> kind, string verb, string about)
    {
        var command = new Command(verb, about) { kind.Argument };
        command.SetAction((parsed, cancellationToken) => ChangeAsync(kind, verb, parsed, cancellationToken));
        return command;
    }

    private static Command Drain<T>(Kind<T> kind)
    {
        var dryRun = new Option<bool>("--dry-run") { Description = "Only show what would be moved where, how long that takes, and what is at risk meanwhile" };
        var command = new Command("drain", $"Move all replicas from a {kind.Noun}, in the background; asked again it shows how far that is.") { kind.Argument, dryRun };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            if (!parsed.GetValue(dryRun)) return await ChangeAsync(kind, "drain", parsed, cancellationToken);
            using var api = CommonOptions.Connect(parsed);
            var plan = await Output.Progress.ShowAsync("Asking the cluster", kind.Plan(api, parsed.GetValue(kind.Argument)!, cancellationToken));
            ResultWriter.Write(parsed.GetValue(CommonOptions.Output), plan, AvailabilityDescription.Plan);
            return (int)ExitCode.Ok;
        });
        return command;
    }

    private static async Task<int> ChangeAsync<T>(Kind<T> kind, string verb, ParseResult parsed, CancellationToken cancellationToken)
    {
        using var api = CommonOptions.Connect(parsed);
        var changed = await Output.Progress.ShowAsync("Asking the cluster", kind.Change(api, parsed.GetValue(kind.Argument)!, verb, cancellationToken));
        ResultWriter.Write(parsed.GetValue(CommonOptions.Output), changed, resource => new Text(kind.Outcome(resource) + "\n"));
        return (int)ExitCode.Ok;
    }

    private static Command Remove<T>(Kind<T> kind)
    {
        var command = new Command("remove", kind.Noun == "node" ? "Forget a node that has stopped for good, and its pools; nothing may be left on it." : "Forget a pool that is gone for good; nothing may be left on it.") { kind.Argument };
        command.Aliases.Add("rm");
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var api = CommonOptions.Connect(parsed);
            var name = parsed.GetValue(kind.Argument)!;
            var last = await kind.Get(api, name, cancellationToken);
            await kind.Remove(api, name, cancellationToken);
            ResultWriter.Write(parsed.GetValue(CommonOptions.Output), last, _ => new Text($"{char.ToUpperInvariant(kind.Noun[0])}{kind.Noun[1..]} {name} removed.\n"));
            return (int)ExitCode.Ok;
        });
        return command;
    }
}
