using OpenEbs.Pools;

namespace OpenEbs.Grains.Pools;

/// <summary>From when on a pool counts as nearly full, and as full.</summary>
/// <param name="NearlyFullPercent">Used part of its capacity from which on it is nearly full.</param>
/// <param name="FullPercent">Used part from which on it is full. Writes are refused only when nothing is left but the reserve, which small pools reach before it and large ones after.</param>
public sealed record PoolThresholds(int NearlyFullPercent = 85, int FullPercent = 95)
{
    /// <summary>A state is left only when so much more is free than would have led to it: else one that writes and frees would change state all the time.</summary>
    private const int HysteresisPercent = 2;

    /// <summary>Kept free for what must go on in a full pool.</summary>
    public const long ReserveBytes = 64L << 20;

    /// <summary>What a replica takes at once for new data.</summary>
    private const long SegmentBytes = 16L << 20;

    /// <summary>Free bytes below which a pool of that capacity is nearly full, and replicas give back what they can.</summary>
    public long NearlyFullBelow(long capacityBytes) => Math.Max(Part(capacityBytes, NearlyFullPercent), ReserveBytes + (4 * SegmentBytes));

    /// <summary>Free bytes below which a pool of that capacity is full.</summary>
    public long FullBelow(long capacityBytes) => Math.Max(Part(capacityBytes, FullPercent), ReserveBytes + SegmentBytes);

    /// <summary>What a pool is now that was <paramref name="before"/> at the last look.</summary>
    public PoolFullness Judge(PoolFullness before, long capacityBytes, long freeBytes)
    {
        if (capacityBytes <= 0) return before;
        var margin = capacityBytes / 100 * HysteresisPercent;
        if (freeBytes < FullBelow(capacityBytes) + (before == PoolFullness.Full ? margin : 0)) return PoolFullness.Full;
        return freeBytes < NearlyFullBelow(capacityBytes) + (before != PoolFullness.Healthy ? margin : 0) ? PoolFullness.NearlyFull : PoolFullness.Healthy;
    }

    private static long Part(long capacityBytes, int usedPercent) => capacityBytes / 100 * (100 - usedPercent);
}
