namespace OpenEbs.Replication.Volumes;

/// <summary>How long one replica takes, judged window by window (see <see cref="SlowReplicas"/>). Times are in time stamp ticks.</summary>
internal sealed class LinkTimes
{
    public RequestTimes Appends { get; } = new();

    public RequestTimes Flushes { get; } = new();

    /// <summary>How many windows in which there was something to judge, up to the last such, it was slow.</summary>
    public int SlowWindows { get; set; }

    /// <summary>What it was slow at, for people.</summary>
    public string Slowness { get; set; } = "";

    /// <summary>Time stamp when it was last set aside; 0 when it never was.</summary>
    public long SetAsideAt { get; set; }

    /// <summary>Time stamp until which it is not taken back; 0 when it is not set aside.</summary>
    public long HeldUntil { get; set; }

    /// <summary>When the window began in which it was last flushed only to see how long that takes.</summary>
    public long ProbedIn { get; set; }

    /// <summary>How often it was set aside in a row.</summary>
    public int TimesSetAside { get; set; }
}

/// <summary>How long requests of one kind take in a window.</summary>
/// <remarks>
/// The mean of their times, each weighted by itself: what the request takes that is under way at a random moment of the time that is spent on them. For equal times that is the plain mean. But a replica that hangs for half a
/// second and is quick for the rest of each, has its one long request hidden in the plain mean by the many short ones, the better the quicker it otherwise is; those who wait for it find nothing but that one.
/// </remarks>
internal sealed class RequestTimes
{
    private double _ticks;
    private double _squares;

    /// <summary>In the last window; 0 when nothing was asked.</summary>
    public long Mean { get; private set; }

    public void Add(long ticks)
    {
        _ticks += ticks;
        _squares += (double)ticks * ticks;
    }

    /// <summary>Ends a window. A request under way since <paramref name="since"/> (0 for none) counts, by its time so far.</summary>
    public void EndWindow(long now, long since)
    {
        if (since != 0) Add(now - since);
        Mean = _ticks > 0 ? (long)(_squares / _ticks) : 0;
        (_ticks, _squares) = (0, 0);
    }
}
