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
internal sealed record RegisteredPool(string Node, string Path, long CapacityBytes, bool IsOffline = false);
