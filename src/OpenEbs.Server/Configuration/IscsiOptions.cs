using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using OpenEbs.Iscsi.Access;
using OpenEbs.Iscsi.Portals;
using OpenEbs.Units;

namespace OpenEbs.Server.Configuration;

/// <summary>The iSCSI portal of a node: section <c>OpenEbs:Iscsi</c>. Times are written like 15s.</summary>
internal sealed class IscsiOptions
{
    /// <summary>Addresses of this host, or names of its interfaces such as eth1, that the portal listens on.</summary>
    /// <value>Absent: BindAddress.</value>
    public IList<string>? Interfaces { get; set; }

    /// <summary>Names of credentials, one of which a discovery session has to prove by CHAP.</summary>
    /// <value>Absent: discovery without proof; it shows an initiator the targets that its name may log in to.</value>
    public IList<string>? DiscoveryCredentials { get; set; }

    /// <summary>Hashes of CHAP that are taken: any of sha3-256, sha256, sha1, md5.</summary>
    /// <value>Absent: all that the platform has.</value>
    public IList<string>? ChapAlgorithms { get; set; }

    /// <summary>TCP connections, logged in or not.</summary>
    /// <value>1024</value>
    public int MaxConnections { get; set; } = 1024;

    /// <summary>Connections from one address (of IPv6: one network of 64 bits).</summary>
    /// <value>512</value>
    public int MaxConnectionsPerAddress { get; set; } = 512;

    /// <summary>New connections a second from one address, in the long run.</summary>
    /// <value>100</value>
    public double ConnectionRatePerAddress { get; set; } = 100;

    /// <summary>New connections from one address at once, before the rate holds.</summary>
    /// <value>1000</value>
    public int ConnectionBurstPerAddress { get; set; } = 1000;

    /// <summary>Connections that are still logging in; when one more comes the oldest of the address that has most of them is closed.</summary>
    /// <value>256</value>
    public int MaxLoginConnections { get; set; } = 256;

    /// <summary>Normal sessions.</summary>
    /// <value>128</value>
    public int MaxSessions { get; set; } = 128;

    /// <summary>Normal sessions on one volume.</summary>
    /// <value>32</value>
    public int MaxSessionsPerVolume { get; set; } = 32;

    /// <summary>Discovery sessions; when one more comes the oldest is closed.</summary>
    /// <value>32</value>
    public int MaxDiscoverySessions { get; set; } = 32;

    /// <summary>Time for a login.</summary>
    /// <value>15s</value>
    public string LoginTimeout { get; set; } = "15s";

    /// <summary>Silence after which an initiator is pinged (NOP-In).</summary>
    /// <value>10s</value>
    public string NopInterval { get; set; } = "10s";

    /// <summary>Silence after a ping that ends its session.</summary>
    /// <value>20s</value>
    public string NopTimeout { get; set; } = "20s";

    /// <summary>Every problem, each with its key, its value and the cure.</summary>
    public IEnumerable<string> Problems()
    {
        foreach (var (key, text) in new[] { ("LoginTimeout", LoginTimeout), ("NopInterval", NopInterval), ("NopTimeout", NopTimeout) })
        {
            if (!Duration.TryParse(text, out var time) || time < TimeSpan.FromSeconds(1) || time > TimeSpan.FromHours(1)) yield return $"Iscsi:{key} is '{text}'; give 1s to 1h";
        }

        foreach (var name in ChapAlgorithms ?? [])
        {
            if (!ChapDigest.Supported.Any(algorithm => ChapDigest.NameOf(algorithm) == name))
                yield return $"Iscsi:ChapAlgorithms has '{name}'; this platform has {string.Join(", ", ChapDigest.Supported.Select(ChapDigest.NameOf))}";
        }

        foreach (var name in (DiscoveryCredentials ?? []).Where(name => !OpenEbs.Access.CredentialSpec.IsName(name))) yield return $"Iscsi:DiscoveryCredentials has '{name}', which is no name of a credential";
        foreach (var name in (Interfaces ?? []).Where(name => AddressesOf(name).Count == 0))
            yield return $"Iscsi:Interfaces has '{name}'; give an IP address of this host or the name of one of its interfaces that has an address ({string.Join(", ", NetworkInterface.GetAllNetworkInterfaces().Select(one => one.Name))})";
        foreach (var problem in ToPortalOptions(1).Validate()) yield return $"Iscsi: {problem.Replace("MaxSessionsPerTarget", "MaxSessionsPerVolume", StringComparison.Ordinal)}";
    }

    /// <summary>Where the portal listens.</summary>
    /// <param name="bind">Without <see cref="Interfaces"/>.</param>
    /// <param name="port">The port, everywhere the same.</param>
    public IReadOnlyList<IPEndPoint> EndPoints(IPAddress bind, int port) =>
        Interfaces is { Count: > 0 } names ? [.. names.SelectMany(AddressesOf).Distinct().Select(address => new IPEndPoint(address, port))] : [new IPEndPoint(bind, port)];

    /// <summary>Settings of the portal; a time that cannot be read is what <see cref="Problems"/> tells of.</summary>
    public IscsiPortalOptions ToPortalOptions(int portalGroupTag) => new()
    {
        PortalGroupTag = portalGroupTag,
        MaxConnections = MaxConnections,
        MaxConnectionsPerAddress = MaxConnectionsPerAddress,
        ConnectionRatePerAddress = ConnectionRatePerAddress,
        ConnectionBurstPerAddress = ConnectionBurstPerAddress,
        MaxLoginConnections = MaxLoginConnections,
        MaxSessions = MaxSessions,
        MaxSessionsPerTarget = MaxSessionsPerVolume,
        MaxDiscoverySessions = MaxDiscoverySessions,
        LoginTimeout = TimeOf(LoginTimeout),
        NopInterval = TimeOf(NopInterval),
        NopTimeout = TimeOf(NopTimeout),
        ChapAlgorithms = ChapAlgorithms is { Count: > 0 } names ? [.. ChapDigest.Supported.Where(algorithm => names.Contains(ChapDigest.NameOf(algorithm)))] : ChapDigest.Supported,
    };

    private static TimeSpan TimeOf(string text) => Duration.TryParse(text, out var time) && time > TimeSpan.Zero ? time : TimeSpan.FromSeconds(1);

    private static IReadOnlyList<IPAddress> AddressesOf(string name)
    {
        if (IPAddress.TryParse(name, out var address)) return [address];

        // Link-local addresses are reached only with a scope, which SendTargets cannot tell.
        return [.. NetworkInterface.GetAllNetworkInterfaces().Where(one => one.Name == name).SelectMany(one => one.GetIPProperties().UnicastAddresses).Select(one => one.Address)
            .Where(one => one.AddressFamily == AddressFamily.InterNetwork || (one.AddressFamily == AddressFamily.InterNetworkV6 && !one.IsIPv6LinkLocal))];
    }
}
