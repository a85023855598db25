namespace OpenEbs.Iscsi.Portals;

/// <summary>Bounds the log lines that strangers can cause: 100 at once, and ten a second in the long run.</summary>
internal sealed class LogBudget(TimeProvider time)
{
    private const double Burst = 100;
    private const double LinesPerSecond = 10;

    private readonly Lock _gate = new();
    private readonly TokenBucket _lines = new(Burst, LinesPerSecond, time);
    private long _omitted;

    /// <summary>True when a line may be written; then <paramref name="omitted"/> lines were left out since the last.</summary>
    public bool TryTake(out long omitted)
    {
        lock (_gate)
        {
            omitted = _omitted;
            if (!_lines.TryTake())
            {
                _omitted++;
                return false;
            }

            _omitted = 0;
            return true;
        }
    }
}
