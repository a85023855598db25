using System.Globalization;
using System.Net;
using OpenEbs.Server.Configuration;

namespace OpenEbs.Server.Portals;

/// <summary>Target portal group tags: each gateway is a group of its own (no session spans two), and all gateways must give each the same tag.</summary>
internal static class PortalGroup
{
    private const uint FnvOffset = 2166136261;
    private const uint FnvPrime = 16777619;

    public static int TagOf(NodeOptions options) => TagOf(new IPEndPoint(options.Advertised, options.IscsiPort));

    /// <summary>1 to 65535, made from the portal's announced address, so that nobody has to hand out numbers. Two portals with equal tags would still work: initiators tell
    /// them apart by address.</summary>
    public static int TagOf(IPEndPoint announced)
    {
        var hash = FnvOffset;
        foreach (var c in announced.ToString()) hash = (hash ^ c) * FnvPrime;
        return (int)(hash % 65535) + 1;
    }

    /// <summary>The portal as it is announced, host:port.</summary>
    public static string AnnouncedBy(NodeOptions options) =>
        options.HasRole(NodeRole.Gateway) ? new IPEndPoint(options.Advertised, options.IscsiPort).ToString() : "";

    /// <summary>The HTTP endpoint as it is announced.</summary>
    public static string HttpAddressOf(NodeOptions options) =>
        string.Create(CultureInfo.InvariantCulture, $"http://{new IPEndPoint(options.Advertised, options.HttpPort)}");
}
