namespace OpenEbs.Replication.Volumes;

/// <summary>How long an I/O waits for the volume. A user's waits as the volume's record says at the time: its ioTimeout, or without end; what the coordinator reads for itself has an end of its own.</summary>
internal readonly record struct IoDeadline
{
    private readonly long _firmEnd;

    private IoDeadline(long startedAt, long firmEnd)
    {
        StartedAt = startedAt;
        _firmEnd = firmEnd;
    }

    /// <summary>Time stamp at which the I/O was given.</summary>
    public long StartedAt { get; }

    /// <summary>Waits as the volume's policy says.</summary>
    public static IoDeadline OfUser(long now) => new(now, 0);

    /// <summary>Waits so many ticks of the clock, whatever the policy is.</summary>
    public static IoDeadline Within(long now, long ticks) => new(now, now + ticks);

    public bool HasPassed(VolumeContext context)
    {
        if (_firmEnd != 0) return context.Now >= _firmEnd;
        if (context.Keeper.Record is not { } record) return context.Now - StartedAt >= context.Ticks(TimeSpan.FromMinutes(1));
        return record.OnTimeout != TimeoutPolicy.Wait && context.Now - StartedAt >= context.Ticks(record.IoTimeout);
    }
}
