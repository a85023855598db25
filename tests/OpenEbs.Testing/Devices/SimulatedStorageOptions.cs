namespace OpenEbs.Testing.Devices;

/// <summary>How a process that uses a device ends.</summary>
public enum CrashKind
{
    /// <summary>The process dies; the host's page cache survives: nothing that a call returned for is lost.</summary>
    ProcessKill,

    /// <summary>The host loses power: what was not flushed is lost, kept, reordered or torn; directory changes that were not synced may be undone.</summary>
    PowerLoss,
}

/// <summary>What a simulated disk is like.</summary>
public sealed record SimulatedStorageOptions
{
    /// <summary>Decides every random outcome: what survives a crash, latencies, where a random bit flips.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>For messages.</summary>
    public string Path { get; init; } = "/simulated";

    /// <summary>Bytes that all files together may allocate.</summary>
    public long CapacityBytes { get; init; } = 1L << 40;

    /// <summary>Clock of the latencies; null makes every call complete synchronously.</summary>
    public TimeProvider? Time { get; init; }

    /// <summary>A flush takes a time between <see cref="MinFlushLatency"/> and this.</summary>
    public TimeSpan MaxFlushLatency { get; init; } = TimeSpan.FromMilliseconds(2);

    public TimeSpan MinFlushLatency { get; init; } = TimeSpan.FromMilliseconds(0.1);

    /// <summary>A read takes a time between zero (synchronous) and this.</summary>
    public TimeSpan MaxReadLatency { get; init; } = TimeSpan.Zero;
}

/// <summary>Power was lost, or the process killed: this handle is dead. Get a new one from <see cref="SimulatedStorageDevice.Crash"/>.</summary>
public sealed class DeviceDeadException(string message) : IOException(message);
