using System.Net;
using Microsoft.Extensions.Logging.Console;
using OpenEbs.Access;
using OpenEbs.Grains.Hosting;
using OpenEbs.Replication.Volumes;
using OpenEbs.Server.Configuration;
using OpenEbs.Server.Dashboard;
using OpenEbs.Server.Health;
using OpenEbs.Server.Metadata;
using OpenEbs.Server.Portals;
using OpenEbs.Server.Rest;
using OpenEbs.Server.Telemetry;
using OpenEbs.Units;
using OpenEbs.Volumes;
using Orleans.Configuration;
using Orleans.Dashboard;

namespace OpenEbs.Server.Nodes;

/// <summary>Puts a node together: silo, portal, HTTP. Hosted services start in the order in which they are registered here and stop in the reverse:
/// silo (with pools and grains), portal, HTTP.</summary>
internal static class NodeHost
{
    private const int DirectoryCacheSize = 10_000;

    /// <summary>Longest that stopping takes before connections are cut.</summary>
    private static readonly TimeSpan ShutdownTimeout = TimeSpan.FromSeconds(10);

    public static WebApplication Build(NodeOptions options, SqliteDataSource metadata, LogLevel logLevel, NodeParent parent)
    {
        // Nothing is read from the working directory: NodeOptions is the whole configuration.
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory, ApplicationName = "openebs" });
        builder.Configuration.Sources.Clear();
        AddLogging(builder, logLevel);
        builder.Services.AddSingleton(options);
        builder.Services.AddSingleton<IHostLifetime>(services => new NodeLifetime(parent, services.GetRequiredService<IHostApplicationLifetime>()));
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = ShutdownTimeout);
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Listen(options.Bind, options.HttpPort);
        });

        builder.UseOrleans(silo => ConfigureSilo(silo, options, metadata));
        NodeTelemetry.Add(builder, options);
        builder.Services.AddSingleton<NodeReadiness>();
        if (options.HasRole(NodeRole.Gateway))
        {
            builder.Services.AddSingleton<VolumeDoor>();
            builder.Services.AddSingleton<VolumeCatalog>();
            builder.Services.AddHostedService<PortalService>();
        }

        VolumeApi.AddServices(builder.Services);

        var app = builder.Build();
        app.UseExceptionHandler();
        app.UseStatusCodePages();
        HealthEndpoints.Map(app);
        NodeTelemetry.Map(app);
        if (options.HasRole(NodeRole.Control))
        {
            VolumeApi.Map(app);
            DashboardEndpoints.Map(app);
        }

        return app;
    }

    private static void ConfigureSilo(ISiloBuilder silo, NodeOptions options, SqliteDataSource metadata)
    {
        silo.Configure<ClusterOptions>(cluster =>
        {
            cluster.ClusterId = options.ClusterId;
            cluster.ServiceId = options.ClusterId;
        });
        silo.Configure<EndpointOptions>(endpoints =>
        {
            endpoints.AdvertisedIPAddress = options.Advertised;
            endpoints.SiloPort = options.SiloPort;
            endpoints.GatewayPort = options.OrleansGatewayPort;
            endpoints.SiloListeningEndpoint = new IPEndPoint(options.Bind, options.SiloPort);
            endpoints.GatewayListeningEndpoint = new IPEndPoint(options.Bind, options.OrleansGatewayPort);
        });
        silo.UseAdoNetClustering(clustering =>
        {
            clustering.Invariant = SqliteDataSource.Invariant;
            clustering.DataSource = metadata;
        });
        silo.AddAdoNetGrainStorage(OpenEbsSiloBuilderExtensions.StorageName, storage =>
        {
            storage.Invariant = SqliteDataSource.Invariant;
            storage.DataSource = metadata;
        });
        silo.UseAdoNetReminderService(reminders =>
        {
            reminders.Invariant = SqliteDataSource.Invariant;
            reminders.DataSource = metadata;
        });
        // Orleans' default directory ends every grain, on whichever node, whose address the lost node happened to keep: replicas and volumes that nothing ails. This one asks for the addresses anew.
#pragma warning disable ORLEANSEXP003 // Marked experimental.
        silo.AddDistributedGrainDirectory();
#pragma warning restore ORLEANSEXP003
        silo.Configure<GrainDirectoryOptions>(directory =>
        {
            // The default reserves 20 MiB for the addresses of a million grains; a cluster has two a replica.
            directory.CacheSize = DirectoryCacheSize;

            // For half a minute a lost node's grains could not open elsewhere, lest there be two: the epoch makes two harmless.
            directory.RangeLeaseDuration = TimeSpan.Zero;
        });
        silo.AddOpenEbs(new OpenEbsSiloOptions
        {
            NodeName = options.NodeName,
            Pools = options.HasRole(NodeRole.Storage) ? [.. options.Pools.Select(ToPool)] : [],
            Portal = PortalGroup.AnnouncedBy(options),
            HttpAddress = PortalGroup.HttpAddressOf(options),
            Roles = [.. Enum.GetValues<NodeRole>().Where(options.HasRole).Select(role => role.ToString().ToLowerInvariant())],
            Version = ProgramVersion.Text,
            ReplacementDelay = Duration.TryParse(options.ReplacementDelay, out var delay) ? delay : throw new InvalidOperationException("The options were not validated."),
            Labels = LabelsOf(options),
            MaxOverprovisioning = options.MaxOverprovisioning,
            DefaultAccess = Enum.Parse<DefaultAccess>(options.DefaultAccess, ignoreCase: true),
            MaxMoves = options.MaxMoves,
            MaxMovesPerNode = options.MaxMovesPerNode,
            PoolThresholds = new Grains.Pools.PoolThresholds(options.PoolNearlyFullPercent, options.PoolFullPercent),
            MaxRebuilds = options.MaxRebuilds,
            Coordinator = new CoordinatorOptions
            {
                RebuildLimitBytesPerSecond = ByteRate.TryParse(options.RebuildLimit, out var limit, out _) ? limit : throw new InvalidOperationException("The options were not validated."),
                ScrubPeriod = Duration.TryParse(options.ScrubPeriod, out var scrubPeriod) ? scrubPeriod : throw new InvalidOperationException("The options were not validated."),
                ScrubLimitBytesPerSecond = ByteRate.TryParse(options.ScrubLimit, out var scrubLimit, out _) ? scrubLimit : throw new InvalidOperationException("The options were not validated."),
            },
            MediaErrorLimit = options.MediaErrorLimit,
            MediaErrorWindow = Duration.TryParse(options.MediaErrorWindow, out var window) ? window : throw new InvalidOperationException("The options were not validated."),
            SentinelPort = options.EffectiveSentinelPort is 0 ? null : options.EffectiveSentinelPort,
        });
        if (options.HasRole(NodeRole.Control)) silo.AddDashboard(dashboard => dashboard.HideTrace = true);
    }

    private static Grains.Pools.PoolOptions ToPool(Configuration.PoolOptions pool) =>
        new(pool.Id, Path.GetFullPath(pool.Path), ByteSize.TryParse(pool.Capacity, out var bytes, out _) ? bytes : null, new Dictionary<string, string>(pool.Labels));

    private static Dictionary<string, string> LabelsOf(NodeOptions options)
    {
        var labels = new Dictionary<string, string>(options.Labels);
        if (options.Zone is { } zone) labels[PoolLabels.Zone] = zone;
        return labels;
    }

    private static void AddLogging(WebApplicationBuilder builder, LogLevel logLevel)
    {
        builder.Logging.ClearProviders();
        builder.Logging.SetMinimumLevel(logLevel);
        if (logLevel == LogLevel.Warning)
        {
            // What Orleans warns of (a peer that restarts, a placement tried again, no server GC) is its daily life; what matters of it we say ourselves.
            builder.Logging.AddFilter("Orleans", LogLevel.Error);
            builder.Logging.AddFilter("Polly", LogLevel.None);

            // A node that stops offers its grains to its peers, and tells at length of each that stops as well; they open again where they are called.
            builder.Logging.AddFilter("Orleans.Runtime.ActivationMigrationManager", LogLevel.None);

            // The same told by the peer: it refuses volumes when it stops as well. Whoever asked for a grain that could not be activated learns of it by the call's failure.
            builder.Logging.AddFilter("Orleans.Grain", LogLevel.None);
        }

        builder.Logging.AddSimpleConsole(console =>
        {
            console.SingleLine = true;
            console.TimestampFormat = "HH:mm:ss.fff ";
            console.ColorBehavior = LoggerColorBehavior.Default;
        });
        builder.Services.Configure<ConsoleLoggerOptions>(console => console.LogToStandardErrorThreshold = LogLevel.Trace);
    }
}
