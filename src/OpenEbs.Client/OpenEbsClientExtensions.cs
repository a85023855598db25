using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Orleans.Configuration;

namespace OpenEbs.Client;

/// <summary>Adds <see cref="OpenEbsClient"/> to a program.</summary>
public static class OpenEbsClientExtensions
{
    /// <summary>Cluster and service id of a cluster that was not given others.</summary>
    public const string DefaultClusterId = "openebs";

    /// <summary>Adds a client that reaches the cluster as <paramref name="configure"/> says (any Orleans clustering will do).</summary>
    public static IServiceCollection AddOpenEbsClient(this IServiceCollection services, Action<IClientBuilder> configure)
    {
        services.AddOrleansClient(client =>
        {
            client.Configure<ClusterOptions>(cluster =>
            {
                cluster.ClusterId = DefaultClusterId;
                cluster.ServiceId = DefaultClusterId;
            });
            configure(client);
        });
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<OpenEbsClient>();
        return services;
    }

    /// <summary>Adds a client that reaches the cluster through the Orleans gateways given.</summary>
    public static IServiceCollection AddOpenEbsClient(this IServiceCollection services, params IPEndPoint[] gateways) =>
        services.AddOpenEbsClient(client => client.UseStaticClustering(gateways));

    /// <inheritdoc cref="AddOpenEbsClient(IServiceCollection, Action{IClientBuilder})"/>
    public static IHostBuilder AddOpenEbsClient(this IHostBuilder host, Action<IClientBuilder> configure) =>
        host.ConfigureServices(services => services.AddOpenEbsClient(configure));
}
