using OpenEbs.Volumes;

namespace OpenEbs.Rest;

// Files in this folder are the REST resources; they are compiled into the server and into openebsctl.

/// <summary>A replicated block volume.</summary>
public sealed record VolumeResource
{
    /// <summary>Name, unique in the cluster; also the last part of the target name.</summary>
    public required string Name { get; init; }

    /// <summary>Identifies this volume for ever, also after another volume got its name.</summary>
    public required Guid Uid { get; init; }

    /// <summary>Size in bytes.</summary>
    public required long SizeBytes { get; init; }

    /// <summary>Number of replicas, each on a pool of its own.</summary>
    public required int ReplicaCount { get; init; }

    /// <summary>Logical block length in bytes, 512 or 4096.</summary>
    public required int BlockLength { get; init; }

    /// <summary>True: a write may be acknowledged before it is on stable media, until the next flush. False: every write is on stable media of every in-sync replica.</summary>
    public required bool WriteCache { get; init; }

    /// <summary>Fewest in-sync replicas with which the volume serves I/O.</summary>
    public required int MinInSync { get; init; }

    /// <summary>Whether two replicas may share a node: Soft (if it cannot be helped) or Hard (never).</summary>
    public AntiAffinity NodeAntiAffinity { get; init; }

    /// <summary>The same for zones.</summary>
    public AntiAffinity ZoneAntiAffinity { get; init; }

    /// <summary>Labels that the pools must have; empty for any pool.</summary>
    public string Selector { get; init; } = "";

    /// <summary>Whether a replica is to be beside the gateway through which the volume is used: None or Preferred.</summary>
    public Locality Locality { get; init; }

    /// <summary>Seconds that I/O waits for a volume that cannot serve before it fails.</summary>
    public required double IoTimeoutSeconds { get; init; }

    /// <summary>What becomes of I/O that has waited for so long.</summary>
    public TimeoutAction OnTimeout { get; init; }

    /// <summary>Whether the volume serves I/O: Healthy (all replicas in sync), Degraded (serving with fewer), Opening or Frozen (I/O waits), Deleting.</summary>
    public required VolumeState State { get; init; }

    /// <summary>Why the volume is Opening or Frozen; empty otherwise.</summary>
    public required string Reason { get; init; }

    /// <summary>The fence: rises with every opening of the volume.</summary>
    public required long Epoch { get; init; }

    /// <summary>Node on which the volume's coordinator is active; empty when it is nowhere active.</summary>
    public required string Coordinator { get; init; }

    /// <summary>iSCSI target name; the volume is its LUN 0.</summary>
    public required string TargetName { get; init; }

    /// <summary>iSCSI portals through which the volume can be reached, host:port.</summary>
    public required IReadOnlyList<string> Portals { get; init; }

    /// <summary>Sequence number of the newest operation.</summary>
    public required long Seq { get; init; }

    /// <summary>All operations up to this one are on stable media of every in-sync replica.</summary>
    public required long CommitSeq { get; init; }

    /// <summary>Most that rebuilds of its replicas copy in a second, in bytes; 0 for no limit, null for the cluster's default.</summary>
    public long? RebuildLimitBytesPerSecond { get; init; }

    /// <summary>The volume's replicas.</summary>
    public required IReadOnlyList<ReplicaResource> Replicas { get; init; }

    /// <summary>Who may log in; absent in lists.</summary>
    public AccessResource? Access { get; init; }

    /// <summary>iSCSI sessions on the volume.</summary>
    public required IReadOnlyList<SessionResource> Sessions { get; init; }

    /// <summary>When the last scrub of the whole volume ended; absent when there was none yet.</summary>
    public DateTimeOffset? LastScrubAt { get; init; }

    /// <summary>How far the present scrub has come, 0 to 1.</summary>
    public double ScrubProgress { get; init; }

    /// <summary>A scrub that was asked for is under way.</summary>
    public bool IsScrubbing { get; init; }

    /// <summary>The last scrub of the whole volume; absent when there was none yet.</summary>
    public ScrubResource? LastScrub { get; init; }

    /// <summary>The scrub under way; absent between two.</summary>
    public ScrubResource? PresentScrub { get; init; }

    /// <summary>What the cluster would do for the volume and cannot, such as making a replica for which there is no pool; empty when there is nothing.</summary>
    public string Concern { get; init; } = "";
}
