using OpenEbs.Replicas;

namespace OpenEbs.Volumes;

/// <summary>Whether a volume serves I/O.</summary>
public enum VolumeState
{
    /// <summary>The coordinator is fencing, choosing the source and levelling replicas; I/O waits.</summary>
    Opening,

    /// <summary>As many replicas are in sync as the spec asks for.</summary>
    Healthy,

    /// <summary>Serving, with fewer replicas in sync than the spec asks for.</summary>
    Degraded,

    /// <summary>Fewer replicas in sync than minInSync, or no metadata store: I/O waits up to ioTimeout.</summary>
    Frozen,

    /// <summary>Being deleted; I/O is refused.</summary>
    Deleting,
}

/// <summary>A volume as a user sees it.</summary>
[GenerateSerializer, Immutable, Alias("openebs.VolumeView")]
public sealed record VolumeView
{
    [Id(0)] public required string Name { get; init; }
    [Id(1)] public required Guid Uid { get; init; }
    [Id(2)] public required VolumeSpec Spec { get; init; }
    [Id(3)] public required VolumeState State { get; init; }
    [Id(4)] public required long Epoch { get; init; }

    /// <summary>Name of the node on which the volume grain is active.</summary>
    [Id(5)] public required string Coordinator { get; init; }

    /// <summary>iSCSI target name, e.g. iqn.2016-09.com.openebs.orleans:demo.</summary>
    [Id(6)] public required string TargetName { get; init; }

    /// <summary>Portals of all gateways, host:port.</summary>
    [Id(7)] public IReadOnlyList<string> Portals { get; init; } = [];
    [Id(8)] public IReadOnlyList<ReplicaView> Replicas { get; init; } = [];
    [Id(9)] public IReadOnlyList<SessionView> Sessions { get; init; } = [];

    /// <summary>Seq of the newest operation.</summary>
    [Id(10)] public long Seq { get; init; }

    /// <summary>All operations up to this seq are on stable media of every in-sync replica.</summary>
    [Id(11)] public long CommitSeq { get; init; }

    /// <summary>Why the volume is Opening or Frozen, for people; empty otherwise.</summary>
    [Id(12)] public string Reason { get; init; } = "";

    /// <summary>When the last scrub of the whole volume ended; null when there was none yet.</summary>
    [Id(13)] public DateTimeOffset? LastScrubAt { get; init; }

    /// <summary>How far the present scrub has come, 0 to 1.</summary>
    [Id(14)] public double ScrubProgress { get; init; }

    /// <summary>A scrub that was asked for is under way.</summary>
    [Id(15)] public bool IsScrubbing { get; init; }

    /// <summary>What the cluster would do for the volume and cannot, for people; empty when there is nothing.</summary>
    [Id(16)] public string Concern { get; init; } = "";

    /// <summary>Most that rebuilds of its replicas copy in a second; 0 for no limit, null for the cluster's default.</summary>
    [Id(17)] public long? RebuildLimitBytesPerSecond { get; init; }

    /// <summary>The last scrub of the whole volume; null when there was none yet.</summary>
    [Id(30)] public ScrubView? LastScrub { get; init; }

    /// <summary>The one under way; null before the first began.</summary>
    [Id(31)] public ScrubView? PresentScrub { get; init; }
}

/// <summary>One iSCSI session on a volume, as its gateway reports it.</summary>
[GenerateSerializer, Immutable, Alias("openebs.SessionView")]
public sealed record SessionView
{
    [Id(0)] public required string Initiator { get; init; }
    [Id(1)] public required string Address { get; init; }
    [Id(2)] public required string Node { get; init; }
    [Id(3)] public required DateTimeOffset Since { get; init; }

    /// <summary>Names the session among all of the cluster.</summary>
    [Id(4)] public string Id { get; init; } = "";

    [Id(5)] public string Volume { get; init; } = "";

    /// <summary>Name of the credential by which the initiator was authenticated; empty without.</summary>
    [Id(6)] public string Credential { get; init; } = "";

    [Id(7)] public bool HeaderDigest { get; init; }

    [Id(8)] public bool DataDigest { get; init; }

    /// <summary>Still logging in.</summary>
    [Id(9)] public bool IsPending { get; init; }

    /// <summary>Bytes read by the initiator in this session.</summary>
    [Id(10)] public long ReadBytes { get; init; }

    [Id(11)] public long WrittenBytes { get; init; }

    /// <summary>SCSI commands received.</summary>
    [Id(12)] public long CommandCount { get; init; }

    /// <summary>When the last SCSI command came; null before the first.</summary>
    [Id(13)] public DateTimeOffset? LastCommandAt { get; init; }
}
