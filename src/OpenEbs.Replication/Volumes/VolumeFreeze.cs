using Microsoft.Extensions.Logging;

namespace OpenEbs.Replication.Volumes;

/// <summary>Knows since when the volume cannot acknowledge writes and why, tells of it, and refuses writes once that has lasted for the volume's ioTimeout, if its policy says so
/// (<see cref="TimeoutPolicy"/>). One refusal is followed by others at once: a host that tries again and again would wait for ioTimeout each time.</summary>
internal sealed partial class VolumeFreeze
{
    private readonly VolumeContext _context;
    private readonly Func<string?> _obstacle;
    private readonly ILinkOwner _owner;
    private readonly ILogger _logger;
    private long _since;
    private bool _isTold;
    private string _cause = "";

    /// <param name="context">The coordinator's parts.</param>
    /// <param name="obstacle">Why no write can be acknowledged at the moment, for people; null when nothing is known to prevent it.</param>
    /// <param name="owner">Told when this coordinator turns out to be overtaken.</param>
    public VolumeFreeze(VolumeContext context, Func<string?> obstacle, ILinkOwner owner)
    {
        _context = context;
        _obstacle = obstacle;
        _owner = owner;
        _logger = context.Logger;
        _since = context.Now;
    }

    /// <summary>Ok while a write may be tried, else what it is answered.</summary>
    public VolumeIoStatus Refusal
    {
        get;
        private set
        {
            if (field != value) RefusalCount++;
            field = value;
        }
    }

    /// <summary>How often that has changed.</summary>
    public int RefusalCount { get; private set; }

    /// <summary>What is wrong with the volume at the moment, for people; empty when nothing is.</summary>
    public string Reason => _context.Keeper.Failure is { } failure ? $"the metadata store failed: {failure}" : _obstacle() ?? "";

    /// <summary>Writes cannot be acknowledged, and that has lasted long enough to tell of it.</summary>
    public bool IsFrozen => _isTold;

    /// <summary>Why no write can be acknowledged, for people; null when nothing is known to prevent it.</summary>
    public static string? FindObstacle(VolumeContext context, CoordinatorState state, VolumeOpening? opening)
    {
        if (opening is not null) return opening.Reason;
        if (state == CoordinatorState.Opening) return context.Keeper.Failure is { } failure ? $"the metadata store failed: {failure}" : "it is being opened";
        if (state is CoordinatorState.Fenced or CoordinatorState.Gone) return null;
        var down = context.Links.Where(l => l.Standing == ReplicaStanding.InSync && l.State == LinkState.Down).Select(l => $"replica {l.Entry.Id} ({l.Reason})").ToList();
        return down.Count > 0 ? $"waiting for {string.Join(", ", down)}" : state == CoordinatorState.Frozen ? "too few replicas are in sync" : null;
    }

    /// <summary>Looks whether that has changed, if it may have.</summary>
    public void WatchIfFrozen()
    {
        if (_since != 0) Watch();
    }

    public void Watch()
    {
        if (_context.IsStopped) return;
        if (_obstacle() is not { } cause)
        {
            if (_since != 0) Thaw();
            return;
        }

        var now = _context.Now;
        if (_since == 0) _since = now;
        if (!_isTold && now - _since >= _context.Ticks(_context.Options.FreezeNotice) && _context.Keeper.Record is not null)
        {
            _isTold = true;
            _cause = cause;
            LogFrozen(cause);
            Tell(new VolumeEvent(_context.UtcNow, VolumeEventKind.Frozen, "", "", "writes wait", cause));
        }

        SetRefusal(now, cause);
    }

    /// <summary>Goes by the policy of the moment: whoever changes it during a freeze means this one.</summary>
    private void SetRefusal(long now, string cause)
    {
        var old = Refusal;
        if (_context.Keeper.Record is not { OnTimeout: not TimeoutPolicy.Wait } record || now - _since < _context.Ticks(record.IoTimeout))
        {
            Refusal = VolumeIoStatus.Ok;
            return;
        }

        Refusal = record.OnTimeout == TimeoutPolicy.ReadOnly ? VolumeIoStatus.WriteProtected : VolumeIoStatus.TimedOut;
        if (old != VolumeIoStatus.Ok) return;
        LogRefusing(record.IoTimeout, cause);
        Tell(new VolumeEvent(_context.UtcNow, VolumeEventKind.WritesRefused, "", "writes wait", record.OnTimeout == TimeoutPolicy.ReadOnly ? "writes fail as write-protected" : "writes fail", $"no write could be acknowledged for {record.IoTimeout}: {cause}"));
    }

    private void Thaw()
    {
        var lasted = TimeSpan.FromSeconds((_context.Now - _since) / (double)_context.Time.TimestampFrequency);
        var wasRefusing = Refusal != VolumeIoStatus.Ok;
        _since = 0;
        Refusal = VolumeIoStatus.Ok;
        if (!_isTold) return;
        _isTold = false;
        LogThawed(lasted);
        Tell(new VolumeEvent(_context.UtcNow, VolumeEventKind.Thawed, "", wasRefusing ? "writes fail" : "writes wait", "writes are acknowledged", $"after {lasted.TotalSeconds:0.0} s: {_cause}"));
    }

    /// <summary>With the metadata store away it is told late, but told.</summary>
    private void Tell(VolumeEvent happened) => _ = TellAsync(happened);

    private async Task TellAsync(VolumeEvent happened)
    {
        try
        {
            await _context.Keeper.ChangeAsync(
                record =>
                {
                    // Asked again after an attempt whose outcome was unknown: the record tells whether it took effect.
                    var isTold = record.Events.Contains(happened);
                    return isTold ? record : record.Tell(happened);
                },
                _context.Stopped);
        }
        catch (VolumeRecordConflictException e)
        {
            _owner.OnFenced(e.Message);
        }
        catch (OperationCanceledException) when (_context.IsStopped)
        {
        }
    }

    [LoggerMessage(2410, LogLevel.Warning, "Writes cannot be acknowledged and wait: {Cause}")]
    private partial void LogFrozen(string cause);

    [LoggerMessage(2411, LogLevel.Warning, "Writes fail from now on, none could be acknowledged for {IoTimeout}: {Cause}")]
    private partial void LogRefusing(TimeSpan ioTimeout, string cause);

    [LoggerMessage(2412, LogLevel.Information, "Writes are acknowledged again, after {Lasted}")]
    private partial void LogThawed(TimeSpan lasted);
}
