using OpenEbs.Access;
using OpenEbs.Grains.Gateways;
using OpenEbs.Grains.Pools;
using OpenEbs.Replication.Volumes;

namespace OpenEbs.Grains.Hosting;

/// <summary>What a node tells its silo about itself.</summary>
public sealed record OpenEbsSiloOptions
{
    /// <summary>Unique in the cluster and the same after a restart; also the silo's name.</summary>
    public required string NodeName { get; init; }

    /// <summary>Pools on this node's disks; none without the storage role.</summary>
    public IReadOnlyList<PoolOptions> Pools { get; init; } = [];

    /// <summary>iSCSI portal that initiators can reach, host:port; empty without the gateway role.</summary>
    public string Portal { get; init; } = "";

    /// <summary>Where the control role's REST interface is reached; empty without it.</summary>
    public string HttpAddress { get; init; } = "";

    /// <summary>storage, gateway, control.</summary>
    public IReadOnlyList<string> Roles { get; init; } = [];

    /// <summary>Version of the program, for people.</summary>
    public string Version { get; init; } = "";

    /// <summary>TCP port on which this silo is watched by the others, so that the death of its process is noticed at once; null for none.</summary>
    public int? SentinelPort { get; init; }

    /// <summary>True: a silo that the cluster declared dead ends its process at once, without flushing or unwinding anything.</summary>
    public bool ExitWhenDeclaredDead { get; init; } = true;

    /// <summary>True: membership finds a dead silo within about a second instead of ten (a hung one within two instead of sixty).</summary>
    public bool FastMembership { get; init; } = true;

    /// <summary>True: silos talk through the socket transport with large blocks; false: through Orleans' own. Either understands the other.</summary>
    public bool LargeBlockTransport { get; init; } = true;

    /// <summary>Times and limits of volume coordinators.</summary>
    public CoordinatorOptions Coordinator { get; init; } = new();

    /// <summary>Times of the gateway's connections to volumes.</summary>
    public VolumeConnectionOptions Connections { get; init; } = new();

    /// <summary>Who may log in to a volume that has no access rule of its own.</summary>
    public DefaultAccess DefaultAccess { get; init; } = DefaultAccess.None;

    /// <summary>How often a gateway holds its sessions against the rules without being told of a change.</summary>
    public TimeSpan AccessReviewInterval { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How often the cluster makes sure that every volume is open and nothing is left half created or half deleted.</summary>
    public TimeSpan KeepInterval { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>When a pool counts as nearly full, and as full.</summary>
    public PoolThresholds PoolThresholds { get; init; } = new();

    /// <summary>So many different media errors of a pool within <see cref="MediaErrorWindow"/> mark it, and have it drained; 0 for never.</summary>
    public int MediaErrorLimit { get; init; } = 10;

    /// <inheritdoc cref="MediaErrorLimit"/>
    public TimeSpan MediaErrorWindow { get; init; } = TimeSpan.FromHours(24);

    /// <summary>How many rebuilds the volumes that this silo coordinates run at the same time, at least 1.</summary>
    public int MaxRebuilds { get; init; } = 2;

    /// <summary>How long a replica may be lost before a new one takes its place, on another pool.</summary>
    public TimeSpan ReplacementDelay { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>What the operator says of this node's pools, such as disk=ssd; a pool's own labels win.</summary>
    public IReadOnlyDictionary<string, string> Labels { get; init; } = new Dictionary<string, string>();

    /// <summary>By how much the sizes of the volumes placed on a pool may exceed its capacity.</summary>
    public double MaxOverprovisioning { get; init; } = 10;

    /// <summary>Most volumes in the cluster that have a replica moved from a draining pool at the same time.</summary>
    public int MaxMoves { get; init; } = 8;

    /// <summary>Most of these from or to one node.</summary>
    public int MaxMovesPerNode { get; init; } = 2;
}
