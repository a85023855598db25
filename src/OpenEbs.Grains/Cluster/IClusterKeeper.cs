namespace OpenEbs.Grains.Cluster;

/// <summary>The registry's own upkeep, asked for by every silo now and then. Key: 0.</summary>
[Alias("openebs.IClusterKeeper")]
internal interface IClusterKeeper : IGrainWithIntegerKey
{
    /// <summary>Finishes creations and deletions that were interrupted, removes what was left on pools that are back, and keeps every volume open. Calls that come too close together do nothing.</summary>
    [Alias("Keep"), ResponseTimeout("00:02:00")]
    Task KeepAsync();

    /// <summary>Puts something among the cluster's events.</summary>
    [Alias("Tell"), ResponseTimeout("00:00:10")]
    Task TellAsync(ClusterEventKind kind, string subject, string before, string after, string cause);
}
