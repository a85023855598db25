namespace OpenEbs.Replication.Rebuilds;

/// <summary>
/// Decides how much a rebuild may do at once, by what the volume's users feel. Their I/Os that end while nothing is copied say what is usual; every tenth of a second those that ended while
/// something was copied are compared with that. Half as much again and 0.2 ms is too slow: the rebuild halves what it has under way, down to one piece of 64 KiB, then rests after each, 5 ms
/// and twice as long each time, up to 50 ms. Else it rests half as long, and then has a quarter more under way each time, up to its window. So it always goes on, with 1 MiB/s or so at least.
/// Where nobody uses the volume for a second it doubles. Every two seconds it rests for 50 ms under load, to learn again what is usual.
/// </summary>
/// <param name="frequency">Of the time stamps, per second.</param>
/// <param name="maxWindowBytes">Most that may be under way.</param>
internal sealed class RebuildPressure(long frequency, long maxWindowBytes)
{
    public const int MinWindowBytes = 64 << 10;
    private const int FirstWindowBytes = 1 << 20;
    private const int FewestSamples = 4;
    private const double SlowFactor = 1.5;
    private const double SlowMargin = 0.0002;
    private const double DecisionInterval = 0.1;
    private const double ProbeInterval = 2;
    private const double IdleAfter = 1;
    private const double SettleTime = 0.002;

    /// <summary>A command that waited for a failed replica says nothing of what a rebuild does to others.</summary>
    private const double LongestSample = 0.1;
    private static readonly TimeSpan FirstRest = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan LongestRest = TimeSpan.FromMilliseconds(50);

    private double _usual;
    private double _sum;
    private int _count;
    private long _decidedAt;
    private long _probedAt;
    private long _sampledAt;
    private long _quietSince = long.MinValue;
    private bool _isCopying;

    /// <summary>What may be under way at once.</summary>
    public long WindowBytes { get; private set; } = Math.Min(FirstWindowBytes, maxWindowBytes);

    /// <summary>The pause after each piece.</summary>
    public TimeSpan Rest { get; private set; }

    /// <summary>Smoothed time of the users' I/Os while nothing is copied, in seconds; 0 while it is not known.</summary>
    public double Usual => _usual;

    /// <summary>An I/O of a user has ended, after so many ticks.</summary>
    public void Sample(long now, long ticks)
    {
        var seconds = Math.Clamp(ticks / (double)frequency, 0, LongestSample);
        _sampledAt = now;
        if (_isCopying)
        {
            _sum += seconds;
            _count++;
        }
        else if (_quietSince == long.MinValue || Seconds(now - _quietSince) >= Math.Min(seconds + SettleTime, LongestSample))
        {
            // Only one that began after the last piece had ended.
            _usual = _usual == 0 ? seconds : _usual + ((seconds - _usual) / 16);
        }
    }

    /// <summary>Whether anything is being copied from now on.</summary>
    public void SetCopying(long now, bool isCopying)
    {
        if (_isCopying && !isCopying) _quietSince = now;
        _isCopying = isCopying;
    }

    /// <summary>To be asked before each piece.</summary>
    /// <returns>How long to wait with nothing under way, to learn what is usual; zero mostly.</returns>
    public TimeSpan Decide(long now)
    {
        if (_decidedAt == 0) _decidedAt = now;
        var isIdle = _sampledAt == 0 || Seconds(now - _sampledAt) > IdleAfter;
        if (!isIdle && (_usual == 0 || Seconds(now - _probedAt) > ProbeInterval))
        {
            _probedAt = now;
            return LongestRest;
        }

        if (Seconds(now - _decidedAt) < DecisionInterval) return TimeSpan.Zero;
        if (isIdle) (Rest, WindowBytes) = (TimeSpan.Zero, Math.Min(maxWindowBytes, WindowBytes * 2));
        else if (_count < FewestSamples) return TimeSpan.Zero;
        else if (_sum / _count > (_usual * SlowFactor) + SlowMargin) SlowDown();
        else SpeedUp();
        (_decidedAt, _sum, _count) = (now, 0, 0);
        return TimeSpan.Zero;
    }

    private void SlowDown()
    {
        if (WindowBytes > MinWindowBytes) WindowBytes = Math.Max(MinWindowBytes, WindowBytes / 2);
        else Rest = Rest == TimeSpan.Zero ? FirstRest : Rest * 2 < LongestRest ? Rest * 2 : LongestRest;
    }

    private void SpeedUp()
    {
        if (Rest > TimeSpan.Zero) Rest = Rest > FirstRest ? Rest / 2 : TimeSpan.Zero;
        else WindowBytes = Math.Min(maxWindowBytes, WindowBytes + Math.Max(MinWindowBytes, WindowBytes / 4));
    }

    private double Seconds(long ticks) => ticks / (double)frequency;
}
