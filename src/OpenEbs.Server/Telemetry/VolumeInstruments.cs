using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using OpenEbs.Volumes;

namespace OpenEbs.Server.Telemetry;

/// <summary>What a gateway asks of a volume.</summary>
internal enum VolumeOperation
{
    Read,
    Write,
    Flush,
    WriteZeroes,
    CompareAndWrite,
}

/// <summary>The meter "OpenEbs.Volumes": what this node's gateway asked of each volume, and how long the answers took.</summary>
internal sealed class VolumeInstruments : IDisposable
{
    public const string MeterName = "OpenEbs.Volumes";

    /// <summary>From a cached read on the same node to an I/O timeout.</summary>
    private static readonly double[] LatencyBoundaries =
        [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60];

    private readonly Meter _meter;
    private readonly ConcurrentDictionary<string, VolumeMeasures> _volumes = new(StringComparer.Ordinal);

    public VolumeInstruments(IMeterFactory factory)
    {
        _meter = factory.Create(MeterName);
        _meter.CreateObservableCounter(
            "openebs.volume.operations",
            () => _volumes.Values.SelectMany(volume => volume.Operations()),
            "{operation}",
            "Operations on a volume through this node's gateway.");
        _meter.CreateObservableCounter(
            "openebs.volume.io",
            () => _volumes.Values.SelectMany(volume => volume.Bytes()),
            "By",
            "Bytes read from and written to a volume through this node's gateway.");
        Failures = _meter.CreateCounter<long>("openebs.volume.failures", "{operation}", "Operations on a volume that failed, by outcome.");
        Duration = _meter.CreateHistogram<double>(
            "openebs.volume.operation.duration",
            "s",
            "From the call of a volume to its answer, through this node's gateway.",
            advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = LatencyBoundaries });
    }

    internal Counter<long> Failures { get; }

    internal Histogram<double> Duration { get; }

    public VolumeMeasures Of(string volume) => _volumes.GetOrAdd(volume, static (name, instruments) => new VolumeMeasures(instruments, name), this);

    public void Dispose() => _meter.Dispose();
}

/// <summary>One volume's measures, with tags made once.</summary>
internal sealed class VolumeMeasures
{
    private static readonly VolumeOperation[] Kinds = Enum.GetValues<VolumeOperation>();

    private readonly VolumeInstruments _instruments;
    private readonly KeyValuePair<string, object?> _volume;
    private readonly KeyValuePair<string, object?>[] _operations;
    private readonly long[] _counts = new long[Kinds.Length];
    private readonly long[] _bytes = new long[Kinds.Length];

    internal VolumeMeasures(VolumeInstruments instruments, string volume)
    {
        _instruments = instruments;
        _volume = new("volume", volume);
        _operations = [.. Kinds.Select(operation => new KeyValuePair<string, object?>("operation", NameOf(operation)))];
    }

    public void OnCommand(VolumeOperation operation, IoStatus status, long lengthBytes, TimeSpan duration)
    {
        ref readonly var tag = ref _operations[(int)operation];
        if (_instruments.Duration.Enabled) _instruments.Duration.Record(duration.TotalSeconds, _volume, tag);
        Interlocked.Increment(ref _counts[(int)operation]);
        if (status != IoStatus.Ok) _instruments.Failures.Add(1, _volume, tag, new KeyValuePair<string, object?>("outcome", status.ToString()));
        else if (lengthBytes > 0) Interlocked.Add(ref _bytes[(int)operation], lengthBytes);
    }

    internal IEnumerable<Measurement<long>> Operations() => Measure(_counts);

    internal IEnumerable<Measurement<long>> Bytes() => Measure(_bytes);

    private IEnumerable<Measurement<long>> Measure(long[] values) =>
        Kinds.Select(kind => new Measurement<long>(Interlocked.Read(ref values[(int)kind]), _volume, _operations[(int)kind])).Where(measurement => measurement.Value > 0);

    private static string NameOf(VolumeOperation operation) => operation switch
    {
        VolumeOperation.Read => "read",
        VolumeOperation.Write => "write",
        VolumeOperation.Flush => "flush",
        VolumeOperation.WriteZeroes => "write_zeroes",
        VolumeOperation.CompareAndWrite => "compare_and_write",
        _ => throw new ArgumentOutOfRangeException(nameof(operation), operation, "Unknown operation."),
    };
}
