namespace OpenEbs.Iscsi.Portals;

/// <summary>Bounds the log lines that strangers can cause: 100 at once, and ten a second in the long run.</summary>
internal sealed class LogBudget(TimeProvider time)
{
    private const double Burst = 100;
    private const double LinesPerSecond = 10;

    private readonly Lock _gate = new();
    private double _tokens = Burst;
    private long _at = time.GetTimestamp();
    private long _omitted;

    /// <summary>True when a line may be written; then <paramref name="omitted"/> lines were left out since the last.</summary>
    public bool TryTake(out long omitted)
    {
        lock (_gate)
        {
            var now = time.GetTimestamp();
            _tokens = Math.Min(Burst, _tokens + (time.GetElapsedTime(_at, now).TotalSeconds * LinesPerSecond));
            _at = now;
            omitted = _omitted;
            if (_tokens < 1)
            {
                _omitted++;
                return false;
            }

            _tokens--;
            _omitted = 0;
            return true;
        }
    }
}
