using System.Diagnostics;
using System.Diagnostics.Metrics;
using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Scsi;

namespace OpenEbs.Iscsi.Portals;

/// <summary>The instruments of the meter "OpenEbs.Iscsi" and the activity source of the same name.</summary>
public sealed class IscsiMetrics : IDisposable
{
    /// <summary>Name of the meter and of the activity source.</summary>
    public const string Name = "OpenEbs.Iscsi";

    internal static readonly ActivitySource Activities = new(Name);

    private static readonly KeyValuePair<string, object?>[] OpcodeTags = BuildOpcodeTags();

    private readonly Meter _meter;
    private readonly UpDownCounter<long> _connections;
    private readonly UpDownCounter<long> _sessions;
    private readonly Counter<long> _accepted;
    private readonly Counter<long> _dropped;
    private readonly Counter<long> _logins;
    private readonly Counter<long> _authentications;
    private readonly Counter<long> _commands;
    private readonly Counter<long> _failures;
    private readonly Counter<long> _bytes;
    private readonly Counter<long> _rejects;
    private readonly Counter<long> _ignored;
    private readonly Counter<long> _aborted;
    private readonly Histogram<double> _duration;

    /// <summary>Creates the instruments; <paramref name="factory"/> ties them to a host's service provider.</summary>
    public IscsiMetrics(IMeterFactory? factory = null)
    {
        _meter = factory?.Create(Name) ?? new Meter(Name);
        _connections = _meter.CreateUpDownCounter<long>("openebs.iscsi.connections", "{connection}", "Open TCP connections.");
        _sessions = _meter.CreateUpDownCounter<long>("openebs.iscsi.sessions", "{session}", "Sessions in full feature phase, by type.");
        _accepted = _meter.CreateCounter<long>("openebs.iscsi.connections.accepted", "{connection}", "Connections accepted.");
        _dropped = _meter.CreateCounter<long>("openebs.iscsi.connections.closed", "{connection}", "Connections closed, by reason.");
        _logins = _meter.CreateCounter<long>("openebs.iscsi.logins", "{login}", "Logins ended, by status.");
        _authentications = _meter.CreateCounter<long>("openebs.iscsi.authentications", "{authentication}", "CHAP proofs judged, by algorithm and outcome.");
        _commands = _meter.CreateCounter<long>("openebs.iscsi.commands", "{command}", "SCSI commands answered, by operation code.");
        _failures = _meter.CreateCounter<long>("openebs.iscsi.commands.failed", "{command}", "SCSI commands that ended with CHECK CONDITION, by operation code.");
        _bytes = _meter.CreateCounter<long>("openebs.iscsi.io", "By", "Bytes of SCSI data, by direction.");
        _rejects = _meter.CreateCounter<long>("openebs.iscsi.pdus.rejected", "{pdu}", "PDUs answered with Reject, by reason.");
        _ignored = _meter.CreateCounter<long>("openebs.iscsi.pdus.ignored", "{pdu}", "PDUs ignored as RFC 7143 demands, by reason.");
        _aborted = _meter.CreateCounter<long>("openebs.iscsi.commands.aborted", "{command}", "SCSI commands aborted.");
        _duration = _meter.CreateHistogram<double>("openebs.iscsi.command.duration", "s", "From a command's PDU to its response, by operation code.",
            advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60] });
    }

    /// <inheritdoc/>
    public void Dispose() => _meter.Dispose();

    internal void OnConnectionOpened()
    {
        _accepted.Add(1);
        _connections.Add(1);
    }

    internal void OnConnectionClosed(DropReason reason)
    {
        _connections.Add(-1);
        _dropped.Add(1, new KeyValuePair<string, object?>("reason", reason.ToString()));
    }

    internal void OnConnectionRefused(DropReason reason) => _dropped.Add(1, new KeyValuePair<string, object?>("reason", reason.ToString()));

    internal void OnLogin(Login.LoginStatus status) => _logins.Add(1, new KeyValuePair<string, object?>("status", status.ToString()));

    internal void OnAuthentication(Access.ChapAlgorithm algorithm, bool isAuthentic) => _authentications.Add(
        1,
        new KeyValuePair<string, object?>("algorithm", Access.ChapDigest.NameOf(algorithm)),
        new KeyValuePair<string, object?>("outcome", isAuthentic ? "authentic" : "refused"));

    internal void OnSession(bool isDiscovery, int change) =>
        _sessions.Add(change, new KeyValuePair<string, object?>("type", isDiscovery ? "discovery" : "normal"));

    internal void OnReject(RejectReason reason) => _rejects.Add(1, new KeyValuePair<string, object?>("reason", reason.ToString()));

    internal void OnIgnored(string reason) => _ignored.Add(1, new KeyValuePair<string, object?>("reason", reason));

    internal void OnAborted() => _aborted.Add(1);

    internal void OnCommand(byte operationCode, bool failed, long bytesIn, long bytesOut, TimeSpan duration)
    {
        ref readonly var tag = ref OpcodeTags[operationCode];
        if (_commands.Enabled) _commands.Add(1, tag);
        if (failed && _failures.Enabled) _failures.Add(1, tag);
        if (_duration.Enabled) _duration.Record(duration.TotalSeconds, tag);
        if (!_bytes.Enabled) return;
        if (bytesIn > 0) _bytes.Add(bytesIn, new KeyValuePair<string, object?>("direction", "read"));
        if (bytesOut > 0) _bytes.Add(bytesOut, new KeyValuePair<string, object?>("direction", "write"));
    }

    private static KeyValuePair<string, object?>[] BuildOpcodeTags()
    {
        var tags = new KeyValuePair<string, object?>[256];
        for (var code = 0; code < tags.Length; code++)
        {
            // Unknown codes share a tag, so that a fuzzer does not make 256 time series.
            tags[code] = new("operation", Enum.IsDefined((OperationCode)code) ? ((OperationCode)code).ToString() : "Unknown");
        }

        return tags;
    }
}
