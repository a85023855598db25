namespace OpenEbs.Iscsi.Scsi;

/// <summary>What the device server does for a command; several CDB lengths share one.</summary>
internal enum CommandKind : byte
{
    TestUnitReady,
    RequestSense,
    Inquiry,
    ModeSelect,
    ModeSense,
    StartStopUnit,
    SendDiagnostic,
    PreventAllowMediumRemoval,
    ReadCapacity10,
    ReadCapacity16,
    Read,
    Write,
    WriteAndVerify,
    Verify,
    PreFetch,
    SynchronizeCache,
    WriteSame,
    Unmap,
    CompareAndWrite,
    GetLbaStatus,
    LogSense,
    ReportLuns,
    ReportSupportedOperationCodes,
    PersistentReserveIn,
    PersistentReserveOut,
    Reserve,
    Release,
    OrWrite,
    WriteAtomic,
    ReadDefectData,
    ReportTargetPortGroups,
    ExtendedCopy,
    ReceiveCopyResults,
    Sanitize,
}

/// <summary>A command that the device server implements.</summary>
/// <param name="Code">Operation code.</param>
/// <param name="ServiceAction">Service action in byte 1, if the operation code has them.</param>
/// <param name="Kind">What serves it.</param>
/// <param name="Usage">CDB usage data (SPC-4 §6.35.3): the bits that are evaluated; any other bit set in a CDB is refused.</param>
internal sealed record SupportedCommand(OperationCode Code, byte? ServiceAction, CommandKind Kind, byte[] Usage)
{
    public int CdbLengthBytes => Usage.Length;

    /// <summary>Refused while the unit is write protected (SBC-3 §4.12).</summary>
    public bool ChangesMedium => Kind is CommandKind.Write or CommandKind.WriteAndVerify or CommandKind.WriteSame or CommandKind.Unmap or CommandKind.CompareAndWrite
        or CommandKind.OrWrite or CommandKind.WriteAtomic or CommandKind.Sanitize;

    /// <summary>Served in spite of a pending unit attention and on a LUN that does not exist (SAM-5 §5.14, SPC-4 §6.6, §6.33, §6.39).</summary>
    public bool IsAlwaysServed => Kind is CommandKind.Inquiry or CommandKind.ReportLuns or CommandKind.RequestSense;
}

/// <summary>The commands that exist. REPORT SUPPORTED OPERATION CODES lists this table and dispatch looks up in it, so they cannot differ.</summary>
internal static class SupportedCommands
{
    private const byte Group = 0x1f;
    private const byte DpoFua = 0x18;

    public static readonly SupportedCommand[] All =
    [
        Row(CommandKind.TestUnitReady, OperationCode.TestUnitReady, 0, 0, 0, 0, 0),
        Row(CommandKind.RequestSense, OperationCode.RequestSense, 0x01, 0, 0, 0xff, 0),
        Row(CommandKind.Read, OperationCode.Read6, 0x1f, 0xff, 0xff, 0xff, 0),
        Row(CommandKind.Write, OperationCode.Write6, 0x1f, 0xff, 0xff, 0xff, 0),
        Row(CommandKind.Inquiry, OperationCode.Inquiry, 0x01, 0xff, 0xff, 0xff, 0),
        Row(CommandKind.ModeSelect, OperationCode.ModeSelect6, 0x10, 0, 0, 0xff, 0),
        Row(CommandKind.Reserve, OperationCode.Reserve6, 0, 0, 0, 0, 0),
        Row(CommandKind.Release, OperationCode.Release6, 0, 0, 0, 0, 0),
        Row(CommandKind.ModeSense, OperationCode.ModeSense6, 0x08, 0xff, 0xff, 0xff, 0),
        Row(CommandKind.StartStopUnit, OperationCode.StartStopUnit, 0x01, 0, 0, 0x05, 0),
        Row(CommandKind.SendDiagnostic, OperationCode.SendDiagnostic, 0x14, 0, 0, 0, 0),
        Row(CommandKind.PreventAllowMediumRemoval, OperationCode.PreventAllowMediumRemoval, 0, 0, 0, 0x03, 0),
        Row(CommandKind.ReadCapacity10, OperationCode.ReadCapacity10, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        Row(CommandKind.Read, OperationCode.Read10, DpoFua, 0xff, 0xff, 0xff, 0xff, Group, 0xff, 0xff, 0),
        Row(CommandKind.Write, OperationCode.Write10, DpoFua, 0xff, 0xff, 0xff, 0xff, Group, 0xff, 0xff, 0),
        Row(CommandKind.WriteAndVerify, OperationCode.WriteAndVerify10, 0x12, 0xff, 0xff, 0xff, 0xff, Group, 0xff, 0xff, 0),
        Row(CommandKind.Verify, OperationCode.Verify10, 0x16, 0xff, 0xff, 0xff, 0xff, Group, 0xff, 0xff, 0),
        Row(CommandKind.PreFetch, OperationCode.PreFetch10, 0x02, 0xff, 0xff, 0xff, 0xff, Group, 0xff, 0xff, 0),
        Row(CommandKind.SynchronizeCache, OperationCode.SynchronizeCache10, 0x02, 0xff, 0xff, 0xff, 0xff, Group, 0xff, 0xff, 0),
        Row(CommandKind.ReadDefectData, OperationCode.ReadDefectData10, 0, 0x1f, 0, 0, 0, 0, 0xff, 0xff, 0),
        Row(CommandKind.WriteSame, OperationCode.WriteSame10, 0x08, 0xff, 0xff, 0xff, 0xff, Group, 0xff, 0xff, 0),
        Row(CommandKind.Unmap, OperationCode.Unmap, 0, 0, 0, 0, 0, Group, 0xff, 0xff, 0),
        FlaggedAction(CommandKind.Sanitize, OperationCode.Sanitize, 0x02, 0xa0, 0, 0, 0, 0, 0, 0xff, 0xff, 0),
        FlaggedAction(CommandKind.Sanitize, OperationCode.Sanitize, 0x1f, 0xa0, 0, 0, 0, 0, 0, 0xff, 0xff, 0),
        Row(CommandKind.LogSense, OperationCode.LogSense, 0, 0xff, 0xff, 0, 0, 0, 0xff, 0xff, 0),
        Row(CommandKind.ModeSelect, OperationCode.ModeSelect10, 0x10, 0, 0, 0, 0, 0, 0xff, 0xff, 0),
        Row(CommandKind.Reserve, OperationCode.Reserve10, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        Row(CommandKind.Release, OperationCode.Release10, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        Row(CommandKind.ModeSense, OperationCode.ModeSense10, 0x18, 0xff, 0xff, 0, 0, 0, 0xff, 0xff, 0),
        .. Actions(CommandKind.PersistentReserveIn, OperationCode.PersistentReserveIn, [0, 1, 2, 3], 0, 0, 0, 0, 0, 0xff, 0xff, 0),
        .. Actions(CommandKind.PersistentReserveOut, OperationCode.PersistentReserveOut, [0, 1, 2, 3, 4, 5, 6, 7], 0xff, 0, 0, 0xff, 0xff, 0xff, 0xff, 0),
        FlaggedAction(CommandKind.ExtendedCopy, OperationCode.ExtendedCopy, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0),
        FlaggedAction(CommandKind.ReceiveCopyResults, OperationCode.ReceiveCopyResults, 0x00, 0, 0xff, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0),
        FlaggedAction(CommandKind.ReceiveCopyResults, OperationCode.ReceiveCopyResults, 0x03, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0),
        Long(CommandKind.Read, OperationCode.Read16, DpoFua),
        Row(CommandKind.CompareAndWrite, OperationCode.CompareAndWrite, DpoFua, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0xff, Group, 0),
        Long(CommandKind.Write, OperationCode.Write16, DpoFua),
        Long(CommandKind.OrWrite, OperationCode.OrWrite16, DpoFua),
        Long(CommandKind.WriteAndVerify, OperationCode.WriteAndVerify16, 0x12),
        Long(CommandKind.Verify, OperationCode.Verify16, 0x16),
        Long(CommandKind.PreFetch, OperationCode.PreFetch16, 0x02),
        Long(CommandKind.SynchronizeCache, OperationCode.SynchronizeCache16, 0x02),
        Long(CommandKind.WriteSame, OperationCode.WriteSame16, 0x09),
        Row(CommandKind.WriteAtomic, OperationCode.WriteAtomic16, DpoFua, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0xff, 0xff, Group, 0),
        Action(CommandKind.ReadCapacity16, OperationCode.ServiceActionIn16, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0),
        Action(CommandKind.GetLbaStatus, OperationCode.ServiceActionIn16, 0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0),
        Row(CommandKind.ReportLuns, OperationCode.ReportLuns, 0, 0xff, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0),
        FlaggedAction(CommandKind.ReportTargetPortGroups, OperationCode.MaintenanceIn, 0x0a, 0xe0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0),
        Action(CommandKind.ReportSupportedOperationCodes, OperationCode.MaintenanceIn, 0x0c, 0x87, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0),
        Medium(CommandKind.Read, OperationCode.Read12, DpoFua),
        Medium(CommandKind.Write, OperationCode.Write12, DpoFua),
        Medium(CommandKind.WriteAndVerify, OperationCode.WriteAndVerify12, 0x12),
        Medium(CommandKind.Verify, OperationCode.Verify12, 0x16),
        Row(CommandKind.ReadDefectData, OperationCode.ReadDefectData12, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0),
    ];

    private static readonly SupportedCommand?[] ByCode = new SupportedCommand?[256];

    static SupportedCommands()
    {
        foreach (var command in All)
        {
            if (command.ServiceAction is null) ByCode[(byte)command.Code] = command;
        }
    }

    /// <summary>True when the operation code is served with service actions.</summary>
    public static bool HasServiceActions(byte code) => (OperationCode)code is OperationCode.ServiceActionIn16 or OperationCode.MaintenanceIn
        or OperationCode.PersistentReserveIn or OperationCode.PersistentReserveOut or OperationCode.ExtendedCopy or OperationCode.ReceiveCopyResults or OperationCode.Sanitize;

    /// <summary>The row for an operation code and, where it has them, service action; null when it is not served.</summary>
    public static SupportedCommand? Find(byte code, int serviceAction)
    {
        if (!HasServiceActions(code)) return ByCode[code];
        foreach (var command in All)
        {
            if ((byte)command.Code == code && command.ServiceAction == serviceAction) return command;
        }

        return null;
    }

    private static SupportedCommand Row(CommandKind kind, OperationCode code, params byte[] rest) => new(code, null, kind, [(byte)code, .. rest]);

    private static SupportedCommand Action(CommandKind kind, OperationCode code, byte action, params byte[] rest) =>
        new(code, action, kind, [(byte)code, action, .. rest]);

    /// <summary>A row whose byte 1 has bits beside the service action.</summary>
    private static SupportedCommand FlaggedAction(CommandKind kind, OperationCode code, byte action, byte flags, params byte[] rest) =>
        new(code, action, kind, [(byte)code, (byte)(action | flags), .. rest]);

    private static IEnumerable<SupportedCommand> Actions(CommandKind kind, OperationCode code, byte[] actions, params byte[] rest) =>
        actions.Select(action => Action(kind, code, action, rest));

    /// <summary>Twelve bytes: LBA 2 to 5, length 6 to 9, group 10.</summary>
    private static SupportedCommand Medium(CommandKind kind, OperationCode code, byte flags) =>
        Row(kind, code, flags, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, Group, 0);

    /// <summary>Sixteen bytes: LBA 2 to 9, length 10 to 13, group 14.</summary>
    private static SupportedCommand Long(CommandKind kind, OperationCode code, byte flags) =>
        Row(kind, code, flags, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, Group, 0);
}
