namespace OpenEbs.Simulation.Scheduling;

/// <summary>A host's clock: virtual time that runs a little fast or slow; its date may jump, as when somebody sets it, its time stamps never do. Its timers belong to the process that creates them: they stop with it and are late when it is paused.</summary>
public sealed class SimulatedTime : TimeProvider
{
    private static readonly DateTimeOffset Beginning = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private readonly SimulatedScheduler _scheduler;
    private readonly double _rate;
    private readonly long _offset;

    /// <param name="scheduler">True time.</param>
    /// <param name="rate">Seconds of this clock in one second.</param>
    /// <param name="offset">By how much it is ahead.</param>
    public SimulatedTime(SimulatedScheduler scheduler, double rate, TimeSpan offset)
    {
        _scheduler = scheduler;
        _rate = rate;
        _offset = offset.Ticks;
    }

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

    /// <summary>By how much the date is wrong.</summary>
    public TimeSpan DateError { get; set; }

    public override DateTimeOffset GetUtcNow() => Beginning.AddTicks(GetTimestamp()) + DateError;

    public override long GetTimestamp() => _offset + (long)(_scheduler.Now * _rate);

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        _scheduler.EnsureOnThread();
        var timer = new SimulatedTimer(this, callback, state, SynchronizationContext.Current ?? throw new InvalidOperationException("No process runs."));
        timer.Change(dueTime, period);
        return timer;
    }

    private sealed class SimulatedTimer(SimulatedTime time, TimerCallback callback, object? state, SynchronizationContext owner) : ITimer
    {
        private int _setting;
        private TimeSpan _period;
        private bool _disposed;

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            if (_disposed) return false;
            _setting++;
            _period = period;
            if (dueTime != Timeout.InfiniteTimeSpan) Arm(dueTime);
            return true;
        }

        public void Dispose()
        {
            _disposed = true;
            _setting++;
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }

        private void Arm(TimeSpan dueTime)
        {
            var setting = _setting;

            // One tick more than asked: a timer never fires early by the clock that it was set on.
            time._scheduler.At(time._scheduler.Now + (long)(Math.Max(0, dueTime.Ticks) / time._rate) + 1, () =>
            {
                if (setting == _setting) owner.Post(_ => Fire(setting), null);
            });
        }

        private void Fire(int setting)
        {
            if (setting != _setting) return;
            callback(state);
            if (setting == _setting && _period > TimeSpan.Zero && _period != Timeout.InfiniteTimeSpan) Arm(_period);
        }
    }
}
