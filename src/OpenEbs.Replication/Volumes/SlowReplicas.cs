namespace OpenEbs.Replication.Volumes;

/// <summary>Which replicas are too slow to be waited for. Every write waits for the slowest in-sync replica, so one slow disk or node makes the whole volume slow.</summary>
/// <remarks>
/// The policy, with the numbers of <see cref="CoordinatorOptions"/>: time is cut into windows of a fifth of SlowPeriod. In each, the mean time of a replica's appends, and of its flushes (<see cref="RequestTimes"/>), is set beside what
/// the volume would wait for without it: the slowest of the quickest minInSync others. It was slow when its mean is above SlowFactor times that and above SlowAppend or SlowFlush. One that was slow in five
/// windows running is set aside: it leaves the in-sync set, is brought level at once, and is sent operations as they come without being waited for. It is taken back after SlowHold, doubled each time it comes to that
/// again, when it was not slow in the last window; and at once when the volume needs it, for being slow is better than being frozen.
/// </remarks>
internal sealed class SlowReplicas(VolumeContext context)
{
    /// <summary>How the reason begins for which a slow replica leaves the in-sync set.</summary>
    public const string SetAsideBecause = "it is slow: ";

    private const int Windows = 5;
    private const int MostDoublings = 5;
    private long _windowBegan = context.Now;

    /// <summary>Called at intervals; true when a window has ended, and so there may be a replica to set aside.</summary>
    public bool Watch()
    {
        var options = context.Options;
        if (options.SlowPeriod == TimeSpan.Zero || context.Now - _windowBegan < context.Ticks(options.SlowPeriod) / Windows) return false;
        _windowBegan = context.Now;
        foreach (var link in context.Links)
        {
            var isLive = link.State == LinkState.Live;
            link.Times.Appends.EndWindow(_windowBegan, isLive ? link.InFlightSince : 0);
            link.Times.Flushes.EndWindow(_windowBegan, isLive ? link.FlushSince : 0);
        }

        foreach (var link in context.Links) Judge(link);
        return true;
    }

    /// <summary>Whether a replica is to be set aside.</summary>
    public bool IsTooSlow(ReplicaLink link) =>
        link.State == LinkState.Live && link.Standing == ReplicaStanding.InSync && link.Times.SlowWindows >= Windows && context.CanDoWithout(link);

    public void SetAside(ReplicaLink link)
    {
        var times = link.Times;
        var hold = Hold(times.TimesSetAside);
        times.TimesSetAside = times.SetAsideAt != 0 && context.Now - times.SetAsideAt < 10 * hold ? Math.Min(times.TimesSetAside + 1, MostDoublings) : 0;
        times.SetAsideAt = context.Now;
        times.HeldUntil = context.Now + Hold(times.TimesSetAside);
        times.SlowWindows = 0;
    }

    /// <summary>Called at intervals while a replica is held: nobody waits for its flushes, so nothing else would show how long they take.</summary>
    public void Probe(ReplicaLink link)
    {
        if (link.Times.HeldUntil == 0 || link.Times.ProbedIn == _windowBegan) return;
        link.Times.ProbedIn = _windowBegan;
        link.Flush(link.AckedSeq);
    }

    /// <summary>Whether a replica that could be in sync is better not waited for yet.</summary>
    public bool IsHeld(ReplicaLink link)
    {
        var times = link.Times;
        if (times.HeldUntil == 0) return false;
        if (context.CanDoWithout(link) && (context.Now < times.HeldUntil || times.SlowWindows > 0)) return true;
        times.HeldUntil = 0;
        return false;
    }

    private long Hold(int timesBefore) => context.Ticks(context.Options.SlowHold) << timesBefore;

    private void Judge(ReplicaLink link)
    {
        var times = link.Times;
        if (link.State != LinkState.Live) return;
        if (times.Appends.Mean == 0 && times.Flushes.Mean == 0)
        {
            // Nothing is written: no reason to go without it for longer.
            if (times.HeldUntil != 0) times.SlowWindows = 0;
            return;
        }

        var others = context.Links.Where(other => other != link && context.IsCurrent(other)).ToList();
        var needed = Math.Max(1, context.Keeper.Record!.MinInSync);
        times.Slowness = "";
        if (others.Count >= needed)
        {
            var options = context.Options;
            Compare("appends", t => t.Appends, options.SlowAppend);
            Compare("flushes", t => t.Flushes, options.SlowFlush);
        }

        times.SlowWindows = times.Slowness.Length > 0 ? times.SlowWindows + 1 : 0;

        void Compare(string what, Func<LinkTimes, RequestTimes> of, TimeSpan floor)
        {
            var without = others.Select(other => of(other.Times).Mean).Order().ElementAt(needed - 1);
            var mean = of(times).Mean;
            if (mean <= context.Ticks(floor) || mean <= context.Options.SlowFactor * without) return;
            times.Slowness = $"its {what} take {Milliseconds(mean)} ms, those of others {Milliseconds(without)} ms";
        }
    }

    private string Milliseconds(long ticks) => (ticks * 1000.0 / context.Time.TimestampFrequency).ToString("0.#", System.Globalization.CultureInfo.InvariantCulture);
}
