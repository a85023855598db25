using System.Buffers.Binary;
using OpenEbs.Iscsi.Portals;
using OpenEbs.Iscsi.Scsi.Sense;
using OpenEbs.Iscsi.Scsi.Shared;

namespace OpenEbs.Iscsi.Scsi.Copies;

/// <summary>RECEIVE COPY STATUS(LID1) and RECEIVE COPY OPERATING PARAMETERS (SPC-4 §6.27, §6.25), and what VPD 8F says of copies (§7.8.17).</summary>
internal static class ReceiveCopyResults
{
    private static ReadOnlySpan<byte> Descriptors => [CopyList.BlockToBlock, CopyList.BlockToBlockWithOffset, CopyList.IdentificationTarget];

    public static async ValueTask ExecuteAsync(ScsiCommand command, Nexus nexus)
    {
        if (!await UnitAccess.ConfirmAsync(command, nexus, IscsiLimits.ReportPatience)) return;
        if ((command.Cdb[1] & 0x1f) == 0) Status(command, nexus);
        else OperatingParameters(command);
    }

    /// <summary>Writes the third-party copy page's descriptors; returns their length.</summary>
    public static int WriteVitalPage(Span<byte> data)
    {
        // Supported commands: 83h/00h; 84h/00h and /03h.
        ReadOnlySpan<byte> commands = [0x00, 0x01, 0x00, 0x08, 7, 0x83, 1, 0x00, 0x84, 2, 0x00, 0x03];
        commands.CopyTo(data);
        var at = commands.Length;

        var parameters = data[at..];
        parameters[1] = 0x04;
        parameters[3] = 0x1c;
        BinaryPrimitives.WriteUInt16BigEndian(parameters[8..], CopyList.MaxTargets);
        BinaryPrimitives.WriteUInt16BigEndian(parameters[10..], CopyList.MaxSegments);
        BinaryPrimitives.WriteUInt32BigEndian(parameters[12..], CopyList.MaxListBytes);
        at += 32;

        var descriptors = data[at..];
        descriptors[1] = 0x08;
        descriptors[3] = 0x04;
        descriptors[4] = (byte)Descriptors.Length;
        Descriptors.CopyTo(descriptors[5..]);
        at += 8;

        // CSCD descriptor ids: none but those of descriptors.
        data[at + 1] = 0x0c;
        data[at + 3] = 0x04;
        at += 8;

        var general = data[at..];
        general[0] = 0x80;
        general[1] = 0x01;
        general[3] = 0x20;
        BinaryPrimitives.WriteUInt32BigEndian(general[4..], IscsiLimits.CommandWindow);
        BinaryPrimitives.WriteUInt32BigEndian(general[8..], byte.MaxValue);
        BinaryPrimitives.WriteUInt32BigEndian(general[12..], (uint)CopyList.MaxSegmentBytes);
        return at + 36;
    }

    private static void Status(ScsiCommand command, Nexus nexus)
    {
        if (nexus.Copies.Take(command.Cdb[2]) is not { } result)
        {
            command.Fail(SenseData.InvalidCdbField(2));
            return;
        }

        var data = command.ReturnParameters(12, command.Cdb32(10));
        BinaryPrimitives.WriteUInt32BigEndian(data, 8);
        data[4] = (byte)(result.Succeeded ? 1 : 2);
        BinaryPrimitives.WriteUInt16BigEndian(data[5..], (ushort)result.Segments);

        // TRANSFER COUNT UNITS 1: KiB.
        data[7] = 1;
        BinaryPrimitives.WriteUInt32BigEndian(data[8..], (uint)(result.Bytes >> 10));
        command.Finish();
    }

    private static void OperatingParameters(ScsiCommand command)
    {
        var length = 44 + Descriptors.Length;
        var data = command.ReturnParameters(length, command.Cdb32(10));
        BinaryPrimitives.WriteUInt32BigEndian(data, (uint)(length - 4));
        data[4] = 1; // SNLID
        BinaryPrimitives.WriteUInt16BigEndian(data[8..], CopyList.MaxTargets);
        BinaryPrimitives.WriteUInt16BigEndian(data[10..], CopyList.MaxSegments);
        BinaryPrimitives.WriteUInt32BigEndian(data[12..], CopyList.MaxListBytes);
        BinaryPrimitives.WriteUInt32BigEndian(data[16..], (uint)CopyList.MaxSegmentBytes);
        BinaryPrimitives.WriteUInt16BigEndian(data[34..], IscsiLimits.CommandWindow);
        data[36] = IscsiLimits.CommandWindow;
        data[37] = 9; // DATA SEGMENT GRANULARITY: 512 bytes.
        data[43] = (byte)Descriptors.Length;
        Descriptors.CopyTo(data[44..]);
        command.Finish();
    }
}
