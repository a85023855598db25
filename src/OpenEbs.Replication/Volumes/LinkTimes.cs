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

/// <summary>The mean time of requests of one kind in a window.</summary>
internal sealed class RequestTimes
{
    private long _ticks;
    private int _count;

    /// <summary>In the last window; 0 when nothing was asked.</summary>
    public long Mean { get; private set; }

    public void Add(long ticks)
    {
        _ticks += ticks;
        _count++;
    }

    /// <summary>Ends a window. A request under way since <paramref name="since"/> (0 for none) counts, by its time so far, when that is longer than the others took.</summary>
    public void EndWindow(long now, long since)
    {
        var age = since == 0 ? 0 : now - since;
        if (_count == 0) Mean = age;
        else if (age > _ticks / _count) Mean = (_ticks + age) / (_count + 1);
        else Mean = _ticks / _count;
        (_ticks, _count) = (0, 0);
    }
}
