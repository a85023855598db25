using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace OpenEbs.Replication.Volumes;

/// <summary>How long replicas take, as their coordinators see it. Costs a check while nobody listens.</summary>
internal sealed class ReplicaInstruments
{
    private static readonly Meter Meter = new("OpenEbs.Replication");

    private static readonly Histogram<double> Duration = Meter.CreateHistogram<double>(
        "openebs.replica.operation.duration", "s", "Time from a request to a replica to its answer.",
        advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5] });

    private readonly TimeProvider _time;
    private readonly TagList _read;
    private readonly TagList _write;
    private readonly TagList _flush;

    public ReplicaInstruments(TimeProvider time, string volume, string replica)
    {
        _time = time;
        _read = Tags("read");
        _write = Tags("write");
        _flush = Tags("flush");

        TagList Tags(string operation) => new() { { "volume", volume }, { "replica", replica }, { "operation", operation } };
    }

    public void OnRead(long sentAt) => Record(sentAt, _read);

    /// <summary>One request, which may carry many writes.</summary>
    public void OnWrite(long sentAt) => Record(sentAt, _write);

    public void OnFlush(long sentAt) => Record(sentAt, _flush);

    private void Record(long sentAt, in TagList tags)
    {
        if (Duration.Enabled) Duration.Record(_time.GetElapsedTime(sentAt).TotalSeconds, tags);
    }
}
