using Microsoft.Extensions.Logging;
using OpenEbs.Grains.Access;
using OpenEbs.Grains.Volumes;
using OpenEbs.Volumes;
using Orleans.Runtime;

namespace OpenEbs.Grains.Gateways;

/// <summary>The volumes that this silo's gateway uses: one <see cref="VolumeConnection"/> each, shared by all its sessions. A singleton service of the silo.</summary>
public sealed partial class VolumeGateway : IAsyncDisposable
{
    private readonly IGrainFactory _grains;
    private readonly TimeProvider _time;
    private readonly ILogger<VolumeGateway> _logger;
    private readonly VolumeAttaching _attaching;
    private readonly string _node;
    private readonly Func<bool> _isLeaving;
    private readonly Dictionary<string, AttachedVolume> _volumes = [];
    private readonly Lock _lock = new();
    private readonly ITimer _reports;

    internal VolumeGateway(IGrainFactory grains, ILocalSiloDetails silo, LocalVolumes volumes, VolumeConnectionOptions options, TimeProvider time, ILogger<VolumeGateway> logger)
    {
        _grains = grains;
        _time = time;
        _logger = logger;
        _node = silo.Name;
        _isLeaving = () => volumes.IsLeaving(silo.SiloAddress);
        _attaching = new VolumeAttaching(silo.SiloAddress, options, _isLeaving);
        _reports = time.CreateTimer(_ => ReportAll(), null, options.ReportInterval, options.ReportInterval);
    }

    /// <summary>Tells how much the sessions have done, for reports; null: nothing is known of that.</summary>
    internal GatewaySessions? Live { get; init; }

    /// <summary>The node is drained or goes down: volumes are to be used through other gateways.</summary>
    public bool IsLeaving => _isLeaving();

    /// <summary>Attaches a session to a volume, opening the volume if need be.</summary>
    /// <exception cref="VolumeNotFoundException">There is none of that name.</exception>
    /// <exception cref="VolumeUnavailableException">It cannot be opened now (the message says how long was waited).</exception>
    public async ValueTask<VolumeConnection> AttachAsync(string volume, SessionView session, CancellationToken cancellationToken = default)
    {
        var connection = await ConnectAsync(volume, forSession: true, cancellationToken);
        AttachedVolume attached;
        lock (_lock)
        {
            if (!_volumes.TryGetValue(volume, out attached!)) _volumes[volume] = attached = new AttachedVolume(_grains.GetGrain<IVolumeGrain>(volume), connection);
            attached.Sessions.Add(session);
            attached.Connection.HasSessions = true;
        }

        Report(attached);
        return attached.Connection;
    }

    /// <summary>Ends a session's use of a volume. Commands under way are not affected.</summary>
    public void Release(string volume, SessionView session)
    {
        AttachedVolume? attached;
        lock (_lock)
        {
            if (!_volumes.TryGetValue(volume, out attached)) return;
            attached.Sessions.Remove(session);
            attached.Connection.HasSessions = attached.Sessions.Count > 0;
            if (attached.Sessions.Count == 0) _volumes.Remove(volume);
        }

        Report(attached);
    }

    /// <summary>A connection for no session: the volume does not list it.</summary>
    /// <exception cref="VolumeNotFoundException">There is none of that name.</exception>
    /// <exception cref="VolumeUnavailableException">It cannot be opened now.</exception>
    public ValueTask<VolumeConnection> ConnectAsync(string volume, CancellationToken cancellationToken = default) => ConnectAsync(volume, forSession: false, cancellationToken);

    public ValueTask DisposeAsync() => _reports.DisposeAsync();

    private async ValueTask<VolumeConnection> ConnectAsync(string volume, bool forSession, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (_volumes.TryGetValue(volume, out var known)) return known.Connection;
        }

        if (!VolumeName.TryParse(volume, out _)) throw new VolumeNotFoundException($"There is no volume '{volume}': that is not a volume name.");
        var grain = _grains.GetGrain<IVolumeGrain>(volume);
        var started = _time.GetTimestamp();
        while (true)
        {
            var left = _attaching.Options.ConnectTimeout - _time.GetElapsedTime(started);
            if (left <= TimeSpan.Zero) throw Unavailable(volume);
            try
            {
                var (outcome, attachment) = await _attaching.TryAttachAsync(grain, forSession).WaitAsync(left, _time, cancellationToken);
                if (outcome == AttachOutcome.Gone) throw new VolumeNotFoundException($"There is no volume '{volume}'. 'openebsctl volume list' shows those that exist.");
                if (attachment is not null) return new VolumeConnection(grain, _attaching, attachment, _time, _logger);
            }
            catch (TimeoutException)
            {
                throw Unavailable(volume);
            }

            await Task.Delay(_attaching.Options.MaxRetryDelay, _time, cancellationToken);
        }
    }

    private VolumeUnavailableException Unavailable(string volume) =>
        new($"Volume '{volume}' could not be opened within {_attaching.Options.ConnectTimeout}: 'openebsctl volume describe {volume}' says what it waits for.");

    private void ReportAll()
    {
        AttachedVolume[] all;
        lock (_lock) all = [.. _volumes.Values];
        foreach (var attached in all)
        {
            Report(attached);
            attached.Connection.Refresh();
        }
    }

    private void Report(AttachedVolume attached)
    {
        SessionView[] sessions;
        lock (_lock) sessions = [.. attached.Sessions];
        if (Live?.List(attached.Connection.Name).ToDictionary(session => session.Id) is { } live) sessions = [.. sessions.Select(session => live.GetValueOrDefault(session.Id) ?? session)];
        _ = ReportAsync(attached, sessions);
    }

    private async Task ReportAsync(AttachedVolume attached, SessionView[] sessions)
    {
        try
        {
            await attached.Grain.ReportSessionsAsync(_node, sessions);
        }
        catch (Exception failure)
        {
            // Reports repeat; a lost one shows for one interval.
            LogReportFailed(attached.Connection.Name, failure.Message);
        }
    }

    [LoggerMessage(1310, LogLevel.Debug, "Volume {Volume}: could not report sessions: {Reason}")]
    private partial void LogReportFailed(string volume, string reason);

    private sealed class AttachedVolume(IVolumeGrain grain, VolumeConnection connection)
    {
        public IVolumeGrain Grain { get; } = grain;

        public VolumeConnection Connection { get; } = connection;

        public List<SessionView> Sessions { get; } = [];
    }
}
