using System.Diagnostics;
using OpenEbs.Server.Configuration;
using OpenEbs.Server.Metadata;
using OpenEbs.Server.Startup;

namespace OpenEbs.Server.Nodes;

/// <summary>Runs <c>openebs dev</c>: prepares the data directory, starts the node or nodes, creates the first volume and says what to do next.</summary>
internal static class DevCluster
{
    /// <summary>The file by which a node holds its pool.</summary>
    private const string PoolLock = "pool.lock";

    private static readonly TimeSpan OrphanTimeout = TimeSpan.FromSeconds(20);

    public static async Task<int> RunAsync(DevOptions options, CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        using var claim = DirectoryLock.Claim(options.DataDirectory, "data directory");
        var nodes = options.ToNodes();
        await WaitForOrphansAsync(options, cancellationToken);
        PortProbe.EnsureFree(nodes, isDev: true);

        var metadata = new SqliteDataSource(options.MetadataPath);
        SqliteSchema.Apply(metadata);
        // Nobody else has the data directory and no node of a former run lives: whatever the table says is history.
        SqliteSchema.ForgetSilos(metadata);

        if (options.Nodes == 1)
        {
            return await Node.RunAsync(nodes[0], options.LogLevel, NodeParent.None, cancellationToken, stopping => WelcomeAsync(options, nodes, started, [], stopping));
        }

        using var supervisor = new NodeSupervisor(options, nodes);
        return await supervisor.RunAsync(pids => WelcomeAsync(options, nodes, started, pids, cancellationToken), cancellationToken);
    }

    /// <summary>Nodes whose parent was killed stop by themselves, a moment later.</summary>
    private static async Task WaitForOrphansAsync(DevOptions options, CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        var told = false;
        while (Directory.EnumerateDirectories(options.DataDirectory, "pool-*").FirstOrDefault(pool => DirectoryLock.IsHeld(pool, PoolLock)) is { } held)
        {
            if (!told) await Console.Error.WriteLineAsync("Waiting for the nodes of an earlier run to stop.");
            told = true;
            if (Stopwatch.GetElapsedTime(started) > OrphanTimeout)
            {
                throw new CannotStartException(
                    ExitCode.DataDirectory, $"{held} is in use by another server.", "Stop that one, or give another directory (--data).");
            }

            await Task.Delay(50, cancellationToken);
        }
    }

    private static async Task WelcomeAsync(
        DevOptions options, IReadOnlyList<NodeOptions> nodes, long started, IReadOnlyList<int> pids, CancellationToken cancellationToken)
    {
        var volume = await FirstVolume.EnsureAsync(nodes[0].HttpPort, options, cancellationToken);
        await Console.Out.WriteAsync(Welcome.Compose(options, nodes, pids, volume, Stopwatch.GetElapsedTime(started), colour: !Console.IsOutputRedirected));
        await Console.Out.FlushAsync(cancellationToken);
    }
}
