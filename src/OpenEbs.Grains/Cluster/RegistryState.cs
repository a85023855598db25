using OpenEbs.Pools;
using OpenEbs.Volumes;

namespace OpenEbs.Grains.Cluster;

/// <summary>What the registry remembers. Every step of creating and deleting is written here before it is taken, so that whoever comes next can finish it.</summary>
internal sealed class RegistryState
{
    public Dictionary<string, RegisteredVolume> Volumes { get; set; } = [];

    /// <summary>Replicas of deleted volumes whose files are still on a pool that was offline.</summary>
    public List<RegisteredReplica> Removals { get; set; } = [];

    /// <summary>Pools ever seen, so that one that is offline can be listed.</summary>
    public Dictionary<string, RegisteredPool> Pools { get; set; } = [];

    /// <summary>Nodes that were running at the last look, with the address of their silo.</summary>
    public Dictionary<string, string> Nodes { get; set; } = [];

    /// <summary>What happened to the cluster, the newest last.</summary>
    public List<ClusterEvent> Events { get; set; } = [];

    /// <summary>Nodes that are not simply available.</summary>
    public Dictionary<string, RegisteredAvailability> NodeAvailability { get; set; } = [];

    /// <summary>Pools that are not simply available by themselves (their node may make them so too).</summary>
    public Dictionary<string, RegisteredAvailability> PoolAvailability { get; set; } = [];

    /// <summary>Volumes that need a replica for which there is no place, with the reason.</summary>
    public Dictionary<string, string> Unplaced { get; set; } = [];

    /// <summary>Nodes that were removed, with the address of their last silo: the membership table remembers it for days.</summary>
    public Dictionary<string, string> RemovedNodes { get; set; } = [];

    /// <summary>Pools that are marked because their media fail.</summary>
    public Dictionary<string, RegisteredSuspicion> SuspectPools { get; set; } = [];

    /// <summary>When the mark was taken from a pool that had one: errors of before do not count any more.</summary>
    public Dictionary<string, DateTimeOffset> TrustedPools { get; set; } = [];

    /// <summary>Ids of the pools that a node has, or had when it was there last.</summary>
    public IReadOnlyCollection<string> PoolsOf(string node) => [.. Pools.Where(pool => pool.Value.Node == node).Select(pool => pool.Key)];

    /// <summary>A copy that can be changed: the collections are new, what is in them never changes.</summary>
    public RegistryState Copy() => new()
    {
        Volumes = new Dictionary<string, RegisteredVolume>(Volumes),
        Removals = [.. Removals],
        Pools = new Dictionary<string, RegisteredPool>(Pools),
        Nodes = new Dictionary<string, string>(Nodes),
        Events = [.. Events],
        NodeAvailability = new Dictionary<string, RegisteredAvailability>(NodeAvailability),
        PoolAvailability = new Dictionary<string, RegisteredAvailability>(PoolAvailability),
        Unplaced = new Dictionary<string, string>(Unplaced),
        RemovedNodes = new Dictionary<string, string>(RemovedNodes),
        SuspectPools = new Dictionary<string, RegisteredSuspicion>(SuspectPools),
        TrustedPools = new Dictionary<string, DateTimeOffset>(TrustedPools),
    };
}

/// <summary>How far a volume's creation or deletion has come. Names are stored: never change them.</summary>
internal enum RegistrationStage
{
    /// <summary>Its pools are chosen; its record and replicas may not exist yet.</summary>
    Creating,

    /// <summary>It was opened once.</summary>
    Created,

    /// <summary>It is being deleted; some of it may be gone.</summary>
    Deleting,
}

internal sealed record RegisteredVolume
{
    public required Guid Uid { get; init; }

    /// <summary>As it was asked for; the volume's record has the current size.</summary>
    public required VolumeSpec Spec { get; init; }

    public required RegistrationStage Stage { get; init; }

    public required List<RegisteredReplica> Replicas { get; init; }
}

internal sealed record RegisteredReplica(string Pool, string Id);

/// <param name="Node">Its node, when it was online last.</param>
/// <param name="Path">Its directory there.</param>
/// <param name="CapacityBytes">Its capacity.</param>
/// <param name="IsOffline">It was not online at the last look.</param>
/// <param name="Labels">Its labels, as text.</param>
/// <param name="Fullness">How full it was at the last look.</param>
internal sealed record RegisteredPool(string Node, string Path, long CapacityBytes, bool IsOffline = false, string Labels = "", PoolFullness Fullness = PoolFullness.Healthy);

/// <param name="Availability">Cordoned, Draining or Drained.</param>
/// <param name="Since">When it became so; of a drained one, when its drain began.</param>
/// <param name="ReplicasAtStart">Replicas that were there when its drain began.</param>
internal sealed record RegisteredAvailability(Availability Availability, DateTimeOffset Since, int ReplicasAtStart = 0);

/// <param name="Since">When the pool was marked.</param>
/// <param name="Reason">For people.</param>
internal sealed record RegisteredSuspicion(DateTimeOffset Since, string Reason);
