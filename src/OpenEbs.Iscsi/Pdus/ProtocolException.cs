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
