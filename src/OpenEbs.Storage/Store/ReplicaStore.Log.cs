using Microsoft.Extensions.Logging;

namespace OpenEbs.Storage.Store;

public sealed partial class ReplicaStore
{
    [LoggerMessage(1001, LogLevel.Debug, "{Path}: open, log ends at {Last}, checkpoint at seq {LogStart}, replayed {LogBytes} bytes")]
    private partial void LogOpened(string path, LogPosition last, long logStart, long logBytes);

    [LoggerMessage(1002, LogLevel.Information, "{Path}: truncated to seq {Seq}")]
    private partial void LogTruncated(string path, long seq);
}
