using System.Buffers.Binary;
using OpenEbs.Iscsi.Portals;
using OpenEbs.Iscsi.Scsi.Sense;
using OpenEbs.Iscsi.Scsi.Shared;

namespace OpenEbs.Iscsi.Scsi.Reservations;

/// <summary>PERSISTENT RESERVE IN (SPC-4 §6.15).</summary>
internal static class PersistentReserveIn
{
    private const int HeaderBytes = 8;
    private const int FullStatusBytes = 24;

    public static async ValueTask ExecuteAsync(ScsiCommand command, Nexus nexus)
    {
        if (!await UnitAccess.ConfirmAsync(command, nexus, IscsiLimits.ChangePatience)) return;
        var state = nexus.RefreshState().Reservations;
        var allocation = command.Cdb16(7);

        // SPC-2 §5.5.1: conflicts with a RESERVE, whoever made it.
        if (state.ReservedBy is not null)
        {
            command.Finish(ScsiStatus.ReservationConflict);
            return;
        }

        switch (command.Cdb[1] & 0x1f)
        {
            case 0:
                ReadKeys(command, state, allocation);
                break;
            case 1:
                ReadReservation(command, state, allocation);
                break;
            case 2:
                ReportCapabilities(command, state, allocation);
                break;
            default:
                ReadFullStatus(command, state, allocation);
                break;
        }

        command.Finish();
    }

    private static void ReadKeys(ScsiCommand command, ReservationState state, int allocation)
    {
        var data = Begin(command, state, 8 * state.Registrations.Length, allocation);
        foreach (var registration in state.Registrations)
        {
            BinaryPrimitives.WriteUInt64BigEndian(data, registration.Key);
            data = data[8..];
        }
    }

    private static void ReadReservation(ScsiCommand command, ReservationState state, int allocation)
    {
        var data = Begin(command, state, state.IsReserved ? 16 : 0, allocation);
        if (!state.IsReserved) return;

        // "For all registrants ... the RESERVATION KEY field shall be set to zero".
        if (state.Holder is { } holder) BinaryPrimitives.WriteUInt64BigEndian(data, state.KeyOf(holder)!.Value);
        data[13] = (byte)state.Type;
    }

    private static void ReportCapabilities(ScsiCommand command, ReservationState state, int allocation)
    {
        var data = command.ReturnParameters(8, allocation);
        data[1] = 8;
        data[2] = 0x1d; // CRH, SIP_C, ATP_C, PTPL_C.
        data[3] = (byte)(0x80 | (state.SurvivesPowerLoss ? 1 : 0)); // TMV; ALLOW COMMANDS 000b: nothing said.
        data[4] = 0xea; // All types.
        data[5] = 0x01;
    }

    private static void ReadFullStatus(ScsiCommand command, ReservationState state, int allocation)
    {
        var length = state.Registrations.Sum(registration => FullStatusBytes + TransportId.LengthOf(registration.Nexus));
        var data = Begin(command, state, length, allocation);
        foreach (var registration in state.Registrations)
        {
            BinaryPrimitives.WriteUInt64BigEndian(data, registration.Key);
            if (state.IsHolder(registration.Nexus))
            {
                data[12] = 0x01; // R_HOLDER
                data[13] = (byte)state.Type;
            }

            BinaryPrimitives.WriteUInt16BigEndian(data[18..], (ushort)registration.Nexus.TargetPort);
            var transport = TransportId.Write(registration.Nexus, data[FullStatusBytes..]);
            BinaryPrimitives.WriteUInt32BigEndian(data[20..], (uint)transport);
            data = data[(FullStatusBytes + transport)..];
        }
    }

    /// <summary>PRGENERATION and ADDITIONAL LENGTH, which the allocation length does not change; then room for the list.</summary>
    private static Span<byte> Begin(ScsiCommand command, ReservationState state, int listBytes, int allocation)
    {
        var data = command.ReturnParameters(HeaderBytes + listBytes, allocation);
        BinaryPrimitives.WriteUInt32BigEndian(data, state.Generation);
        BinaryPrimitives.WriteUInt32BigEndian(data[4..], (uint)listBytes);
        return data[HeaderBytes..];
    }
}
