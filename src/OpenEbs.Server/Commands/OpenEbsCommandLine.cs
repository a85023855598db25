using System.CommandLine;
using OpenEbs.Server.Startup;

namespace OpenEbs.Server.Commands;

/// <summary>The program's command line. Every way it can fail that a user can put right ends with one message on standard error and its own exit code.</summary>
internal static class OpenEbsCommandLine
{
    public static RootCommand Create() => new("OpenEBS on Orleans: replicated block volumes over iSCSI.")
    {
        DevCommand.Create(),
        ServerCommand.Create(),
        NodeCommand.Create(),
    };

    public static async Task<int> RunAsync(string[] args)
    {
        var parsed = Create().Parse(args);
        if (parsed.Errors.Count > 0)
        {
            foreach (var error in parsed.Errors) await Console.Error.WriteLineAsync($"openebs: {error.Message}");
            await Console.Error.WriteLineAsync($"Try: openebs {(parsed.CommandResult.Command is RootCommand ? "" : parsed.CommandResult.Command.Name + " ")}--help");
            return (int)ExitCode.Usage;
        }

        try
        {
            // The host handles Ctrl-C and SIGTERM itself, with the order that its parts need.
            return await parsed.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null });
        }
        catch (CannotStartException exception)
        {
            await Console.Error.WriteLineAsync($"openebs: {exception.Message}\n{exception.Cure}");
            return (int)exception.ExitCode;
        }
#pragma warning disable CA1031 // The last stop: whatever it is, the user gets one line, and the whole of it with OPENEBS_DEBUG=1.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            await Console.Error.WriteLineAsync(
                Environment.GetEnvironmentVariable("OPENEBS_DEBUG") == "1"
                    ? exception.ToString()
                    : $"openebs: {exception.GetBaseException().Message.ReplaceLineEndings(" ")}\nThis should not happen. Set OPENEBS_DEBUG=1 to see where it came from.");
            return (int)ExitCode.Failed;
        }
    }
}
