using OpenEbs.Pools;

namespace OpenEbs.Rest;

/// <summary>One openebs process and its host.</summary>
public sealed record NodeResource
{
    /// <summary>Names the node in the cluster.</summary>
    public required string Name { get; init; }

    /// <summary>Address of its Orleans silo, ip:port@generation.</summary>
    public required string SiloAddress { get; init; }

    /// <summary>Orleans' view of the silo: Active, Joining, ShuttingDown, Dead; Absent when only its pools are remembered.</summary>
    public required string Status { get; init; }

    /// <summary>What it does: storage, gateway, control.</summary>
    public required IReadOnlyList<string> Roles { get; init; }

    /// <summary>Its iSCSI portal, host:port; empty without the role gateway.</summary>
    public required string Portal { get; init; }

    /// <summary>Its HTTP endpoint, a URL.</summary>
    public required string HttpAddress { get; init; }

    /// <summary>Ids of its pools.</summary>
    public required IReadOnlyList<string> Pools { get; init; }

    /// <summary>Version of its program.</summary>
    public required string Version { get; init; }

    /// <summary>Whether its pools take new replicas: Available, Cordoned, Draining (those that it has are being moved) or Drained.</summary>
    public required Availability Availability { get; init; }

    /// <summary>How far its drain is; absent when there is none.</summary>
    public DrainResource? Drain { get; init; }
}

/// <summary>The program that answers.</summary>
public sealed record VersionResource
{
    /// <summary>Version of the server.</summary>
    public required string Version { get; init; }

    /// <summary>The cluster's id.</summary>
    public required string ClusterId { get; init; }

    /// <summary>The node that answered.</summary>
    public required string Node { get; init; }
}
