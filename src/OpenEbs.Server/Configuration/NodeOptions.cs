using System.Net;
using System.Text.Json.Serialization;

namespace OpenEbs.Server.Configuration;

/// <summary>What a node does for its cluster.</summary>
internal enum NodeRole
{
    /// <summary>Owns pools and holds replicas.</summary>
    Storage,

    /// <summary>Offers volumes through an iSCSI portal.</summary>
    Gateway,

    /// <summary>Answers REST under /api/v1 and shows the Orleans dashboard under /orleans. (Health and metrics are answered by every node.)</summary>
    Control,
}

/// <summary>When a portal sends a login to another one (iSCSI: Target moved temporarily).</summary>
internal enum LoginRedirection
{
    Never,

    /// <summary>While the node is drained or stops: initiators are asked to log out as well.</summary>
    Leaving,

    /// <summary>Also when the volume is coordinated on another node, where others use it: for initiators with one path each.</summary>
    Optimized,
}

/// <summary>Where the cluster's membership and volume records live.</summary>
internal enum MetadataStore
{
    /// <summary>A file that all nodes of the cluster open: nodes on one machine.</summary>
    Sqlite,
}

/// <summary>Configuration of one node: section <c>OpenEbs</c> of appsettings.json or of the file given with --config, or environment variables
/// <c>OPENEBS__KEY</c> (lists: <c>OPENEBS__POOLS__0__PATH</c>). The environment wins over --config, that over appsettings.json.</summary>
internal sealed class NodeOptions
{
    public const string Section = "OpenEbs";

    /// <summary>Nodes with equal ids and one metadata store are one cluster.</summary>
    /// <value>openebs</value>
    public string ClusterId { get; set; } = "openebs";

    /// <summary>Names this node in the cluster; must be unique there and stay the same for the life of the node.</summary>
    /// <value>The host's name.</value>
    public string NodeName { get; set; } = Environment.MachineName.ToLowerInvariant();

    /// <summary>Any of storage, gateway, control.</summary>
    /// <value>All three.</value>
    public IList<string>? Roles { get; set; }

    /// <summary>Address that the silo, the portal and HTTP listen on. Between nodes, in REST and for Orleans clients nothing asks for a password: keep it to a trusted network. (iSCSI logins do, as access rules say.)</summary>
    /// <value>127.0.0.1</value>
    public string BindAddress { get; set; } = "127.0.0.1";

    /// <summary>Address under which other nodes and initiators reach this node.</summary>
    /// <value>BindAddress; required when that is 0.0.0.0 or ::.</value>
    public string? AdvertisedAddress { get; set; }

    /// <summary>Port of the Orleans silo: traffic between nodes.</summary>
    /// <value>11111</value>
    public int SiloPort { get; set; } = 11111;

    /// <summary>Port on which the other nodes watch this process, so that its death is noticed at once. 0: none.</summary>
    /// <value>SiloPort + 50</value>
    public int? SentinelPort { get; set; }

    /// <summary>Port for Orleans clients (OpenEbs.Client).</summary>
    /// <value>30000</value>
    public int OrleansGatewayPort { get; set; } = 30000;

    /// <summary>Port of the iSCSI portal (role gateway).</summary>
    /// <value>3260</value>
    public int IscsiPort { get; set; } = 3260;

    /// <summary>When this node's portal sends initiators to another node's: never; leaving (while this node is drained or stops); optimized (also to the portal beside the volume). An initiator that has
    /// another session with the volume is never sent to the same portal twice.</summary>
    /// <value>leaving</value>
    public string LoginRedirection { get; set; } = "leaving";

    /// <summary>Port of REST, dashboard, health and metrics.</summary>
    /// <value>8080</value>
    public int HttpPort { get; set; } = 8080;

    /// <summary>Storage that this node gives (role storage).</summary>
    public IList<PoolOptions> Pools { get; set; } = [];

    /// <summary>The cluster's metadata store.</summary>
    public MetadataOptions Metadata { get; set; } = new();

    /// <summary>How long a replica may be lost before a new one takes its place on another pool, such as 10m; 0 for at once. The same on all nodes with the role control.</summary>
    /// <value>10m</value>
    public string ReplacementDelay { get; set; } = "10m";

    /// <summary>What is said of this node's pools, by key: { "disk": "ssd" }. Volumes select pools by labels.</summary>
    public IDictionary<string, string> Labels { get; set; } = new Dictionary<string, string>();

    /// <summary>What fails together with this node, such as a rack: short for the label topology.kubernetes.io/zone.</summary>
    /// <value>Absent: none.</value>
    public string? Zone { get; set; }

    /// <summary>By how much the sizes of the volumes placed on a pool may exceed its capacity. The same on all nodes.</summary>
    /// <value>10</value>
    public double MaxOverprovisioning { get; set; } = 10;

    /// <summary>Most volumes in the cluster that have a replica moved from a draining node or pool at the same time. The same on all nodes, as the next.</summary>
    /// <value>8</value>
    public int MaxMoves { get; set; } = 8;

    /// <summary>Most of these from or to one node.</summary>
    /// <value>2</value>
    public int MaxMovesPerNode { get; set; } = 2;

    /// <summary>Used part of a pool, in percent, from which on it counts as nearly full: an event tells of it, and replicas give back what they can.</summary>
    /// <value>85</value>
    public int PoolNearlyFullPercent { get; set; } = 85;

    /// <summary>Used part of a pool, in percent, from which on it counts as full. Writes that need space are refused when nothing is left but the reserve of 64 MiB.</summary>
    /// <value>95</value>
    public int PoolFullPercent { get; set; } = 95;

    /// <summary>Most that rebuilds of a volume copy in a second, such as 50MiB/s, for volumes without a limit of their own; none for no limit. The same on all nodes.</summary>
    /// <value>none</value>
    public string RebuildLimit { get; set; } = "none";

    /// <summary>How many rebuilds run at the same time of the volumes that this node coordinates.</summary>
    /// <value>2</value>
    public int MaxRebuilds { get; set; } = 2;

    /// <summary>Within which every block of every replica is read from media and checked, at an even rate; 0 for never. The same on all nodes, as the next.</summary>
    /// <value>7d</value>
    public string ScrubPeriod { get; set; } = "7d";

    /// <summary>Most that a scrub which was asked for reads of each replica in a second, such as 50MiB/s; none for no limit.</summary>
    /// <value>200MiB/s</value>
    public string ScrubLimit { get; set; } = "200MiB/s";

    /// <summary>So many different media errors of a pool within MediaErrorWindow mark it, and have it drained; 0 for never. The same on all nodes, as the next.</summary>
    /// <value>10</value>
    public int MediaErrorLimit { get; set; } = 10;

    /// <summary>See MediaErrorLimit.</summary>
    /// <value>24h</value>
    public string MediaErrorWindow { get; set; } = "24h";

    /// <summary>Who may log in to a volume that has no access rule of its own: none or all. The same on all nodes.</summary>
    /// <value>none</value>
    public string DefaultAccess { get; set; } = "none";

    /// <summary>The iSCSI portal (role gateway).</summary>
    public IscsiOptions Iscsi { get; set; } = new();

    /// <summary>Share of SCSI commands that are traced when OTEL_EXPORTER_OTLP_ENDPOINT is set, 0 to 1.</summary>
    /// <value>0.01</value>
    public double TraceRatio { get; set; } = 0.01;

    public bool HasRole(NodeRole role) =>
        Roles is not { Count: > 0 } || Roles.Any(text => Enum.TryParse<NodeRole>(text, ignoreCase: true, out var parsed) && parsed == role);

    [JsonIgnore]
    public LoginRedirection EffectiveLoginRedirection => Enum.Parse<LoginRedirection>(LoginRedirection, ignoreCase: true);

    [JsonIgnore]
    public int EffectiveSentinelPort => SentinelPort ?? SiloPort + 50;

    [JsonIgnore]
    public IPAddress Bind => IPAddress.Parse(BindAddress);

    [JsonIgnore]
    public IPAddress Advertised => IPAddress.Parse(AdvertisedAddress ?? BindAddress);
}

/// <summary>A directory that holds replicas.</summary>
internal sealed class PoolOptions
{
    /// <summary>Names the pool in the whole cluster, for ever; it may move to another node, but never be on two.</summary>
    public string Id { get; set; } = "";

    /// <summary>Directory; created when absent. Best a disk's file system of its own.</summary>
    public string Path { get; set; } = "";

    /// <summary>Most bytes that replicas may occupy, such as 500Gi.</summary>
    /// <value>Absent: what the file system has.</value>
    public string? Capacity { get; set; }

    /// <summary>What is said of this pool, by key; wins over what is said of its node.</summary>
    public IDictionary<string, string> Labels { get; set; } = new Dictionary<string, string>();
}

/// <summary>Where the cluster's metadata lives.</summary>
internal sealed class MetadataOptions
{
    /// <value>sqlite</value>
    public string Store { get; set; } = "sqlite";

    /// <summary>The SQLite file; created when absent. Must be on a local disk.</summary>
    public string Path { get; set; } = "";
}
