using System.Buffers;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using OpenEbs.Iscsi.Access;
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
    private static readonly TimeSpan CloseNoticeTimeout = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan AcceptPause = TimeSpan.FromMilliseconds(100);

    private readonly PortalContext _context;
    private readonly IscsiMetrics? _ownMetrics;
    private readonly Lock _gate = new();
    private readonly LinkedList<Connection> _connections = [];
    private readonly AddressLedger _addresses;
    private readonly List<Socket> _listeners = [];
    private readonly CancellationTokenSource _stopping = new();
    private readonly HandOver _handOver;
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
        _addresses = new AddressLedger(options, timeProvider);
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
            RefusalLog = new LogBudget(timeProvider),
        };
        _handOver = new HandOver(_context);
    }

    ValueTask<IReadOnlyList<int>> IUnitDirectory.ListPortsAsync(string targetName, CancellationToken cancellationToken) => _context.Catalog.ListPortalGroupsAsync(targetName, cancellationToken);

    ValueTask<ILogicalUnitStore?> IUnitDirectory.FindUnitAsync(ReadOnlyMemory<byte> designator, LoginIdentity initiator, CancellationToken cancellationToken) =>
        _context.Catalog.FindUnitAsync(designator, initiator, cancellationToken);

    /// <summary>Where the portal listens, the first of its addresses; null before it was started.</summary>
    public IPEndPoint? BoundEndPoint { get; private set; }

    /// <summary>The normal sessions as of now, with those that are just logging in.</summary>
    public IReadOnlyList<PortalSession> Sessions => [.. _context.Sessions.ToList().Select(Describe).OfType<PortalSession>()];

    /// <summary>Ends a session: the initiator is told (Async Message, RFC 7143 §11.9, event 3), its connection is closed, its commands are settled. It may log in again if it is let in.</summary>
    /// <param name="id">See <see cref="PortalSession.Id"/>.</param>
    /// <param name="isRevoked">Because it is not allowed any more, not because somebody asked for it.</param>
    /// <returns>False when there is none.</returns>
    /// <exception cref="TimeoutException">It is closed, but commands of it are not settled yet.</exception>
    public async Task<bool> CloseSessionAsync(string id, bool isRevoked = false)
    {
        if (_context.Sessions.ToList().Find(session => session.Id == id) is not { Connection: { } connection } session) return false;
        LogClosing(_context.Logger, id, session.Key.InitiatorName, session.Key.TargetName, isRevoked ? "its access was revoked" : "somebody asked for it");
        try
        {
            if (connection.IsFullFeature)
            {
                HandOver.TellDropped(connection);
                await connection.Writer.DrainAsync().WaitAsync(CloseNoticeTimeout, _context.Time);
            }
        }
        catch (Exception exception) when (exception is TimeoutException or SocketException or ObjectDisposedException or OperationCanceledException)
        {
            // It does not read, or is gone: it learns of it by the end of its connection.
        }

        connection.Drop(isRevoked ? DropReason.AccessRevoked : DropReason.ClosedOnRequest);
        await session.Ended.WaitAsync(_context.Options.LoginTimeout, _context.Time);
        return true;
    }

    /// <summary>Binds one address and begins to accept.</summary>
    /// <exception cref="SocketException">The address cannot be bound, for example because the port is in use.</exception>
    public Task StartAsync(IPEndPoint bindEndPoint, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(bindEndPoint);
        return StartAsync([bindEndPoint], cancellationToken);
    }

    /// <summary>Binds and begins to accept.</summary>
    /// <exception cref="SocketException">An address cannot be bound, for example because the port is in use; then none is.</exception>
    public Task StartAsync(IReadOnlyList<IPEndPoint> bindEndPoints, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(bindEndPoints);
        ArgumentOutOfRangeException.ThrowIfZero(bindEndPoints.Count);
        cancellationToken.ThrowIfCancellationRequested();
        if (_listeners.Count > 0) throw new InvalidOperationException("The portal was already started.");
        try
        {
            foreach (var endPoint in bindEndPoints) _listeners.Add(Listen(endPoint));
        }
        catch
        {
            foreach (var listener in _listeners) listener.Dispose();
            _listeners.Clear();
            throw;
        }

        BoundEndPoint = (IPEndPoint)_listeners[0].LocalEndPoint!;
        foreach (var listener in _listeners) LogListening(_context.Logger, (IPEndPoint)listener.LocalEndPoint!);
        _accepting = Task.WhenAll(_listeners.Select(AcceptAsync));
        _ticking = TickAsync();
        return Task.CompletedTask;
    }

    /// <summary>From now on sessions are sent away: initiators are asked to log out (Async Message) within <see cref="IscsiPortalOptions.HandOverTimeout"/>, after which their connections are closed, and
    /// logins go where the catalog says. Until <see cref="EndHandOver"/>; nothing else ends.</summary>
    public void BeginHandOver() => _handOver.Begin(Snapshot());

    /// <summary>Sessions are served here again.</summary>
    public void EndHandOver() => _handOver.End();

    /// <summary>Stops in order: initiators are asked to log out (Async Message), and may log in elsewhere; commands in flight end; then what is left is
    /// closed. Takes at most <see cref="IscsiPortalOptions.StopTimeout"/> and the time that the store needs to settle aborted commands.</summary>
    public async Task StopAsync(CancellationToken cancellationToken = default)
    {
        if (_listeners.Count == 0 || _stopping.IsCancellationRequested) return;

        // Who has logged out asks here where to go: so the door stays open while sessions end.
        if (_context.Options.RedirectsWhileStopping) await _handOver.StopAsync(Snapshot(), cancellationToken);
        await _stopping.CancelAsync();
        foreach (var listener in _listeners) listener.Dispose();
        await _accepting;
        var connections = Snapshot();
        foreach (var connection in connections)
        {
            if (HandOver.IsSession(connection) && !_handOver.IsOver) HandOver.RequestLogout(connection, _context.Options.StopTimeout);
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

    private static Socket Listen(IPEndPoint endPoint)
    {
        var listener = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            // IPv6Any listens for both families, as portals on "all addresses" are expected to.
            if (endPoint.Address.Equals(IPAddress.IPv6Any)) listener.DualMode = true;
            listener.Bind(endPoint);
            listener.Listen(Backlog);
            return listener;
        }
        catch
        {
            listener.Dispose();
            throw;
        }
    }

    private PortalSession? Describe(Session session)
    {
        if (session.Connection is not { } connection) return null;
        var traffic = session.Traffic;
        return new PortalSession(session.Key.TargetName, session.Key.InitiatorName, connection.Remote, session.Facts?.Since ?? _context.Time.GetUtcNow(), session.Tasks.Count)
        {
            Id = session.Id,
            Credential = session.Facts?.Credential ?? "",
            IsPending = session.Facts is null,
            HeaderDigest = session.Parameters.HeaderDigest,
            DataDigest = session.Parameters.DataDigest,
            ReadBytes = traffic.ReadBytes,
            WrittenBytes = traffic.WrittenBytes,
            CommandCount = traffic.CommandCount,
            LastCommandAt = traffic.LastCommand is not 0 and var last ? _context.Time.GetUtcNow() - _context.Time.GetElapsedTime(last) : null,
        };
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
        IPAddress address;
        try
        {
            socket.NoDelay = true;
            address = Connection.Unmap((IPEndPoint)socket.RemoteEndPoint!).Address;
        }
        catch (SocketException)
        {
            // Reset between accept and here.
            socket.Dispose();
            return;
        }

        if (Enter(address) is { } refusal)
        {
            // Nothing was made for it yet: a flood costs an accept and a close each.
            socket.Dispose();
            _context.Metrics.OnConnectionRefused(refusal);
            return;
        }

        Connection? connection = null;
        Connection? evicted = null;
        try
        {
            connection = new Connection(socket, _context, Interlocked.Increment(ref _connectionNumber));
        }
        catch (SocketException)
        {
            socket.Dispose();
        }

        lock (_gate)
        {
            if (connection is null)
            {
                _addresses.Leave(address);
                return;
            }

            var loggingIn = _connections.Where(static other => !other.IsFullFeature && !other.IsDropped).ToList();

            // The oldest of the address that has most of them: a good initiator has one, and keeps it while others flood.
            if (loggingIn.Count >= _context.Options.MaxLoginConnections) evicted = loggingIn.GroupBy(static other => AddressLedger.KeyOf(other.Remote.Address)).MaxBy(static others => others.Count())!.First();
            _connections.AddLast(connection);
        }

        evicted?.Drop(DropReason.ConnectionLimit);
        _ = RunAsync(connection, address);
    }

    /// <summary>Counts a connection; the reason when it may not be.</summary>
    private DropReason? Enter(IPAddress address)
    {
        lock (_gate)
        {
            if (_addresses.TryEnter(address) is { } refusal) return refusal;

            // Those that were dropped go in a moment. They count again when they become too many: then we are slower than whoever comes.
            var max = _context.Options.MaxConnections;
            if (_connections.Count < max || (_connections.Count < 2 * max && _connections.Count(static other => !other.IsDropped) < max)) return null;
            _addresses.Leave(address);
            return DropReason.ConnectionLimit;
        }
    }

    private async Task RunAsync(Connection connection, IPAddress address)
    {
        // Off the accept loop: a fast peer could otherwise keep it busy.
        await Task.Yield();
        await connection.RunAsync();
        lock (_gate)
        {
            _connections.Remove(connection);
            _addresses.Leave(address);
        }
    }

    private async Task TickAsync()
    {
        using var timer = new PeriodicTimer(TickInterval, _context.Time);
        try
        {
            while (await timer.WaitForNextTickAsync(_stopping.Token))
            {
                foreach (var connection in Snapshot()) connection.Watch.Tick();
                lock (_gate) _addresses.ForgetIdle();
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

    [LoggerMessage(3054, LogLevel.Information, "Session {Session} of {Initiator} on {Target} is closed: {Reason}.")]
    private static partial void LogClosing(ILogger logger, string session, string initiator, string target, string reason);

    [LoggerMessage(3053, LogLevel.Warning, "A connection could not be accepted.")]
    private static partial void LogAcceptFailed(ILogger logger, Exception exception);
}
