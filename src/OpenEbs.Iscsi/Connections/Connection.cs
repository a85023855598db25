using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using OpenEbs.Iscsi.Access;
using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Portals;
using OpenEbs.Iscsi.Sessions;
using OpenEbs.Iscsi.Tasks;

namespace OpenEbs.Iscsi.Connections;

/// <summary>One TCP connection from accept to close: login phase, full feature phase, cleanup. One loop reads; any thread may drop it.</summary>
[SuppressMessage("Reliability", "CA1001", Justification = "Its sources have no timer and no registration that outlives the connection; anybody may still ask them.")]
internal sealed partial class Connection
{
    private static readonly TimeSpan LingerTime = TimeSpan.FromSeconds(1);

    private readonly Socket _socket;
    private readonly PortalContext _portal;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _closing = new();
    private int _dropReason = -1;

    public Connection(Socket socket, PortalContext portal, long number)
    {
        _socket = socket;
        _portal = portal;
        Number = number;
        Local = Unmap((IPEndPoint)socket.LocalEndPoint!);
        Remote = Unmap((IPEndPoint)socket.RemoteEndPoint!);
        Writer = new PduWriter(socket, _ => Drop(DropReason.SocketError));
        Reader = new PduReader(socket, Writer.Flush);
        Accepted = portal.Time.GetTimestamp();
        Watch = new ConnectionWatch(this, portal);
    }

    /// <summary>For people and logs.</summary>
    public long Number { get; }

    public IPEndPoint Local { get; }

    public IPEndPoint Remote { get; }

    public PduReader Reader { get; }

    public PduWriter Writer { get; }

    public ConnectionWatch Watch { get; }

    /// <summary>Timestamp of the accept.</summary>
    public long Accepted { get; }

    public bool IsFullFeature { get; set; }

    public Session? Session { get; set; }

    /// <summary>Who logged in; set at the end of the login.</summary>
    public LoginIdentity? Identity { get; set; }

    /// <summary>Closed, or about to be.</summary>
    public bool IsDropped => Volatile.Read(ref _dropReason) != -1;

    /// <summary>Cancelled when the connection is dropped.</summary>
    public CancellationToken Closing => _closing.Token;

    /// <summary>Completes when the connection is closed and its tasks can have no further effect.</summary>
    public Task Ended => _ended.Task;

    /// <summary>Serves the connection to its end. Never throws.</summary>
    public async Task RunAsync()
    {
        _portal.Metrics.OnConnectionOpened();
        try
        {
            await ServeAsync();
        }
        catch (ConnectionDroppedException exception)
        {
            LogDropped(_portal.Logger, Number, Remote, exception.Reason, exception.Message);
            Drop(exception.Reason);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            Drop(DropReason.SocketError);
        }
        catch (Exception exception)
        {
            LogFailed(_portal.Logger, exception, Number, Remote);
            Drop(DropReason.InternalError);
        }
        finally
        {
            await CleanUpAsync();
        }
    }

    /// <summary>Closes the socket, so that the read loop ends; the first reason given counts.</summary>
    public void Drop(DropReason reason)
    {
        if (Interlocked.CompareExchange(ref _dropReason, (int)reason, -1) != -1) return;
        _closing.Cancel();
        Writer.Close();
        try
        {
            // Closing at once would make a reset out of unread input and could destroy a last response on its way.
            _socket.Shutdown(SocketShutdown.Both);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // Already gone.
        }

        _socket.Dispose();
    }

    /// <summary>Sends what is queued and closes in order: the peer reads the last response before it sees the end.</summary>
    public async Task CloseAfterOutputAsync(DropReason reason)
    {
        try
        {
            await Writer.DrainAsync().WaitAsync(_portal.Options.SendTimeout, _portal.Time, Closing);
            _socket.Shutdown(SocketShutdown.Send);
            using var linger = CancellationTokenSource.CreateLinkedTokenSource(Closing);
            linger.CancelAfter(LingerTime);
            var scrap = new byte[4096];
            while (await _socket.ReceiveAsync(scrap, SocketFlags.None, linger.Token) > 0)
            {
                // What the peer still sends is of no interest.
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException or OperationCanceledException or TimeoutException)
        {
            // Closed less politely than meant.
        }

        Drop(reason);
    }

    /// <summary>The address as IPv4, when a socket for both families shows it as IPv6.</summary>
    internal static IPEndPoint Unmap(IPEndPoint endPoint) =>
        endPoint.Address.IsIPv4MappedToIPv6 ? new IPEndPoint(endPoint.Address.MapToIPv4(), endPoint.Port) : endPoint;

    private async Task ServeAsync()
    {
        var login = await new LoginPhase(this, _portal).RunAsync();
        if (login is null) return;
        IsFullFeature = true;
        _portal.Metrics.OnSession(login.IsDiscovery, +1);
        try
        {
            Reader.Rules = new FramingRules(login.TargetMaxRecvDataSegmentLength, login.HeaderDigest, login.DataDigest);
            Writer.UseDigests(login.HeaderDigest, login.DataDigest);
            if (Session is { } session) session.Execution = new CommandExecution(this, session, _portal);
            await new FullFeaturePhase(this, login, _portal).RunAsync();
            Drop(DropReason.PeerClosed);
        }
        finally
        {
            _portal.Metrics.OnSession(login.IsDiscovery, -1);
        }
    }

    private async Task CleanUpAsync()
    {
        Drop(DropReason.PeerClosed);
        _portal.Sessions.RemoveDiscovery(this);
        try
        {
            if (Session is { } session)
            {
                // RFC 7143 §6.3.5 and §7.2.2 at ErrorRecoveryLevel 0: the tasks end with their connection, and nobody goes on before they have.
                if (session.Execution is { } execution) await execution.AbortAllAsync();
                if (_portal.Sessions.TryEnd(session, this)) await SessionEnding.EndAsync(session, _portal);
            }
        }
        catch (Exception exception)
        {
            LogFailed(_portal.Logger, exception, Number, Remote);
        }

        Writer.Dispose();
        Reader.Dispose();
        _portal.Metrics.OnConnectionClosed((DropReason)_dropReason);
        _ended.TrySetResult();
    }

    [LoggerMessage(3001, LogLevel.Information, "Connection {Number} from {Remote} was closed ({Reason}): {Explanation}")]
    private static partial void LogDropped(ILogger logger, long number, IPEndPoint remote, DropReason reason, string explanation);

    [LoggerMessage(3002, LogLevel.Error, "Connection {Number} from {Remote} failed; it was closed.")]
    private static partial void LogFailed(ILogger logger, Exception exception, long number, IPEndPoint remote);
}
