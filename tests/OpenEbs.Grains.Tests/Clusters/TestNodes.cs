using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using OpenEbs.Grains.Gateways;
using OpenEbs.Grains.Hosting;
using OpenEbs.Grains.Pools;
using OpenEbs.Volumes;
using Orleans.Runtime;
using Orleans.Storage;
using Orleans.TestingHost;

namespace OpenEbs.Grains.Tests.Clusters;

/// <summary>A cluster of nodes in this process, with one pool each in a directory of its own; metadata outlives them.</summary>
internal sealed class TestNodes : IAsyncDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("openebs-grains-").FullName;

    private TestNodes(InProcessTestCluster cluster, SharedGrainStorage metadata)
    {
        Cluster = cluster;
        Metadata = metadata;
    }

    public InProcessTestCluster Cluster { get; private set; }

    public SharedGrainStorage Metadata { get; }

    public IClusterGrain Registry => Cluster.Client.GetGrain<IClusterGrain>(0);

    public static async Task<TestNodes> StartAsync(short count, bool distributedDirectory = false, int poolsPerNode = 1, bool inMemory = false, TimeSpan? replacementDelay = null, int zones = 0)
    {
        var builder = new InProcessTestClusterBuilder(count);
#pragma warning disable ORLEANSEXP003
        builder.Options.UseDistributedGrainDirectory = distributedDirectory;
#pragma warning restore ORLEANSEXP003
        builder.Options.ConfigureFileLogging = false;
        var metadata = new SharedGrainStorage();
        var stores = new MemoryStoreProvider();
        TestNodes? nodes = null;
        builder.ConfigureSilo((specific, silo) =>
        {
            silo.AddOpenEbs(new OpenEbsSiloOptions
            {
                NodeName = specific.SiloName,
                Pools = [.. Enumerable.Range(0, poolsPerNode).Select(i => new PoolOptions($"{specific.SiloName}-{i}", Path.Combine(nodes!._directory, specific.SiloName, $"pool-{i}")))],
                Labels = zones == 0 ? new Dictionary<string, string>() : new() { [PoolLabels.Zone] = $"zone-{specific.SiloName[^1] % zones}" },
                Portal = $"127.0.0.1:{specific.SiloPort}",
                Roles = ["storage", "gateway", "control"],
                Version = "test",
                ExitWhenDeclaredDead = false,
                KeepInterval = TimeSpan.FromSeconds(1),
                ReplacementDelay = replacementDelay ?? TimeSpan.FromMinutes(10),
                Connections = new VolumeConnectionOptions { ReportInterval = TimeSpan.FromSeconds(1) },
            });
            silo.Services.AddKeyedSingleton<IGrainStorage>(OpenEbsSiloBuilderExtensions.StorageName, metadata);
            if (inMemory) silo.Services.AddSingleton<IReplicaStoreProvider>(stores);
            if (Environment.GetEnvironmentVariable("OPENEBS_TEST_LOG") is { } level)
                silo.Services.AddLogging(logging => logging.AddSimpleConsole(console => { console.SingleLine = true; console.TimestampFormat = "HH:mm:ss.fff "; }).SetMinimumLevel(LogLevel.Warning).AddFilter("OpenEbs", Enum.Parse<LogLevel>(level)));
        });
        var cluster = builder.Build();
        nodes = new TestNodes(cluster, metadata);
        await cluster.DeployAsync();
        return nodes;
    }

    public InProcessSiloHandle Node(int index) => Cluster.Silos[index];

    /// <summary>Where a pool's files are.</summary>
    public string DirectoryOf(string pool) => Path.Combine(_directory, pool[..pool.LastIndexOf('-')], $"pool-{pool[(pool.LastIndexOf('-') + 1)..]}");

    public VolumeGateway Gateway(InProcessSiloHandle node) => node.ServiceProvider.GetRequiredService<VolumeGateway>();

    /// <summary>The node on which the volume's grain is active now.</summary>
    public async Task<InProcessSiloHandle> CoordinatorAsync(string volume)
    {
        var view = await Cluster.Client.GetGrain<IVolumeGrain>(volume).DescribeAsync();
        return Cluster.Silos.Single(silo => silo.Name == view.Coordinator);
    }

    /// <summary>Ends the node's silo without letting it do anything more.</summary>
    public async Task KillAsync(InProcessSiloHandle node)
    {
        await Cluster.KillSiloAsync(node);
        await node.DisposeAsync();
    }

    public async Task<InProcessSiloHandle> StartAgainAsync(InProcessSiloHandle stopped) => await Cluster.StartSiloAsync(stopped.InstanceNumber, Cluster.Options);

    /// <summary>Waits until the volume's view satisfies <paramref name="condition"/>; the exception says what it was last.</summary>
    public async Task<VolumeView> WaitForAsync(string volume, Func<VolumeView, bool> condition, int seconds = 20)
    {
        var watch = Stopwatch.StartNew();
        VolumeView? last = null;
        Exception? failure = null;
        while (watch.Elapsed < TimeSpan.FromSeconds(seconds))
        {
            try
            {
                last = await Cluster.Client.GetGrain<IVolumeGrain>(volume).DescribeAsync();
                failure = null;
                if (condition(last)) return last;
            }
            catch (Exception e)
            {
                failure = e;
            }

            await Task.Delay(20);
        }

        throw new TimeoutException($"Volume {volume} did not come to what was expected in {seconds} s; it is {last?.State} at epoch {last?.Epoch}, replicas {string.Join(", ", last?.Replicas.Select(r => $"{r.Id} {r.State} ({r.Reason})") ?? [])}, reason '{last?.Reason}'. {failure?.Message}");
    }

    /// <summary>Waits until <paramref name="condition"/> holds.</summary>
    public static Task UntilAsync(Func<bool> condition, string what, int seconds = 20) => UntilAsync(() => Task.FromResult(condition()), what, seconds);

    /// <inheritdoc cref="UntilAsync(Func{bool}, string, int)"/>
    public static async Task UntilAsync(Func<Task<bool>> condition, string what, int seconds = 20)
    {
        var watch = Stopwatch.StartNew();
        while (!await condition())
        {
            if (watch.Elapsed > TimeSpan.FromSeconds(seconds)) throw new TimeoutException($"Not so within {seconds} s: {what}");
            await Task.Delay(10);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Cluster.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }
}

/// <summary>Three nodes for all tests of a class.</summary>
public sealed class ThreeNodes : Xunit.IAsyncLifetime
{
    internal TestNodes Nodes { get; private set; } = null!;

    public async Task InitializeAsync() => Nodes = await TestNodes.StartAsync(3);

    public async Task DisposeAsync() => await Nodes.DisposeAsync();
}
