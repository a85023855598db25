using OpenEbs.Buffers;
using OpenEbs.Grains.Access;
using OpenEbs.Iscsi.Portals;
using OpenEbs.Server.Configuration;
using OpenEbs.Server.Health;

namespace OpenEbs.Server.Portals;

/// <summary>This node's iSCSI portal. It starts when the silo is active and stops before anything else does, so that initiators are told while their commands can still end.</summary>
internal sealed class PortalService : IHostedService, IAsyncDisposable
{
    private readonly NodeOptions _options;
    private readonly NodeReadiness _readiness;
    private readonly IscsiMetrics _metrics;
    private readonly IscsiPortal _portal;
    private readonly GatewaySessions _sessions;

    public PortalService(
        NodeOptions options, VolumeCatalog catalog, GatewaySessions sessions, NodeReadiness readiness, System.Diagnostics.Metrics.IMeterFactory meters, TimeProvider time, ILogger<IscsiPortal> logger)
    {
        _options = options;
        _readiness = readiness;
        _metrics = new IscsiMetrics(meters);
        _sessions = sessions;
        _portal = new IscsiPortal(options.Iscsi.ToPortalOptions(PortalGroup.TagOf(options)), catalog, IoBufferPool.Shared, time, logger, _metrics);
    }

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await _portal.StartAsync(_options.Iscsi.EndPoints(_options.Bind, _options.IscsiPort), cancellationToken);
        _sessions.Portal = new PortalSessions(_portal, _options);
        _readiness.PortalListens = true;
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        _readiness.PortalListens = false;
        await _portal.StopAsync(cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        await _portal.DisposeAsync();
        _metrics.Dispose();
    }
}
