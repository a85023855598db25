namespace OpenEbs.Simulation.Histories;

/// <summary>The promises of design section 3, and what the simulation demands besides.</summary>
public enum Promise
{
    AcknowledgedIsReplicated = 1,
    FlushedIsDurable = 2,
    ReadsSeeLastWrite = 3,
    PrefixAfterPowerLoss = 4,
    WritesAreAtomic = 5,
    BadBlocksAreHidden = 6,
    FaultsAreInvisible = 7,
    FullPoolsHarmNothing = 8,

    /// <summary>Every rented buffer is returned.</summary>
    BuffersAreReturned = 101,

    /// <summary>Two replicas never hold different operations under one (epoch, seq).</summary>
    LogsMatch = 102,

    /// <summary>A coordinator whose epoch was overtaken changes the volume's record no more.</summary>
    EpochsRise = 103,
}

/// <summary>A run broke a promise.</summary>
public sealed class PromiseBrokenException(Promise promise, string message) : Exception($"{Name(promise)}: {message}")
{
    public Promise Promise { get; } = promise;

    private static string Name(Promise promise) => (int)promise < 100 ? $"P{(int)promise} {promise}" : promise.ToString();
}
