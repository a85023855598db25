namespace OpenEbs.Iscsi.Pdus;

/// <summary>PDU opcodes (RFC 7143 §11.2.1.2). Codes that this target does not serve are here too: each gets a deliberate Reject.</summary>
internal enum Opcode : byte
{
    // Initiator opcodes.
    NopOut = 0x00,
    ScsiCommand = 0x01,
    TaskManagementRequest = 0x02,
    LoginRequest = 0x03,
    TextRequest = 0x04,
    DataOut = 0x05,
    LogoutRequest = 0x06,
    Snack = 0x10,
    VendorInitiator1C = 0x1c,
    VendorInitiator1D = 0x1d,
    VendorInitiator1E = 0x1e,

    // Target opcodes.
    NopIn = 0x20,
    ScsiResponse = 0x21,
    TaskManagementResponse = 0x22,
    LoginResponse = 0x23,
    TextResponse = 0x24,
    DataIn = 0x25,
    LogoutResponse = 0x26,
    ReadyToTransfer = 0x31,
    AsyncMessage = 0x32,
    VendorTarget3C = 0x3c,
    VendorTarget3D = 0x3d,
    VendorTarget3E = 0x3e,
    Reject = 0x3f,
}
