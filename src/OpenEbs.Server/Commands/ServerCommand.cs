using System.CommandLine;
using OpenEbs.Server.Configuration;
using OpenEbs.Server.Nodes;

namespace OpenEbs.Server.Commands;

/// <summary><c>openebs server</c>: one node, from configuration.</summary>
internal static class ServerCommand
{
    public static Command Create()
    {
        var config = new Option<string?>("--config") { Description = "JSON file with the section OpenEbs; wins over appsettings.json, loses to environment variables OPENEBS__..." };
        var logLevel = CommandOptions.LogLevel();
        var command = new Command("server", "Run one node from configuration (appsettings.json, --config FILE, environment OPENEBS__...).") { config, logLevel };
        command.SetAction((parsed, cancellationToken) =>
            Node.RunAsync(NodeConfiguration.Load(parsed.GetValue(config)), parsed.GetValue(logLevel), NodeParent.None, cancellationToken));
        return command;
    }
}
