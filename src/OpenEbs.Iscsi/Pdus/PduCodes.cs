namespace OpenEbs.Iscsi.Pdus;

/// <summary>Reason of a Reject PDU (RFC 7143 §11.17.1).</summary>
internal enum RejectReason : byte
{
    DataDigestError = 0x02,
    SnackReject = 0x03,
    ProtocolError = 0x04,
    CommandNotSupported = 0x05,
    ImmediateCommandReject = 0x06,
    TaskInProgress = 0x07,
    InvalidDataAck = 0x08,
    InvalidPduField = 0x09,
    LongOperationReject = 0x0a,
    DeprecatedReason = 0x0b,
    WaitingForLogout = 0x0c,
}

/// <summary>Task management functions (RFC 7143 §11.5.1; 9 to 12 are those of RFC 7144).</summary>
internal enum TaskManagementFunction : byte
{
    AbortTask = 1,
    AbortTaskSet = 2,
    ClearAca = 3,
    ClearTaskSet = 4,
    LogicalUnitReset = 5,
    TargetWarmReset = 6,
    TargetColdReset = 7,
    TaskReassign = 8,
    QueryTask = 9,
    QueryTaskSet = 10,
    NexusReset = 11,
    QueryAsynchronousEvent = 12,
}

/// <summary>Outcome of a task management function (RFC 7143 §11.6.1): a value, not an exception.</summary>
internal enum TaskManagementOutcome : byte
{
    FunctionComplete = 0,
    TaskDoesNotExist = 1,
    LunDoesNotExist = 2,
    TaskStillAllegiant = 3,
    TaskReassignmentNotSupported = 4,
    FunctionNotSupported = 5,
    AuthorizationFailed = 6,
    FunctionRejected = 255,
}

/// <summary>Why an initiator logs out (RFC 7143 §11.14.1).</summary>
internal enum LogoutReason : byte
{
    CloseSession = 0,
    CloseConnection = 1,
    RemoveConnectionForRecovery = 2,
}

/// <summary>Answer to a logout (RFC 7143 §11.15.1).</summary>
internal enum LogoutOutcome : byte
{
    Closed = 0,
    CidNotFound = 1,
    RecoveryNotSupported = 2,
    CleanupFailed = 3,
}

/// <summary>Events of an Asynchronous Message (RFC 7143 §11.9.1).</summary>
internal enum AsyncEvent : byte
{
    ScsiEvent = 0,
    LogoutRequested = 1,
    ConnectionDropped = 2,
    AllConnectionsDropped = 3,
    NegotiationRequested = 4,
    TasksTerminated = 5,
    VendorSpecific = 255,
}

/// <summary>iSCSI service response (RFC 7143 §11.4.3).</summary>
internal enum ServiceResponse : byte
{
    CommandCompleted = 0,
    TargetFailure = 1,
}

/// <summary>The iSCSI task attribute (RFC 7143 §11.3.1).</summary>
internal enum TaskAttribute : byte
{
    Untagged = 0,
    Simple = 1,
    Ordered = 2,
    HeadOfQueue = 3,
    Aca = 4,
}
