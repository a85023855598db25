namespace OpenEbs.Pools;

/// <summary>How full a pool is. Values are stored: append only.</summary>
public enum PoolFullness
{
    /// <summary>There is room.</summary>
    Healthy = 0,

    /// <summary>Past the first threshold: space should be freed or added. Dead space is given back at once, writes go on.</summary>
    NearlyFull = 1,

    /// <summary>Past the second threshold, or nothing is left but the reserve. When that is so writes that need space are refused; reads, unmaps and deletions go on.</summary>
    Full = 2,
}
