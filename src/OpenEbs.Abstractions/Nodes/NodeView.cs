using OpenEbs.Pools;

namespace OpenEbs.Nodes;

/// <summary>One openebs process and its host.</summary>
[GenerateSerializer, Immutable, Alias("openebs.NodeView")]
public sealed record NodeView
{
    [Id(0)] public required string Name { get; init; }
    [Id(1)] public required string SiloAddress { get; init; }

    /// <summary>Orleans' silo status: Active, ShuttingDown, Dead and so on; Absent when the cluster has only heard of its pools.</summary>
    [Id(2)] public required string Status { get; init; }
    [Id(3)] public IReadOnlyList<string> Roles { get; init; } = [];

    /// <summary>iSCSI portal, host:port; empty without the gateway role.</summary>
    [Id(4)] public string Portal { get; init; } = "";
    [Id(5)] public string HttpAddress { get; init; } = "";
    [Id(6)] public IReadOnlyList<string> Pools { get; init; } = [];
    [Id(7)] public string Version { get; init; } = "";

    /// <summary>Whether its pools take new replicas.</summary>
    [Id(8)] public Availability Availability { get; init; }

    /// <summary>While it is drained, and afterwards; else null.</summary>
    [Id(9)] public DrainView? Drain { get; init; }
}
