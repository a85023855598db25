namespace OpenEbs.Iscsi.Scsi.Reservations;

/// <summary>How a command behaves towards reservations of other nexuses (SPC-4 tables 51 and 52, SBC-3 table 13, SPC-2 table 10).</summary>
internal enum ReservationRule : byte
{
    /// <summary>Served whoever has reserved the unit, in whatever way.</summary>
    Always,

    /// <summary>Served whatever is reserved persistently; conflicts with a RESERVE.</summary>
    DespitePersistent,

    /// <summary>Reads: served with the write exclusive types.</summary>
    Reads,

    /// <summary>Changes something: served for those who have access only.</summary>
    Writes,

    /// <summary>Reservation commands, which have rules of their own (<see cref="ReservationTransitions"/>).</summary>
    Reserves,
}

/// <summary>The conflict table.</summary>
internal static class ReservationRules
{
    /// <summary>True when the command ends with RESERVATION CONFLICT.</summary>
    public static bool Conflicts(ReservationState state, in NexusId nexus, ReservationRule rule)
    {
        if (rule is ReservationRule.Always or ReservationRule.Reserves) return false;
        if (state.ReservedBy is { } reserver) return reserver != nexus;
        if (!state.IsReserved || rule == ReservationRule.DespitePersistent) return false;
        if (state.IsHolder(nexus) || (state.Type.AdmitsRegistered() && state.IsRegistered(nexus))) return false;
        return rule == ReservationRule.Writes || !state.Type.AdmitsReads();
    }

    /// <summary>The rule for a command. Two depend on more than the operation code.</summary>
    public static ReservationRule Of(ScsiCommand command) => command.Descriptor!.Kind switch
    {
        CommandKind.Inquiry or CommandKind.ReportLuns or CommandKind.RequestSense or CommandKind.LogSense or CommandKind.ReadCapacity10 or CommandKind.ReadCapacity16
            or CommandKind.ReportTargetPortGroups => ReservationRule.Always,

        // PREVENT = 0 and START = 1 (SBC-3 table 13, SPC-2 table 10). We serve no other START STOP UNIT.
        CommandKind.PreventAllowMediumRemoval => (command.Cdb[4] & 3) == 0 ? ReservationRule.Always : ReservationRule.Writes,
        CommandKind.StartStopUnit => ReservationRule.Always,
        CommandKind.TestUnitReady => ReservationRule.DespitePersistent,
        CommandKind.PersistentReserveIn or CommandKind.PersistentReserveOut or CommandKind.Reserve or CommandKind.Release => ReservationRule.Reserves,
        CommandKind.Read or CommandKind.Verify or CommandKind.PreFetch or CommandKind.ModeSense or CommandKind.GetLbaStatus or CommandKind.ReportSupportedOperationCodes
            or CommandKind.ReadDefectData => ReservationRule.Reads,
        CommandKind.Write or CommandKind.WriteAndVerify or CommandKind.WriteSame or CommandKind.Unmap or CommandKind.CompareAndWrite or CommandKind.SynchronizeCache
            or CommandKind.ModeSelect or CommandKind.SendDiagnostic or CommandKind.OrWrite or CommandKind.WriteAtomic or CommandKind.ExtendedCopy or CommandKind.ReceiveCopyResults
            or CommandKind.Sanitize => ReservationRule.Writes,
        _ => throw new InvalidOperationException($"No reservation rule for {command.Descriptor.Kind}."),
    };
}
