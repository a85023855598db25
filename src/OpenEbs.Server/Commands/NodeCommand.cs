using System.CommandLine;
using OpenEbs.Server.Configuration;
using OpenEbs.Server.Nodes;

namespace OpenEbs.Server.Commands;

/// <summary><c>openebs node NAME</c>, for <c>dev --nodes</c> only: a node whose configuration is the first line of standard input, and that ends when
/// that closes, so that it never outlives the process that started it.</summary>
internal static class NodeCommand
{
    public static Command Create()
    {
        var name = new Argument<string>("name") { Description = "Shown in the process list" };
        var logLevel = CommandOptions.LogLevel();
        var command = new Command("node", "Run a node for 'openebs dev --nodes'.") { name, logLevel };
        command.Hidden = true;
        command.SetAction((parsed, cancellationToken) =>
            Node.RunAsync(NodeConfiguration.Read(Console.In), parsed.GetValue(logLevel), NodeParent.StandardInput, cancellationToken));
        return command;
    }
}
