namespace OpenEbs.Volumes;

/// <summary>How strictly replicas of a volume keep apart. Names are stored: never change them.</summary>
public enum AntiAffinity
{
    /// <summary>Apart if that is possible.</summary>
    Soft,

    /// <summary>Apart, or not at all.</summary>
    Hard,
}

/// <summary>Whether a volume has a replica on the node of the gateway through which it is used. Names are stored: never change them.</summary>
public enum Locality
{
    /// <summary>Wherever they are.</summary>
    None,

    /// <summary>If that is possible; when the volume has been used through another gateway for long, a replica moves there.</summary>
    Preferred,
}

/// <summary>Where a volume's replicas may be. Two never share a pool.</summary>
[GenerateSerializer, Immutable, Alias("openebs.PlacementPolicy")]
public sealed record PlacementPolicy
{
    public static readonly PlacementPolicy Default = new();

    /// <summary>Whether two replicas may be on one node.</summary>
    [Id(0)] public AntiAffinity Node { get; init; }

    /// <summary>Whether two replicas may be in one zone (label <see cref="PoolLabels.Zone"/>).</summary>
    [Id(1)] public AntiAffinity Zone { get; init; }

    /// <summary>Labels that a pool must have: <c>key=value,key2=value2</c>, sorted by key; empty for any pool.</summary>
    [Id(2)] public string Selector { get; init; } = "";

    [Id(3)] public Locality Locality { get; init; }

    /// <summary>The node through whose gateway the volume will be used, for its first placement; empty when that is not known. Later it shows by itself.</summary>
    [Id(4)] public string GatewayNode { get; init; } = "";

    /// <summary>The policy with its selector in the one spelling that compares equal; as it is when the selector has a problem.</summary>
    public PlacementPolicy Normalize() => PoolLabels.TryParse(Selector, out var labels, out _) ? this with { Selector = PoolLabels.Format(labels) } : this;

    public IEnumerable<string> Problems()
    {
        if (!Enum.IsDefined(Node)) yield return $"node anti-affinity is {Node}; give soft or hard";
        if (!Enum.IsDefined(Zone)) yield return $"zone anti-affinity is {Zone}; give soft or hard";
        if (!Enum.IsDefined(Locality)) yield return $"locality is {Locality}; give none or preferred";
        if (Locality == Locality.None && GatewayNode.Length > 0) yield return $"gateway node is '{GatewayNode}', which matters with locality preferred only; ask for that, or leave it out";
        if (!PoolLabels.TryParse(Selector, out _, out var problem)) yield return $"selector: {problem}";
    }
}
