using System.Net.Sockets;
using OpenEbs.Server.Configuration;
using OpenEbs.Server.Metadata;
using OpenEbs.Server.Startup;

namespace OpenEbs.Server.Nodes;

/// <summary>Runs one node from start to stop.</summary>
internal static class Node
{
    /// <param name="options">Checked configuration.</param>
    /// <param name="logLevel">Least severe messages to log.</param>
    /// <param name="parent">What ends the node.</param>
    /// <param name="cancellationToken">Stops the node.</param>
    /// <param name="onReady">Called when the node serves; its token is cancelled when the node stops.</param>
    /// <exception cref="CannotStartException">A condition that the user can put right.</exception>
    public static async Task<int> RunAsync(
        NodeOptions options, LogLevel logLevel, NodeParent parent, CancellationToken cancellationToken, Func<CancellationToken, Task>? onReady = null)
    {
        var claims = new List<DirectoryLock>();
        try
        {
            if (options.HasRole(NodeRole.Storage)) claims.AddRange(options.Pools.Select(pool => DirectoryLock.Claim(pool.Path, $"directory of {pool.Id}")));
            var metadata = new SqliteDataSource(options.Metadata.Path);
            Directory.CreateDirectory(Path.GetDirectoryName(metadata.Path)!);
            SqliteSchema.Apply(metadata);
            PortProbe.EnsureFree([options], isDev: parent != NodeParent.None || onReady is not null);
            await using var app = NodeHost.Build(options, metadata, logLevel, parent);
            await StartAsync(app, cancellationToken);
            if (onReady is not null) await RunUntilStoppingAsync(onReady, app.Lifetime.ApplicationStopping);
            await app.WaitForShutdownAsync(cancellationToken);
            return (int)ExitCode.Ok;
        }
        finally
        {
            foreach (var claim in claims) claim.Dispose();
        }
    }

    private static async Task StartAsync(WebApplication app, CancellationToken cancellationToken)
    {
        try
        {
            await app.StartAsync(cancellationToken);
        }
        catch (Exception exception) when (exception.GetBaseException() is SocketException { SocketErrorCode: SocketError.AddressAlreadyInUse } busy)
        {
            throw new CannotStartException(ExitCode.PortInUse, $"A port was taken while the node started: {busy.Message}.", "Start it again.");
        }
    }

    private static async Task RunUntilStoppingAsync(Func<CancellationToken, Task> onReady, CancellationToken stopping)
    {
        try
        {
            await onReady(stopping);
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // Asked to stop while it was getting ready.
        }
    }
}
