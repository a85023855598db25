using System.CommandLine;
using OpenEbs.Cli.Output;

namespace OpenEbs.Cli.Commands;

/// <summary>The commands on iSCSI sessions.</summary>
internal static class SessionCommands
{
    public static Command Create() => new("session", "iSCSI sessions of initiators.") { List(), Close() };

    private static Command List()
    {
        var volume = new Option<string?>("--volume") { Description = "Only those on this volume", HelpName = "NAME" };
        var command = new Command("list", "List the sessions on all gateways.") { volume };
        command.Aliases.Add("ls");
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var api = CommonOptions.Connect(parsed);
            var sessions = await Output.Progress.ShowAsync("Asking the gateways", api.ListSessionsAsync(parsed.GetValue(volume), cancellationToken));
            ResultWriter.Write(parsed.GetValue(CommonOptions.Output), sessions, AccessDescription.Table);
            return (int)ExitCode.Ok;
        });
        return command;
    }

    private static Command Close()
    {
        var id = new Argument<string>("id") { Description = "The session, as 'session list' shows it", HelpName = "ID" };
        var command = new Command("close", "End a session. The initiator is told, and may log in again if the volume's access rule lets it in.") { id };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var api = CommonOptions.Connect(parsed);
            var session = parsed.GetValue(id)!;
            await api.CloseSessionAsync(session, cancellationToken);
            if (parsed.GetValue(CommonOptions.Output) == OutputFormat.Table) await Console.Out.WriteLineAsync($"Session {session} closed.");
            return (int)ExitCode.Ok;
        });
        return command;
    }
}
