using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using OpenEbs.Buffers;
using OpenEbs.Grains.Gateways;

namespace OpenEbs.Grains.Hosting;

/// <summary>Adds OpenEBS to a silo.</summary>
public static class OpenEbsSiloBuilderExtensions
{
    /// <summary>Name of the grain storage that the host must add (<c>AddAdoNetGrainStorage("openebs", ...)</c> or another).</summary>
    public const string StorageName = "openebs";

    /// <summary>Registers grains, placement, pools, gateway and membership settings. Clustering, endpoints and grain storage <see cref="StorageName"/> are the host's to add.</summary>
    public static ISiloBuilder AddOpenEbs(this ISiloBuilder silo, OpenEbsSiloOptions options)
    {
        var services = silo.Services;
        services.AddSingleton(options);
        services.AddSingleton(options.Connections);
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton<IoBufferSharing>();
        services.AddSingleton<VolumeGateway>();
        return silo;
    }
}
