namespace OpenEbs.Grains.Gateways;

/// <summary>Times of a gateway's connections to volumes.</summary>
public sealed record VolumeConnectionOptions
{
    /// <summary>Pause before a failed call is made again: the first, and the one that it grows to.</summary>
    public TimeSpan MinRetryDelay { get; init; } = TimeSpan.FromMilliseconds(20);

    public TimeSpan MaxRetryDelay { get; init; } = TimeSpan.FromMilliseconds(50);

    /// <summary>How often a gateway reports its sessions and asks for a volume's current facts. A volume forgets a gateway that has not reported for three times as long.</summary>
    public TimeSpan ReportInterval { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long connecting to a volume may take before it fails with <see cref="Volumes.VolumeUnavailableException"/>.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(30);
}
