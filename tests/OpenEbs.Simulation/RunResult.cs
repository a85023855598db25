namespace OpenEbs.Simulation;

/// <summary>How a run ended.</summary>
public sealed record RunResult
{
    public required ulong Seed { get; init; }

    /// <summary>Null when every promise was kept.</summary>
    public required Exception? Failure { get; init; }

    /// <summary>Equal for equal runs.</summary>
    public required ulong TraceHash { get; init; }

    public required TimeSpan VirtualTime { get; init; }

    public required int Commands { get; init; }

    public required long Events { get; init; }

    /// <summary>What went wrong on purpose, and how often.</summary>
    public required IReadOnlyDictionary<string, long> Faults { get; init; }

    public required IReadOnlyCollection<string> Trace { get; init; }
}
