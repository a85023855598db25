using System.Text.Json.Serialization;
using OpenEbs.Volumes;

namespace OpenEbs.Rest;

/// <summary>Asks for a new volume. Sending the same request again answers with the volume that exists.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record CreateVolumeRequest
{
    /// <summary>1 to 63 lower-case letters, digits, '-' or '.', starting and ending with a letter or digit.</summary>
    public required string Name { get; init; }

    /// <summary>Size in bytes, 1 MiB to 64 TiB, a multiple of 4096.</summary>
    public required long SizeBytes { get; init; }

    /// <summary>Number of replicas, 1 to 7, each on a pool of its own. Default 3.</summary>
    public int ReplicaCount { get; init; } = 3;

    /// <summary>Logical block length in bytes: 512 (default; 4096 is reported as physical) or 4096.</summary>
    public int BlockLength { get; init; } = 512;

    /// <summary>False: every write is on stable media of every in-sync replica before it is acknowledged. Default true: like a disk's write cache.</summary>
    public bool WriteCache { get; init; } = true;

    /// <summary>Fewest in-sync replicas with which the volume serves I/O. Default: 1 for one or two replicas, else the majority.</summary>
    public int? MinInSync { get; init; }

    /// <summary>Seconds that I/O waits for a volume that cannot serve before onTimeout decides what becomes of it, 1 to 86400. Default 60.</summary>
    public double IoTimeoutSeconds { get; init; } = 60;

    /// <summary>Wait (default): it goes on waiting. Error: it fails. ReadOnly: writes fail as on a write-protected disk.</summary>
    public TimeoutAction OnTimeout { get; init; }

    /// <summary>Hard: two replicas never share a node. Default Soft: they do not if that is possible.</summary>
    public AntiAffinity NodeAntiAffinity { get; init; }

    /// <summary>The same for zones (label topology.kubernetes.io/zone).</summary>
    public AntiAffinity ZoneAntiAffinity { get; init; }

    /// <summary>Labels that the pools must have, such as disk=ssd,tier=1. Default: any pool.</summary>
    public string Selector { get; init; } = "";

    /// <summary>Preferred: a replica is beside the gateway through which the volume is used, if that is possible; when that has been another for the replacement delay, one moves there. Default None.</summary>
    public Locality Locality { get; init; }

    /// <summary>With Locality Preferred: the node through whose gateway the volume will be used, for its first placement. Default: not known.</summary>
    public string GatewayNode { get; init; } = "";

    /// <summary>Who may log in. Default: no rule, and the cluster's default holds. For a volume that exists it has to be the rule that it has.</summary>
    public AccessRequest? Access { get; init; }
}

/// <summary>Changes a volume: what is absent stays as it is.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record ChangeVolumeRequest
{
    /// <summary>New size in bytes, a multiple of 4096; at least the present one.</summary>
    public long? SizeBytes { get; init; }

    /// <summary>New number of replicas, 1 to 7. New ones are rebuilt, and surplus ones removed, in the background.</summary>
    public int? ReplicaCount { get; init; }

    /// <summary>Fewest in-sync replicas with which the volume serves I/O.</summary>
    public int? MinInSync { get; init; }

    /// <summary>Seconds that I/O waits for the volume, 1 to 86400; holds for I/O that waits already, too.</summary>
    public double? IoTimeoutSeconds { get; init; }

    /// <summary>What becomes of I/O that has waited for so long: Wait, Error or ReadOnly.</summary>
    public TimeoutAction? OnTimeout { get; init; }

    /// <summary>Most that rebuilds of its replicas copy in a second, in bytes; 0 for no limit, -1 for the cluster's default.</summary>
    public long? RebuildLimitBytesPerSecond { get; init; }
}
