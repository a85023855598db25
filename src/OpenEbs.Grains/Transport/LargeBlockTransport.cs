using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.DependencyInjection;

namespace OpenEbs.Grains.Transport;

/// <summary>Puts the large-block transport in place of Orleans' sockets, in a silo (between silos, and towards clients) or a client.</summary>
internal static class LargeBlockTransport
{
    /// <summary>Orleans registers its transports under keys that are objects of its own: each registration is replaced under the key that it has.</summary>
    public static void Use(IServiceCollection services)
    {
        for (var i = 0; i < services.Count; i++)
        {
            if (!services[i].IsKeyedService) continue;
            if (services[i].ServiceType == typeof(IConnectionFactory))
            {
                services[i] = ServiceDescriptor.KeyedSingleton<IConnectionFactory, LargeBlockConnectionFactory>(services[i].ServiceKey);
            }
            else if (services[i].ServiceType == typeof(IConnectionListenerFactory))
            {
                services[i] = ServiceDescriptor.KeyedSingleton<IConnectionListenerFactory, LargeBlockListenerFactory>(services[i].ServiceKey);
            }
        }
    }
}
