using System.Buffers.Binary;
using System.Text;
using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Iscsi.Portals;
using OpenEbs.Iscsi.Scsi.Copies;
using OpenEbs.Iscsi.Scsi.Sense;

namespace OpenEbs.Iscsi.Scsi.Inquiry;

/// <summary>INQUIRY (SPC-4 §6.6) with the vital product data pages of SPC-4 §7.8 and SBC-3 §6.6.</summary>
internal static class InquiryCommand
{
    private const int MaxDataBytes = 1024;
    private const string Vendor = "OPENEBS ";
    private const string Product = "ORLEANS VOLUME  ";
    private const string Revision = "0001";

    /// <summary>Peripheral qualifier 011b, device type 1Fh: no logical unit can be there (SPC-4 §6.6.2).</summary>
    private const byte NoDevice = 0x7f;

    private static ReadOnlySpan<byte> VpdPages => [0x00, 0x80, 0x83, 0x86, 0x87, 0x8f, 0xb0, 0xb1, 0xb2, 0xb7];

    public static void Execute(ScsiCommand command, Nexus nexus, LogicalUnitFacts facts)
    {
        var vital = (command.Cdb[1] & 1) != 0;
        if (!vital && command.Cdb[2] != 0)
        {
            command.Fail(SenseData.InvalidCdbField(2));
            return;
        }

        // Vital product data describe a logical unit; where there is none only the standard data say so.
        if (vital && command.Lun != 0)
        {
            command.Fail(SenseData.InvalidCdbField(1, 0));
            return;
        }

        Span<byte> data = stackalloc byte[MaxDataBytes];
        data.Clear();
        data[0] = command.Lun == 0 ? (byte)0 : NoDevice;
        var length = vital ? WriteVital(command.Cdb[2], nexus, facts, data) : WriteStandard(data);
        if (length == 0)
        {
            command.Fail(SenseData.InvalidCdbField(2));
            return;
        }

        data[..length].CopyTo(command.ReturnParameters(length, command.Cdb16(3)));
        command.Finish();
    }

    private static int WriteStandard(Span<byte> data)
    {
        data[2] = 0x06; // VERSION: SPC-4.
        data[3] = 0x12; // HISUP; RESPONSE DATA FORMAT 2.
        data[4] = 96 - 5;
        data[5] = 0x18; // TPGS 01b, implicit asymmetric access only; 3PC.
        data[6] = 0x10; // MULTIP: every gateway is a target port.
        data[7] = 0x02; // CMDQUE.
        Encoding.ASCII.GetBytes(Vendor, data[8..]);
        Encoding.ASCII.GetBytes(Product, data[16..]);
        Encoding.ASCII.GetBytes(Revision, data[32..]);

        // Version descriptors (SPC-4 table 144): SAM-5, iSCSI, SPC-4, SBC-3, no version claimed of each.
        ReadOnlySpan<ushort> versions = [0x00a0, 0x0960, 0x0460, 0x04c0];
        for (var i = 0; i < versions.Length; i++) BinaryPrimitives.WriteUInt16BigEndian(data[(58 + (2 * i))..], versions[i]);
        return 96;
    }

    private static int WriteVital(byte page, Nexus nexus, LogicalUnitFacts facts, Span<byte> data)
    {
        data[1] = page;
        var length = page switch
        {
            0x00 => WriteSupportedPages(data),
            0x80 => Encoding.ASCII.GetBytes(facts.Uid.ToString("N"), data[4..]),
            0x83 => WriteIdentification(nexus, facts, data[4..]),
            0x86 => WriteExtendedInquiry(facts, data),
            0x87 => WriteModePagePolicy(data[4..]),
            0x8f => ReceiveCopyResults.WriteVitalPage(data[4..]),
            0xb0 => BlockVitalPages.WriteBlockLimits(facts, data),
            0xb1 => BlockVitalPages.WriteBlockDeviceCharacteristics(data),
            0xb2 => BlockVitalPages.WriteLogicalBlockProvisioning(data),
            0xb7 => BlockVitalPages.BlockLimitsExtensionBytes,
            _ => -1,
        };
        if (length < 0) return 0;
        BinaryPrimitives.WriteUInt16BigEndian(data[2..], (ushort)length);
        return length + 4;
    }

    private static int WriteSupportedPages(Span<byte> data)
    {
        VpdPages.CopyTo(data[4..]);
        return VpdPages.Length;
    }

    /// <summary>SPC-4 §7.8.6: designators of the logical unit, the target port and the target device.</summary>
    private static int WriteIdentification(Nexus nexus, LogicalUnitFacts facts, Span<byte> data)
    {
        var length = 0;

        length += WriteDesignator(data[length..], codeSet: 1, association: 0, type: 3, UnitDesignator.NaaOf(facts.Uid));

        // T10 vendor identification: vendor and serial number.
        var vendorId = Encoding.ASCII.GetBytes(Vendor + facts.Uid.ToString("N"));
        length += WriteDesignator(data[length..], codeSet: 2, association: 0, type: 1, vendorId);

        // Target port: relative identifier, group, and its SCSI name (RFC 7143 §4.4.1: "name,t,0xtag").
        ReadOnlySpan<byte> port = [0, 0, (byte)(nexus.Unit.TargetPort >> 8), (byte)nexus.Unit.TargetPort];
        length += WriteDesignator(data[length..], codeSet: 1, association: 1, type: 4, port);
        length += WriteDesignator(data[length..], codeSet: 1, association: 1, type: 5, port);
        length += WriteDesignator(data[length..], codeSet: 3, association: 1, type: 8, NameString($"{nexus.Unit.TargetName},t,0x{nexus.Unit.TargetPort:x4}"));
        length += WriteDesignator(data[length..], codeSet: 3, association: 2, type: 8, NameString(nexus.Unit.TargetName));
        return length;
    }

    /// <summary>SCSI name strings end with a NUL and fill whole words (SPC-4 §7.8.6.11).</summary>
    private static byte[] NameString(string name)
    {
        var bytes = new byte[(Encoding.UTF8.GetByteCount(name) + 4) & ~3];
        Encoding.UTF8.GetBytes(name, bytes);
        return bytes;
    }

    private static int WriteDesignator(Span<byte> data, int codeSet, int association, int type, ReadOnlySpan<byte> designator)
    {
        // Protocol identifier 5h (iSCSI) counts, with PIV, for ports and devices only.
        data[0] = (byte)((association == 0 ? 0 : 0x50) | codeSet);
        data[1] = (byte)((association == 0 ? 0 : 0x80) | (association << 4) | type);
        data[3] = (byte)designator.Length;
        designator.CopyTo(data[4..]);
        return 4 + designator.Length;
    }

    /// <summary>SPC-4 §7.8.7.</summary>
    private static int WriteExtendedInquiry(LogicalUnitFacts facts, Span<byte> data)
    {
        data[5] = 0x07; // HEADSUP, ORDSUP, SIMPSUP.
        data[6] = (byte)(facts.WriteCache ? 0x01 : 0); // V_SUP: there is a volatile cache.
        data[7] = 0x00;
        return 60;
    }

    /// <summary>SPC-4 §7.8.9: every page is shared by all initiators and target ports (policy 00b).</summary>
    private static int WriteModePagePolicy(Span<byte> data)
    {
        data[0] = 0x3f;
        data[1] = 0xff;
        return 4;
    }
}

/// <summary>The vital product data pages of block devices (SBC-3 §6.6).</summary>
internal static class BlockVitalPages
{
    /// <summary>SBC-4 §6.6.5: all zero, since streams and scattered writes do not exist here.</summary>
    public const int BlockLimitsExtensionBytes = 60;

    private const int PhysicalBlockBytes = 4096;

    /// <summary>SBC-3 §6.6.3, block limits.</summary>
    public static int WriteBlockLimits(LogicalUnitFacts facts, Span<byte> data)
    {
        var blockLength = (uint)facts.BlockLength;
        var physicalBlocks = PhysicalBlockBytes / blockLength;

        data[4] = 0x01; // WSNZ: WRITE SAME of zero blocks, which would mean "up to the end", is refused.
        data[5] = IscsiLimits.MaxCompareAndWriteBlocks;
        BinaryPrimitives.WriteUInt16BigEndian(data[6..], (ushort)physicalBlocks);
        BinaryPrimitives.WriteUInt32BigEndian(data[8..], IscsiLimits.MaxTransferBytes / blockLength);
        BinaryPrimitives.WriteUInt32BigEndian(data[12..], IscsiLimits.MaxStoreIoBytes / blockLength);
        BinaryPrimitives.WriteUInt32BigEndian(data[20..], IscsiLimits.MaxUnmapBlocks);
        BinaryPrimitives.WriteUInt32BigEndian(data[24..], IscsiLimits.MaxUnmapDescriptors);
        BinaryPrimitives.WriteUInt32BigEndian(data[28..], physicalBlocks);
        BinaryPrimitives.WriteUInt32BigEndian(data[32..], 0x80000000); // UGAVALID, alignment 0.
        BinaryPrimitives.WriteUInt64BigEndian(data[36..], (ulong)(IscsiLimits.MaxWriteSameBytes / blockLength));

        // SBC-4: MAXIMUM ATOMIC TRANSFER LENGTH (promise P5); no alignment, no granularity, no boundaries.
        BinaryPrimitives.WriteUInt32BigEndian(data[44..], IscsiLimits.MaxStoreIoBytes / blockLength);
        return 60;
    }

    /// <summary>SBC-3 §6.6.2, block device characteristics.</summary>
    public static int WriteBlockDeviceCharacteristics(Span<byte> data)
    {
        BinaryPrimitives.WriteUInt16BigEndian(data[4..], 1); // MEDIUM ROTATION RATE: does not rotate.
        data[7] = 0x40; // WABEREQ 01b: after a block erase reads are good.
        data[8] = 0x02; // FUAB: a flush and FUA mean stable media (promise P2).
        return 60;
    }

    /// <summary>SBC-3 §6.6.4, logical block provisioning.</summary>
    public static int WriteLogicalBlockProvisioning(Span<byte> data)
    {
        data[5] = 0xe4; // LBPU, LBPWS, LBPWS10; LBPRZ.
        data[6] = 0x02; // PROVISIONING TYPE: thin.
        return 4;
    }

    /// <summary>Exponent of logical blocks per physical block (READ CAPACITY(16)).</summary>
    public static byte PhysicalExponent(int blockLength) => (byte)int.Log2(PhysicalBlockBytes / blockLength);
}
