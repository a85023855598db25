using OpenEbs.Replication.Volumes;

namespace OpenEbs.Replication.Rebuilds;

/// <summary>How long a replica whose rebuild failed waits for the next attempt: twice as long after each failure in a row, so that one that cannot succeed does not keep disks and network busy.
/// An attempt that moved much counts as progress: what it moved need not be moved again.</summary>
internal sealed class RebuildBackOff(CoordinatorOptions options)
{
    private const long ProgressBytes = 64L << 20;

    /// <summary>Failures in a row without progress between them.</summary>
    public int Failures { get; private set; }

    /// <summary>An attempt failed that had moved so much.</summary>
    /// <returns>How long to wait.</returns>
    public TimeSpan Fail(long movedBytes)
    {
        Failures = movedBytes >= ProgressBytes ? 1 : Failures + 1;
        var delay = options.RejoinDelay * Math.Pow(2, Math.Min(Failures - 1, 20));
        return delay < options.RebuildRetryDelay ? delay : options.RebuildRetryDelay;
    }

    public void Succeed() => Failures = 0;
}
