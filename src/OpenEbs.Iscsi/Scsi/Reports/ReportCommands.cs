using System.Buffers.Binary;
using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Iscsi.Scsi.Inquiry;
using OpenEbs.Iscsi.Scsi.Sense;

namespace OpenEbs.Iscsi.Scsi.Reports;

/// <summary>Commands that only report: READ CAPACITY, REPORT LUNS, REQUEST SENSE, LOG SENSE.</summary>
internal static class ReportCommands
{
    /// <summary>SBC-3 §5.12.</summary>
    public static void ReadCapacity10(ScsiCommand command, LogicalUnitFacts facts)
    {
        var data = command.ReturnParameters(8, 8);
        var last = (ulong)(facts.SizeBytes / facts.BlockLength) - 1;
        BinaryPrimitives.WriteUInt32BigEndian(data, last > 0xfffffffe ? 0xffffffff : (uint)last);
        BinaryPrimitives.WriteUInt32BigEndian(data[4..], (uint)facts.BlockLength);
        command.Finish();
    }

    /// <summary>SBC-3 §5.13.</summary>
    public static void ReadCapacity16(ScsiCommand command, LogicalUnitFacts facts)
    {
        var data = command.ReturnParameters(32, command.Cdb32(10));
        BinaryPrimitives.WriteUInt64BigEndian(data, (ulong)(facts.SizeBytes / facts.BlockLength) - 1);
        BinaryPrimitives.WriteUInt32BigEndian(data[8..], (uint)facts.BlockLength);
        data[13] = BlockVitalPages.PhysicalExponent(facts.BlockLength);
        data[14] = 0xc0; // LBPME, LBPRZ; lowest aligned LBA 0.
        command.Finish();
    }

    /// <summary>SPC-4 §6.33: one logical unit, LUN 0, whatever LUN is asked.</summary>
    public static void ReportLuns(ScsiCommand command)
    {
        var select = command.Cdb[2];
        var allocation = command.Cdb32(6);

        // 00h: logical units but not well known ones; 01h: well known ones (there are none); 02h: all.
        if (select > 2)
        {
            command.Fail(SenseData.InvalidCdbField(2));
            return;
        }

        // "If the allocation length is less than 16 ... CHECK CONDITION ... INVALID FIELD IN CDB".
        if (allocation < 16)
        {
            command.Fail(SenseData.InvalidCdbField(6));
            return;
        }

        var count = select == 1 ? 0 : 1;
        var data = command.ReturnParameters(8 + (8 * count), allocation);
        BinaryPrimitives.WriteUInt32BigEndian(data, (uint)(8 * count));
        command.Finish();
    }

    /// <summary>SPC-4 §6.39: a pending unit attention is returned as data and so cleared.</summary>
    public static void RequestSense(ScsiCommand command, Nexus nexus)
    {
        SenseData sense;
        if (command.Lun != 0) sense = SenseData.IllegalRequest(AdditionalSense.LogicalUnitNotSupported);
        else if (nexus.TryTakeDeferred(out var deferred)) sense = deferred;
        else if (nexus.UnitAttentions.TryTake(out var code)) sense = new SenseData(SenseKey.UnitAttention, code);
        else sense = new SenseData(SenseKey.NoSense, AdditionalSense.None);
        Span<byte> data = stackalloc byte[SenseData.MaxBytes];
        var length = sense.Write(data, (command.Cdb[1] & 1) != 0);
        data[..length].CopyTo(command.ReturnParameters(length, command.Cdb[4]));
        command.Finish();
    }

    /// <summary>SPC-4 §6.8 and §7.3: the list of pages, and informational exceptions with nothing to report.</summary>
    public static void LogSense(ScsiCommand command)
    {
        const byte SupportedPages = 0x00;
        const byte InformationalExceptions = 0x2f;
        var page = (byte)(command.Cdb[2] & 0x3f);
        var subpage = command.Cdb[3];
        ReadOnlySpan<byte> body = (page, subpage) switch
        {
            (SupportedPages, 0) => [SupportedPages, InformationalExceptions],
            (SupportedPages, 0xff) => [SupportedPages, 0, SupportedPages, 0xff, InformationalExceptions, 0],

            // Parameter 0000h: binary format list; ASC, ASCQ and temperature zero.
            (InformationalExceptions, 0) => [0, 0, 0x03, 4, 0, 0, 0, 0],
            _ => default,
        };
        if (body.IsEmpty)
        {
            command.Fail(subpage != 0 && page is SupportedPages or InformationalExceptions ? SenseData.InvalidCdbField(3) : SenseData.InvalidCdbField(2, 5));
            return;
        }

        var data = command.ReturnParameters(4 + body.Length, command.Cdb16(7));
        data[0] = (byte)(page | (subpage != 0 ? 0x40 : 0));
        data[1] = subpage;
        BinaryPrimitives.WriteUInt16BigEndian(data[2..], (ushort)body.Length);
        body.CopyTo(data[4..]);
        command.Finish();
    }
}
