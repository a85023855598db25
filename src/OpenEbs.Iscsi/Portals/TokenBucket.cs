namespace OpenEbs.Iscsi.Portals;

/// <summary>Lets through so many at once, and so many a second in the long run. Not thread-safe. (That of System.Threading.RateLimiting knows no other clock than the machine's.)</summary>
/// <param name="burst">At once.</param>
/// <param name="perSecond">In the long run.</param>
/// <param name="time">The clock.</param>
internal sealed class TokenBucket(double burst, double perSecond, TimeProvider time)
{
    private readonly double _burst = burst;
    private double _tokens = burst;
    private long _at = time.GetTimestamp();

    /// <summary>It was not used of late: a new one is as good.</summary>
    public bool IsFull
    {
        get
        {
            Refill();
            return _tokens >= _burst;
        }
    }

    public bool TryTake()
    {
        Refill();
        if (_tokens < 1) return false;
        _tokens--;
        return true;
    }

    private void Refill()
    {
        var now = time.GetTimestamp();
        _tokens = Math.Min(_burst, _tokens + (time.GetElapsedTime(_at, now).TotalSeconds * perSecond));
        _at = now;
    }
}
