using System.Buffers.Binary;
using OpenEbs.Iscsi.Scsi.Sense;

namespace OpenEbs.Iscsi.Scsi.Reports;

/// <summary>REPORT SUPPORTED OPERATION CODES (SPC-4 §6.35), made from <see cref="SupportedCommands"/>.</summary>
internal static class ReportSupportedOperationCodes
{
    private const int TimeoutsBytes = 12;

    public static void Execute(ScsiCommand command)
    {
        var timeouts = (command.Cdb[2] & 0x80) != 0;
        var allocation = command.Cdb32(6);
        switch (command.Cdb[2] & 7)
        {
            case 0:
                ReportAll(command, timeouts, allocation);
                break;

            // 001b: "if the operation code implements service actions: INVALID FIELD IN CDB"; 010b: "if it does not: INVALID FIELD IN CDB".
            case 1 when SupportedCommands.HasServiceActions(command.Cdb[3]):
            case 2 when !SupportedCommands.HasServiceActions(command.Cdb[3]):
                command.Fail(SenseData.InvalidCdbField(2, 2));
                break;
            case 1:
                ReportOne(command, SupportedCommands.Find(command.Cdb[3], 0), timeouts, allocation);
                break;

            // 011b: whichever of the two applies.
            case 2 or 3:
                ReportOne(command, SupportedCommands.Find(command.Cdb[3], command.Cdb16(4)), timeouts, allocation);
                break;
            default:
                command.Fail(SenseData.InvalidCdbField(2, 2));
                break;
        }
    }

    private static void ReportAll(ScsiCommand command, bool timeouts, uint allocation)
    {
        var each = 8 + (timeouts ? TimeoutsBytes : 0);
        var data = command.ReturnParameters(4 + (SupportedCommands.All.Length * each), allocation);
        BinaryPrimitives.WriteUInt32BigEndian(data, (uint)(data.Length - 4));
        var at = 4;
        foreach (var supported in SupportedCommands.All)
        {
            var descriptor = data.Slice(at, each);
            descriptor[0] = (byte)supported.Code;
            BinaryPrimitives.WriteUInt16BigEndian(descriptor[2..], supported.ServiceAction ?? 0);
            descriptor[5] = (byte)((timeouts ? 2 : 0) | (supported.ServiceAction is null ? 0 : 1));
            BinaryPrimitives.WriteUInt16BigEndian(descriptor[6..], (ushort)supported.CdbLengthBytes);
            if (timeouts) WriteTimeouts(descriptor[8..]);
            at += each;
        }

        command.Finish();
    }

    private static void ReportOne(ScsiCommand command, SupportedCommand? supported, bool timeouts, uint allocation)
    {
        if (supported is null)
        {
            // SUPPORT 001b: not supported.
            command.ReturnParameters(4, allocation)[1] = 0x01;
            command.Finish();
            return;
        }

        var data = command.ReturnParameters(4 + supported.CdbLengthBytes + (timeouts ? TimeoutsBytes : 0), allocation);

        // SUPPORT 011b: as the standard says.
        data[1] = (byte)((timeouts ? 0x80 : 0) | 0x03);
        BinaryPrimitives.WriteUInt16BigEndian(data[2..], (ushort)supported.CdbLengthBytes);
        supported.Usage.CopyTo(data[4..]);
        if (timeouts) WriteTimeouts(data[(4 + supported.CdbLengthBytes)..]);
        command.Finish();
    }

    /// <summary>Zero timeouts: none indicated. I/O waits through failover, so any number would be a guess.</summary>
    private static void WriteTimeouts(Span<byte> descriptor) => BinaryPrimitives.WriteUInt16BigEndian(descriptor, TimeoutsBytes - 2);
}
