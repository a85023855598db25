namespace OpenEbs.Replication.Rebuilds;

/// <summary>A rebuild that had begun could not go on; the message says why.</summary>
internal sealed class RebuildFailedException(string message, TimeSpan retryAfter, Exception cause) : IOException(message, cause)
{
    /// <summary>When it is worth another attempt.</summary>
    public TimeSpan RetryAfter { get; } = retryAfter;
}
