using System.Net.Sockets;
using System.Runtime;
using Microsoft.Data.Sqlite;
using OpenEbs.Grains.Pools;
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
        var metadata = new SqliteDataSource(options.Metadata.Path);
        CreateDirectory(Path.GetDirectoryName(metadata.Path)!);
        SqliteSchema.Apply(metadata);
        PortProbe.EnsureFree([options], isDev: parent != NodeParent.None || onReady is not null);
        await using var app = NodeHost.Build(options, metadata, logLevel, parent);
        OpenPools(app.Services.GetRequiredService<LocalPools>());
        if (!await StartAsync(app, cancellationToken)) return (int)ExitCode.Ok;
        ReturnMemory();
        if (onReady is not null) await RunUntilStoppingAsync(onReady, app.Lifetime.ApplicationStopping);
        await app.WaitForShutdownAsync(cancellationToken);
        SqliteConnection.ClearAllPools();
        return (int)ExitCode.Ok;
    }

    private static void CreateDirectory(string directory)
    {
        try
        {
            Directory.CreateDirectory(directory);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new CannotStartException(
                ExitCode.DataDirectory, $"The directory of the metadata store, {directory}, cannot be created: {exception.Message}", "Give a directory that this user may create and write.");
        }
    }

    /// <summary>A pool that another process has, or that is not the one configured, is a mistake to put right before anything starts. One that is broken or away is not:
    /// the node serves with the others, and takes it back when it returns.</summary>
    private static void OpenPools(LocalPools pools)
    {
        pools.Open();
        var mistaken = pools.All.Where(pool => pool.Condition is PoolCondition.InUse or PoolCondition.Foreign).ToList();
        var refused = mistaken.Count > 0 ? mistaken : pools.All.Any(pool => pool.IsOnline) ? [] : pools.All.ToList();
        if (refused.Count == 0) return;
        var inUse = refused.Exists(pool => pool.Condition == PoolCondition.InUse);
        throw new CannotStartException(
            inUse ? ExitCode.DataDirectory : ExitCode.Pool,
            string.Join("\n", refused.Select(pool => $"Pool {pool.Id} cannot be opened: {pool.Reason}.")),
            "Then start again; nothing was changed.");
    }

    /// <summary>Starting leaves tens of megabytes of dead buffers (types are loaded, methods compiled); an idle node would keep them for hours.</summary>
    private static void ReturnMemory()
    {
        GCSettings.LargeObjectHeapCompactionMode = GCLargeObjectHeapCompactionMode.CompactOnce;
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
    }

    /// <summary>False when it was asked to stop meanwhile.</summary>
    private static async Task<bool> StartAsync(WebApplication app, CancellationToken cancellationToken)
    {
        try
        {
            await app.StartAsync(cancellationToken);
            return true;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested || app.Lifetime.ApplicationStopping.IsCancellationRequested)
        {
            // What had started ends with the process; nothing was served yet.
            return false;
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
