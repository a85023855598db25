using Microsoft.Extensions.Logging;

namespace OpenEbs.Replication.Volumes;

public sealed partial class VolumeCoordinator
{
    [LoggerMessage(2401, LogLevel.Information, "Volume {Volume} is open at epoch {Epoch}, its log ends at seq {Seq}")]
    private partial void LogOpened(string volume, long epoch, long seq);

    [LoggerMessage(2402, LogLevel.Information, "This coordinator ends: {Reason}")]
    private partial void LogFenced(string reason);

    [LoggerMessage(2403, LogLevel.Warning, "Replica {Replica} went down: {Reason}")]
    private partial void LogDown(string replica, string reason);

    [LoggerMessage(2405, LogLevel.Error, "The volume could not be opened")]
    private partial void LogOpenFailed(Exception exception);

    [LoggerMessage(2407, LogLevel.Information, "This coordinator ends because it was asked to: {HeldMs} ms of I/O held, {UnderWay} I/Os cut off")]
    private partial void LogClosed(double heldMs, int underWay);
}
