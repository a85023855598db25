using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using OpenEbs.Buffers;
using OpenEbs.Grains.Access;
using OpenEbs.Grains.Cluster;
using OpenEbs.Grains.Gateways;
using OpenEbs.Grains.Membership;
using OpenEbs.Grains.Nodes;
using OpenEbs.Grains.Pools;
using OpenEbs.Grains.Replicas;
using OpenEbs.Grains.Replicas.Messages;
using OpenEbs.Grains.Transport;
using OpenEbs.Grains.Volumes;
using OpenEbs.Replication.Rebuilds;
using Orleans.Configuration;
using Orleans.Runtime.MembershipService.SiloMetadata;
using Orleans.Runtime.Placement;
using Orleans.Serialization;
using Orleans.Storage;

namespace OpenEbs.Grains.Hosting;

/// <summary>Adds OpenEBS to a silo.</summary>
public static class OpenEbsSiloBuilderExtensions
{
    /// <summary>Name of the grain storage that the host must add (<c>AddAdoNetGrainStorage("openebs", ...)</c> or another).</summary>
    public const string StorageName = "openebs";

    /// <summary>Registers grains, placement, pools, gateway and membership settings, and names the silo. Clustering, endpoints and grain storage <see cref="StorageName"/> are the host's to add;
    /// what it stores is plain JSON.</summary>
    public static ISiloBuilder AddOpenEbs(this ISiloBuilder silo, OpenEbsSiloOptions options)
    {
        silo.Configure<SiloOptions>(siloOptions => siloOptions.SiloName = options.NodeName);
        silo.UseSiloMetadata(NodeMetadata.Write(NodeMetadata.FactsOf(options)));
        if (options.FastMembership) silo.Configure<ClusterMembershipOptions>(TuneMembership);

        // A call that timed out is not worth a cancellation message: to a dead silo it fails, and is logged at length.
        silo.Configure<SiloMessagingOptions>(messaging => messaging.CancelRequestOnTimeout = false);
        var services = silo.Services;
        services.AddSingleton(options);
        services.TryAddSingleton(TimeProvider.System);
        AddData(services, options);
        AddControl(services);
        services.AddPlacementDirector<NodePlacement, NodePlacementDirector>();
        services.AddPlacementDirector<PoolPlacement, PoolPlacementDirector>();
        services.AddPlacementDirector<VolumePlacement, VolumePlacementDirector>();
        services.AddSerializer(serializer => serializer.Configure(MessageAliases.Register));
        services.AddKeyedSingleton<IGrainStorageSerializer, PlainJsonStorageSerializer>(StorageName);
        if (options.ExitWhenDeclaredDead) services.Replace(ServiceDescriptor.Singleton<IFatalErrorHandler, FastExit>());
        if (options.LargeBlockTransport) LargeBlockTransport.Use(services);
        return silo;
    }

    private static void AddData(IServiceCollection services, OpenEbsSiloOptions options)
    {
        services.AddSingleton(options.Connections);
        services.AddSingleton<IoBufferSharing>();
        services.AddSingleton(provider => new VolumeGateway(
            provider.GetRequiredService<IGrainFactory>(), provider.GetRequiredService<ILocalSiloDetails>(), provider.GetRequiredService<LocalVolumes>(), options.Connections,
            provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<VolumeGateway>>()) { Live = provider.GetRequiredService<GatewaySessions>() });
        services.AddSingleton<AccessRecords>();
        services.AddSingleton<GatewaySessions>();
        services.AddSingleton(provider => new GatewayAccess(
            provider.GetRequiredService<AccessRecords>(), provider.GetRequiredService<GatewaySessions>(), provider.GetRequiredService<IGrainFactory>(), options,
            provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<GatewayAccess>>()));
        services.AddSingleton<LocalReplicas>();
        services.AddSingleton(new RebuildSlots(options.MaxRebuilds));
        services.AddSingleton<VolumeRecords>();
        services.TryAddSingleton<IReplicaStoreProvider, FileReplicaStores>();
        AddWithLifecycle<LocalPools>(services);
        AddWithLifecycle<LocalVolumes>(services);
    }

    private static void AddControl(IServiceCollection services)
    {
        services.AddSingleton<PoolCensus>();
        AddWithLifecycle<NodeDirectory>(services);
        AddWithLifecycle<ClusterUpkeep>(services);
        AddWithLifecycle<ProcessSentinel>(services);
    }

    /// <summary>A killed process is noticed in about 0.7 s and a hung one in about 1.3 s (10 and 60 s untuned); eight busy loops on two cores caused no false alarm.</summary>
    private static void TuneMembership(ClusterMembershipOptions membership)
    {
        membership.ProbeTimeout = TimeSpan.FromSeconds(1);
        membership.MaxProbeTimeout = TimeSpan.FromSeconds(2);
        membership.NumMissedProbesLimit = 2;
        membership.NumVotesForDeathDeclaration = 2;

        // It would hold back votes for as long as the connection has carried anything within a minute: a hung process keeps its connections open.
        membership.EnableConnectionLivenessCheck = false;

        // How soon a silo that was declared dead while it was paused learns of it.
        membership.TableRefreshTimeout = TimeSpan.FromSeconds(1);
    }

    private static void AddWithLifecycle<T>(IServiceCollection services)
        where T : class, ILifecycleParticipant<ISiloLifecycle>
    {
        services.AddSingleton<T>();
        services.AddSingleton<ILifecycleParticipant<ISiloLifecycle>>(provider => provider.GetRequiredService<T>());
    }
}
