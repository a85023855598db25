using Microsoft.Extensions.Logging;
using Orleans.Runtime;

namespace OpenEbs.Grains.Volumes;

internal sealed partial class VolumeGrain
{
    [LoggerMessage(1000, LogLevel.Information, "Volume {Volume}: opening")]
    private partial void LogOpening(string volume);

    [LoggerMessage(1001, LogLevel.Information, "Volume {Volume}: closed here ({Reason})")]
    private partial void LogClosed(string volume, string reason);

    [LoggerMessage(1002, LogLevel.Warning, "Volume {Volume}: another activation has opened it; this one ends")]
    private partial void LogFenced(string volume);

    [LoggerMessage(1003, LogLevel.Information, "Volume {Volume}: moving to {Gateway}")]
    private partial void LogMoving(string volume, SiloAddress gateway);

    [LoggerMessage(1004, LogLevel.Information, "Volume {Volume}: resized from {OldSizeBytes} to {NewSizeBytes} bytes")]
    private partial void LogResized(string volume, long oldSizeBytes, long newSizeBytes);

    [LoggerMessage(1007, LogLevel.Information, "Volume {Volume}: is to have {Replicas} replicas and to serve with {MinInSync}")]
    private partial void LogWanted(string volume, int replicas, int minInSync);

    [LoggerMessage(1005, LogLevel.Warning, "Volume {Volume}: its record cannot be read, trying again: {Reason}")]
    private partial void LogRecordUnreadable(string volume, string reason);

    [LoggerMessage(1006, LogLevel.Warning, "Volume {Volume}: could not be closed cleanly: {Reason}")]
    private partial void LogCloseFailed(string volume, string reason);
}
