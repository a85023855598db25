using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Portals;

namespace OpenEbs.Iscsi.Connections;

/// <summary>Looks after a connection once a second: login deadline, NOP-In pings, stalled output. Called by the portal's clock only.</summary>
internal sealed class ConnectionWatch(Connection connection, PortalContext portal)
{
    private long _receivedBytes = -1;
    private long _lastReceived;
    private long _sends = -1;
    private long _lastSend;
    private bool _pinged;
    private long _pingedAt;
    private uint _pingTag;

    public void Tick()
    {
        var now = portal.Time.GetTimestamp();
        if (!connection.IsFullFeature)
        {
            if (portal.Time.GetElapsedTime(connection.Accepted, now) > portal.Options.LoginTimeout) connection.Drop(DropReason.LoginTimeout);
            return;
        }

        WatchOutput(now);
        WatchInput(now);
    }

    private void WatchOutput(long now)
    {
        var sends = connection.Writer.SendsCompleted;
        if (!connection.Writer.IsSending || sends != _sends)
        {
            _sends = sends;
            _lastSend = now;
        }
        else if (portal.Time.GetElapsedTime(_lastSend, now) > portal.Options.SendTimeout)
        {
            connection.Drop(DropReason.SendStalled);
        }
    }

    /// <summary>Any byte from the initiator proves that it lives; a NOP-In only provokes one (RFC 7143 §11.19).</summary>
    private void WatchInput(long now)
    {
        var received = connection.Reader.ReceivedBytes;
        if (received != _receivedBytes)
        {
            _receivedBytes = received;
            _lastReceived = now;
            _pinged = false;
            return;
        }

        var silence = portal.Time.GetElapsedTime(_lastReceived, now);
        if (_pinged && portal.Time.GetElapsedTime(_pingedAt, now) > portal.Options.NopTimeout) connection.Drop(DropReason.NopTimeout);
        if (_pinged || silence < portal.Options.NopInterval) return;
        if (connection.Session is null)
        {
            // In a discovery session only text and logout are allowed (RFC 7143 §4.3): a silent one is closed instead of pinged.
            if (silence > portal.Options.NopInterval + portal.Options.NopTimeout) connection.Drop(DropReason.NopTimeout);
            return;
        }

        _pinged = true;
        _pingedAt = now;
        Ping();
    }

    private void Ping()
    {
        if (++_pingTag == BasicHeader.ReservedTag) _pingTag = 1;
        var pdu = connection.Writer.Rent();
        pdu.Header.Opcode = Opcode.NopIn;
        pdu.Header.Flags = 0x80;
        pdu.Header.InitiatorTaskTag = BasicHeader.ReservedTag;
        pdu.Header.TargetTransferTag = _pingTag;
        pdu.StatSN = StatSNUse.Peek;
        connection.Writer.Queue(pdu, flush: true);
    }
}
