using System.CommandLine;

namespace OpenEbs.Cli.Commands;

/// <summary>The command line of openebsctl.</summary>
internal static class ControlCommandLine
{
    public static RootCommand Create()
    {
        var root = new RootCommand("Controls OpenEBS on Orleans over its REST interface.\n\nExit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 conflict, 5 server unreachable, 6 not possible now, 7 declined.");
        root.Options.Add(CommonOptions.Server);
        root.Options.Add(CommonOptions.Output);
        root.Subcommands.Add(VolumeCommands.Create());
        var replica = ClusterCommands.Replica();
        replica.Subcommands.Add(OrphanCommands.List());
        replica.Subcommands.Add(OrphanCommands.Delete());
        root.Subcommands.Add(replica);
        root.Subcommands.Add(ClusterCommands.Pool());
        root.Subcommands.Add(ClusterCommands.Node());
        root.Subcommands.Add(CredentialCommands.Create());
        root.Subcommands.Add(SessionCommands.Create());
        root.Subcommands.Add(ClusterCommands.Events());
        root.Subcommands.Add(ClusterCommands.Version());
        return root;
    }

    public static async Task<int> RunAsync(string[] args)
    {
        var parsed = Create().Parse(args);
        if (parsed.Errors.Count > 0)
        {
            foreach (var error in parsed.Errors) await Console.Error.WriteLineAsync($"openebsctl: {error.Message}");
            await Console.Error.WriteLineAsync($"Try: openebsctl {Path(parsed)}--help");
            return (int)ExitCode.Usage;
        }

        try
        {
            return await parsed.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
        }
        catch (CommandFailedException exception)
        {
            await Console.Error.WriteLineAsync($"openebsctl: {exception.Message}");
            return (int)exception.ExitCode;
        }
        catch (OperationCanceledException)
        {
            return 130;
        }
#pragma warning disable CA1031 // The last stop: the user gets one line, never a stack trace.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            await Console.Error.WriteLineAsync($"openebsctl: {exception.GetBaseException().Message.ReplaceLineEndings(" ")}");
            return (int)ExitCode.Failed;
        }
    }

    private static string Path(ParseResult parsed)
    {
        var names = new Stack<string>();
        for (var at = parsed.CommandResult; at is { Command: not RootCommand }; at = (at.Parent as System.CommandLine.Parsing.CommandResult)!) names.Push(at.Command.Name);
        return string.Concat(names.Select(name => name + " "));
    }
}
