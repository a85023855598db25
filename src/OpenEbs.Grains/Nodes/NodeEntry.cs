using Orleans.Runtime;

namespace OpenEbs.Grains.Nodes;

/// <summary>What a node tells the cluster of itself; fixed for the life of its silo.</summary>
[GenerateSerializer, Immutable, Alias("openebs.NodeFacts")]
internal sealed record NodeFacts
{
    [Id(0)] public required IReadOnlyList<string> Pools { get; init; }

    [Id(1)] public required IReadOnlyList<string> Roles { get; init; }

    [Id(2)] public required string Portal { get; init; }

    [Id(3)] public required string HttpAddress { get; init; }

    [Id(4)] public required string Version { get; init; }

    /// <summary>TCP port on which its process is watched; 0 for none.</summary>
    [Id(5)] public required int SentinelPort { get; init; }
}

/// <summary>A member of the cluster.</summary>
/// <param name="Silo">Its address.</param>
/// <param name="Name">The node's name.</param>
/// <param name="Status">As membership has it.</param>
/// <param name="Facts">Null while they are not known here.</param>
internal sealed record NodeEntry(SiloAddress Silo, string Name, SiloStatus Status, NodeFacts? Facts)
{
    public bool IsActive => Status == SiloStatus.Active;
}
