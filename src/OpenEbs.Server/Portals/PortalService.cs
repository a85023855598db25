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
    private static readonly TimeSpan LookInterval = TimeSpan.FromSeconds(1);
    private readonly IscsiMetrics _metrics;
    private readonly IscsiPortal _portal;
    private readonly GatewaySessions _sessions;
    private readonly VolumeCatalog _catalog;
    private readonly TimeProvider _time;
    private ITimer? _looking;

    public PortalService(
        NodeOptions options, VolumeCatalog catalog, GatewaySessions sessions, NodeReadiness readiness, System.Diagnostics.Metrics.IMeterFactory meters, TimeProvider time, ILogger<IscsiPortal> logger)
    {
        _options = options;
        _readiness = readiness;
        _catalog = catalog;
        _time = time;
        _metrics = new IscsiMetrics(meters);
        _sessions = sessions;
        var portalOptions = options.Iscsi.ToPortalOptions(PortalGroup.TagOf(options));
        portalOptions.RedirectsWhileStopping = options.EffectiveLoginRedirection != LoginRedirection.Never;
        _portal = new IscsiPortal(portalOptions, catalog, IoBufferPool.Shared, time, logger, _metrics);
    }

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await _portal.StartAsync(_options.Iscsi.EndPoints(_options.Bind, _options.IscsiPort), cancellationToken);
        _sessions.Portal = new PortalSessions(_portal, _options);
        _readiness.PortalListens = true;
        if (_options.EffectiveLoginRedirection != LoginRedirection.Never) _looking = _time.CreateTimer(_ => _ = LookAsync(), null, LookInterval, LookInterval);
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        _readiness.PortalListens = false;
        if (_looking is not null) await _looking.DisposeAsync();
        await _portal.StopAsync(cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        if (_looking is not null) await _looking.DisposeAsync();
        await _portal.DisposeAsync();
        _metrics.Dispose();
    }

    /// <summary>While the node is drained its sessions go to other portals, if there are any.</summary>
    private async Task LookAsync()
    {
        try
        {
            if (await _catalog.IsToLeaveAsync(CancellationToken.None)) _portal.BeginHandOver();
            else _portal.EndHandOver();
        }
        catch (Exception failure) when (failure is not OutOfMemoryException)
        {
            // The cluster cannot say now: it is asked again.
        }
    }
}
