namespace OpenEbs.Replication.Volumes;

/// <summary>Where a volume's replicas may be. Kept here for whoever looks after the volume: a coordinator takes its replicas as they are.</summary>
/// <param name="IsNodeHard">Two may not share a node.</param>
/// <param name="IsZoneHard">Two may not share a zone.</param>
/// <param name="Selector">Labels that their pools must have; empty for any.</param>
/// <param name="IsLocalPreferred">One is to be on the node of the gateway through which the volume is used.</param>
public sealed record PlacementRules(bool IsNodeHard, bool IsZoneHard, string Selector, bool IsLocalPreferred = false);
