using System.Buffers;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using OpenEbs.Iscsi.Connections;
using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Scsi;
using OpenEbs.Iscsi.Sessions;

namespace OpenEbs.Iscsi.Portals;

/// <summary>An iSCSI target portal: listens, accepts, and serves the targets of a catalog over RFC 7143 at ErrorRecoveryLevel 0.</summary>
public sealed partial class IscsiPortal : IUnitDirectory, IAsyncDisposable
{
    private const int Backlog = 512;
    private static readonly TimeSpan TickInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan AcceptPause = TimeSpan.FromMilliseconds(100);

    private readonly PortalContext _context;
    private readonly IscsiMetrics? _ownMetrics;
    private readonly Lock _gate = new();
    private readonly LinkedList<Connection> _connections = [];
    private readonly CancellationTokenSource _stopping = new();
    private Socket? _listener;
    private Task _accepting = Task.CompletedTask;
    private Task _ticking = Task.CompletedTask;
    private long _connectionNumber;

    /// <summary>Makes a portal; nothing listens before <see cref="StartAsync"/>.</summary>
    /// <param name="options">Settings; checked here.</param>
    /// <param name="catalog">The targets.</param>
    /// <param name="pool">Where the data of writes is received; the store gets the same buffers.</param>
    /// <param name="timeProvider">Clock.</param>
    /// <param name="logger">Log of connections, logins and task management.</param>
    /// <param name="metrics">Instruments to share; the portal's own if null.</param>
    /// <exception cref="ArgumentException">An option is out of range; the message says which and what would be right.</exception>
    public IscsiPortal(
        IscsiPortalOptions options, ITargetCatalog catalog, MemoryPool<byte> pool, TimeProvider timeProvider, ILogger logger, IscsiMetrics? metrics = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        var problems = string.Join(" ", options.Validate());
        if (problems.Length > 0) throw new ArgumentException(problems, nameof(options));
        _context = new PortalContext
        {
            Options = options,
            Catalog = catalog,
            Pool = pool,
            Time = timeProvider,
            Logger = logger,
            Metrics = metrics ?? (_ownMetrics = new IscsiMetrics()),
            Sessions = new SessionRegistry(options, timeProvider),
            Budget = new DataBudget(options.MaxBufferedBytes),
            Units = new LogicalUnitTable(options.PortalGroupTag, this),
        };
    }

    async ValueTask<IReadOnlyList<int>> IUnitDirectory.ListPortsAsync(string targetName, CancellationToken cancellationToken) =>
        [.. (await _context.Catalog.ListPortalsAsync(targetName, BoundEndPoint!, cancellationToken)).Select(portal => portal.PortalGroupTag).Distinct()];

    ValueTask<ILogicalUnitStore?> IUnitDirectory.FindUnitAsync(ReadOnlyMemory<byte> designator, CancellationToken cancellationToken) => _context.Catalog.FindUnitAsync(designator, cancellationToken);

    /// <summary>Where the portal listens; null before it was started.</summary>
    public IPEndPoint? BoundEndPoint { get; private set; }

    /// <summary>The normal sessions as of now.</summary>
    public IReadOnlyList<PortalSession> Sessions
    {
        get
        {
            var sessions = new List<PortalSession>();
            foreach (var session in _context.Sessions.ToList())
            {
                if (session is not { Facts: { } facts, Connection: { } connection }) continue;
                sessions.Add(new PortalSession(session.Key.TargetName, session.Key.InitiatorName, connection.Remote, facts.Since, session.Tasks.Count));
            }

            return sessions;
        }
    }

    /// <summary>Binds and begins to accept.</summary>
    /// <exception cref="SocketException">The address cannot be bound, for example because the port is in use.</exception>
    public Task StartAsync(IPEndPoint bindEndPoint, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(bindEndPoint);
        cancellationToken.ThrowIfCancellationRequested();
        if (_listener is not null) throw new InvalidOperationException("The portal was already started.");
        var listener = new Socket(bindEndPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            // IPv6Any listens for both families, as portals on "all addresses" are expected to.
            if (bindEndPoint.Address.Equals(IPAddress.IPv6Any)) listener.DualMode = true;
            listener.Bind(bindEndPoint);
            listener.Listen(Backlog);
        }
        catch
        {
            listener.Dispose();
            throw;
        }

        _listener = listener;
        BoundEndPoint = (IPEndPoint)listener.LocalEndPoint!;
        _accepting = AcceptAsync(listener);
        _ticking = TickAsync();
        LogListening(_context.Logger, BoundEndPoint);
        return Task.CompletedTask;
    }

    /// <summary>Stops in order: no new connections; initiators are asked to log out (Async Message); commands in flight end; then what is left is
    /// closed. Takes at most <see cref="IscsiPortalOptions.StopTimeout"/> and the time that the store needs to settle aborted commands.</summary>
    public async Task StopAsync(CancellationToken cancellationToken = default)
    {
        if (_listener is null || _stopping.IsCancellationRequested) return;
        await _stopping.CancelAsync();
        _listener.Dispose();
        await _accepting;
        var connections = Snapshot();
        foreach (var connection in connections)
        {
            if (connection is { IsFullFeature: true, Session: not null }) RequestLogout(connection);
            else connection.Drop(DropReason.PortalStopping);
        }

        var ended = Task.WhenAll(connections.Select(connection => connection.Ended));
        try
        {
            await ended.WaitAsync(_context.Options.StopTimeout, _context.Time, cancellationToken);
        }
        catch (Exception exception) when (exception is TimeoutException or OperationCanceledException)
        {
            foreach (var connection in connections) connection.Drop(DropReason.PortalStopping);
        }

        await ended;
        await _ticking;
        LogStopped(_context.Logger, BoundEndPoint!);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _stopping.Dispose();
        _ownMetrics?.Dispose();
    }

    /// <summary>RFC 7143 §11.9: event 1, the target asks for a logout within Parameter3 seconds.</summary>
    private void RequestLogout(Connection connection)
    {
        var pdu = connection.Writer.Rent();
        pdu.Header.Opcode = Opcode.AsyncMessage;
        pdu.Header.Flags = 0x80;
        pdu.Header.InitiatorTaskTag = BasicHeader.ReservedTag;
        pdu.Header.Bytes[36] = (byte)AsyncEvent.LogoutRequested;
        pdu.Header.Set16(42, (ushort)Math.Clamp(Math.Ceiling(_context.Options.StopTimeout.TotalSeconds), 1, 3600));
        pdu.StatSN = StatSNUse.Advance;
        connection.Writer.Queue(pdu, flush: true);
    }

    private List<Connection> Snapshot()
    {
        lock (_gate) return [.. _connections];
    }

    private async Task AcceptAsync(Socket listener)
    {
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                Serve(await listener.AcceptAsync());
            }
            catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
            {
                if (_stopping.IsCancellationRequested) return;

                // The peer hung up before we got to it, or we are out of descriptors: neither may end the portal.
                LogAcceptFailed(_context.Logger, exception);
                await Task.Delay(AcceptPause, _context.Time);
            }
        }
    }

    private void Serve(Socket socket)
    {
        Connection connection;
        Connection? evicted = null;
        try
        {
            socket.NoDelay = true;
            connection = new Connection(socket, _context, ++_connectionNumber);
        }
        catch (SocketException)
        {
            // Reset between accept and here.
            socket.Dispose();
            return;
        }

        lock (_gate)
        {
            if (_connections.Count >= _context.Options.MaxConnections)
            {
                evicted = connection;
            }
            else
            {
                var loggingIn = _connections.Where(static other => !other.IsFullFeature);
                if (loggingIn.Count() >= _context.Options.MaxLoginConnections) evicted = loggingIn.First();
                _connections.AddLast(connection);
            }
        }

        if (evicted is not null)
        {
            _context.Metrics.OnConnectionRefused(DropReason.ConnectionLimit);
            evicted.Drop(DropReason.ConnectionLimit);
        }

        if (evicted != connection) _ = RunAsync(connection);
    }

    private async Task RunAsync(Connection connection)
    {
        // Off the accept loop: a fast peer could otherwise keep it busy.
        await Task.Yield();
        await connection.RunAsync();
        lock (_gate) _connections.Remove(connection);
    }

    private async Task TickAsync()
    {
        using var timer = new PeriodicTimer(TickInterval, _context.Time);
        try
        {
            while (await timer.WaitForNextTickAsync(_stopping.Token))
            {
                foreach (var connection in Snapshot()) connection.Watch.Tick();
            }
        }
        catch (OperationCanceledException)
        {
            // Stopping.
        }
    }

    [LoggerMessage(3051, LogLevel.Information, "The iSCSI portal listens on {EndPoint}.")]
    private static partial void LogListening(ILogger logger, IPEndPoint endPoint);

    [LoggerMessage(3052, LogLevel.Information, "The iSCSI portal on {EndPoint} has stopped.")]
    private static partial void LogStopped(ILogger logger, IPEndPoint endPoint);

    [LoggerMessage(3053, LogLevel.Warning, "A connection could not be accepted.")]
    private static partial void LogAcceptFailed(ILogger logger, Exception exception);
}
