namespace OpenEbs.Grains.Pools;

/// <summary>A pool as it is configured.</summary>
/// <param name="Id">Names the pool in the whole cluster, for ever (it moves with its disk): letters, digits, '-', '_' or '.', at most 63.</param>
/// <param name="Path">Its directory.</param>
/// <param name="CapacityBytes">Most that replicas may occupy; null for all that the file system has.</param>
/// <param name="Labels">What its operator says of it; null for only what is said of its node.</param>
public sealed record PoolOptions(string Id, string Path, long? CapacityBytes = null, IReadOnlyDictionary<string, string>? Labels = null);
