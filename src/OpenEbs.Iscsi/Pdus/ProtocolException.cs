namespace OpenEbs.Iscsi.Pdus;

/// <summary>Why a connection is dropped; also the value of the metric's tag.</summary>
internal enum DropReason : byte
{
    PeerClosed,
    SocketError,
    FormatError,
    HeaderDigestError,
    NotALogin,
    LoginFailed,
    LoginTimeout,
    DataOverrun,
    ProtocolViolation,
    NopTimeout,
    SendStalled,
    LoggedOut,
    Reinstated,
    TargetReset,
    PortalStopping,
    ConnectionLimit,
    InternalError,

    /// <summary>Too many connections from one address.</summary>
    AddressLimit,

    /// <summary>New connections from one address come too fast.</summary>
    AddressRate,

    /// <summary>The access rule of the target allows this session no more.</summary>
    AccessRevoked,

    /// <summary>Somebody asked for it.</summary>
    ClosedOnRequest,

    /// <summary>A newer discovery session needed the place.</summary>
    DiscoveryLimit,
}

/// <summary>An error that RFC 7143 answers by ending the connection (§7.7 format errors, §7.8 header digest errors, login before login).</summary>
internal sealed class ConnectionDroppedException(DropReason reason, string message) : Exception(message)
{
    public DropReason Reason { get; } = reason;
}

/// <summary>An error that RFC 7143 answers with a Reject PDU; the connection goes on.</summary>
internal sealed class PduRejectedException(RejectReason reason, string message) : Exception(message)
{
    public RejectReason Reason { get; } = reason;
}
