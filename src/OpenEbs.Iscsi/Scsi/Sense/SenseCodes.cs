namespace OpenEbs.Iscsi.Scsi.Sense;

/// <summary>SCSI status (SAM-5 §5.3.1).</summary>
internal enum ScsiStatus : byte
{
    Good = 0x00,
    CheckCondition = 0x02,
    ConditionMet = 0x04,
    Busy = 0x08,
    ReservationConflict = 0x18,
    TaskSetFull = 0x28,
    AcaActive = 0x30,
    TaskAborted = 0x40,
}

/// <summary>Sense keys (SPC-4 §4.5.6).</summary>
internal enum SenseKey : byte
{
    NoSense = 0x0,
    RecoveredError = 0x1,
    NotReady = 0x2,
    MediumError = 0x3,
    HardwareError = 0x4,
    IllegalRequest = 0x5,
    UnitAttention = 0x6,
    DataProtect = 0x7,
    BlankCheck = 0x8,
    VendorSpecific = 0x9,
    CopyAborted = 0xa,
    AbortedCommand = 0xb,
    VolumeOverflow = 0xd,
    Miscompare = 0xe,
    Completed = 0xf,
}

/// <summary>Additional sense code (high byte) and qualifier (low byte) of the conditions that this target reports (SPC-4 annex D.2).</summary>
internal enum AdditionalSense : ushort
{
    None = 0x0000,
    UnreachableCopyTarget = 0x0804,
    WriteError = 0x0c00,
    UnexpectedUnsolicitedData = 0x0c0c,
    NotEnoughUnsolicitedData = 0x0c0d,
    ThirdPartyDeviceFailure = 0x0d01,
    CopyTargetDeviceNotReachable = 0x0d02,
    InvalidFieldInCommandInformationUnit = 0x0e03,
    UnrecoveredReadError = 0x1100,
    ParameterListLengthError = 0x1a00,
    MiscompareDuringVerify = 0x1d00,
    InvalidCommandOperationCode = 0x2000,
    LogicalBlockAddressOutOfRange = 0x2100,
    InvalidFieldInCdb = 0x2400,
    LogicalUnitNotSupported = 0x2500,
    InvalidFieldInParameterList = 0x2600,
    InvalidReleaseOfPersistentReservation = 0x2604,
    TooManyTargetDescriptors = 0x2606,
    UnsupportedTargetDescriptorType = 0x2607,
    TooManySegmentDescriptors = 0x2608,
    UnsupportedSegmentDescriptorType = 0x2609,
    InlineDataLengthExceeded = 0x260b,
    WriteProtected = 0x2700,
    LogicalUnitSoftwareWriteProtected = 0x2702,
    SpaceAllocationFailedWriteProtect = 0x2707,
    PowerOnResetOrBusDeviceReset = 0x2900,
    PowerOnOccurred = 0x2901,
    BusDeviceResetFunctionOccurred = 0x2903,
    NexusLossOccurred = 0x2907,
    ModeParametersChanged = 0x2a01,
    ReservationsPreempted = 0x2a03,
    ReservationsReleased = 0x2a04,
    RegistrationsPreempted = 0x2a05,
    AsymmetricAccessStateChanged = 0x2a06,
    CapacityDataHasChanged = 0x2a09,
    CommandTimeoutDuringProcessing = 0x2e02,
    CommandsClearedByAnotherInitiator = 0x2f00,
    SavingParametersNotSupported = 0x3900,
    InternalTargetFailure = 0x4400,
    ProtocolServiceCrcError = 0x4705,
    InvalidMessageError = 0x4900,
    InsufficientRegistrationResources = 0x5504,
}
