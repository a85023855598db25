using OpenEbs.Iscsi.Connections;
using OpenEbs.Iscsi.Pdus;

namespace OpenEbs.Iscsi.Portals;

/// <summary>Sends a portal's sessions to other portals: initiators are asked to log out, and where they ask next they are told where to go.</summary>
internal sealed class HandOver(PortalContext portal)
{
    private int _round;
    private bool _isStopping;

    /// <summary>The portal stops, and its sessions have had their time.</summary>
    public bool IsOver { get; private set; }

    /// <summary>Whether there is a normal session to hand over.</summary>
    public static bool IsSession(Connection connection) => connection is { IsFullFeature: true, Session: not null };

    /// <summary>RFC 7143 §11.9: event 1, the target asks for a logout within Parameter3 seconds.</summary>
    public static void RequestLogout(Connection connection, TimeSpan within) =>
        Tell(connection, AsyncEvent.LogoutRequested, (ushort)Math.Clamp(Math.Ceiling(within.TotalSeconds), 1, 3600));

    /// <summary>RFC 7143 §11.9: with event 3 the target says that it drops all connections of the session, and that Parameter2 and Parameter3 seconds are to pass before (0) and within which (0) the
    /// initiator may come back for its tasks.</summary>
    public static void TellDropped(Connection connection) => Tell(connection, AsyncEvent.AllConnectionsDropped, parameter3: 0);

    private static void Tell(Connection connection, AsyncEvent what, ushort parameter3)
    {
        var pdu = connection.Writer.Rent();
        pdu.Header.Opcode = Opcode.AsyncMessage;
        pdu.Header.Flags = 0x80;
        pdu.Header.InitiatorTaskTag = BasicHeader.ReservedTag;
        pdu.Header.Bytes[36] = (byte)what;
        pdu.Header.Set16(42, parameter3);
        pdu.StatSN = StatSNUse.Advance;
        connection.Writer.Queue(pdu, flush: true);
    }

    /// <summary>Asks those that are logged in to go; closes in the end what has not gone.</summary>
    public void Begin(IReadOnlyList<Connection> connections)
    {
        if (_isStopping || portal.IsLeaving) return;
        portal.IsLeaving = true;
        _ = DropLaterAsync([.. connections.Where(IsSession)], ++_round);
    }

    public void End()
    {
        if (_isStopping) return;
        _round++;
        portal.IsLeaving = false;
    }

    /// <summary>Asks the sessions to go, and waits, while logins are sent elsewhere, until they have gone or their time has passed.</summary>
    public async Task StopAsync(IReadOnlyList<Connection> connections, CancellationToken cancellationToken)
    {
        _isStopping = true;
        _round++;
        portal.IsLeaving = true;
        var sessions = connections.Where(IsSession).ToList();
        foreach (var session in sessions) RequestLogout(session, portal.Options.StopTimeout);
        try
        {
            await Task.WhenAll(sessions.Select(session => session.Ended)).WaitAsync(portal.Options.StopTimeout, portal.Time, cancellationToken);

            // Whoever has just logged out is about to ask where to go.
            if (sessions.Count > 0) await Task.Delay(portal.Options.StopTimeout / 10, portal.Time, cancellationToken);
        }
        catch (Exception exception) when (exception is TimeoutException or OperationCanceledException)
        {
            // They were asked, and had their time.
        }

        IsOver = true;
    }

    private async Task DropLaterAsync(IReadOnlyList<Connection> connections, int round)
    {
        foreach (var connection in connections) RequestLogout(connection, portal.Options.HandOverTimeout);
        await Task.Delay(portal.Options.HandOverTimeout, portal.Time);
        if (round != _round) return;

        // Their tasks end with the connection; initiators send them again, elsewhere.
        foreach (var connection in connections) connection.Drop(DropReason.PortalStopping);
    }
}
