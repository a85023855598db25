using System.Buffers.Binary;
using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Iscsi.Scsi.Shared;

namespace OpenEbs.Iscsi.Scsi.Modes;

/// <summary>Which values of a mode page are asked for: the PC field of MODE SENSE (SPC-4 §6.14.1.2).</summary>
internal enum PageControl : byte
{
    Current = 0,
    Changeable = 1,
    Default = 2,
    Saved = 3,
}

/// <summary>The mode pages that exist.</summary>
internal static class ModePages
{
    public const byte ReadWriteErrorRecovery = 0x01;
    public const byte Caching = 0x08;
    public const byte Control = 0x0a;
    public const byte AllPages = 0x3f;
    public const byte AllSubpages = 0xff;

    /// <summary>D_SENSE, bit 2 of byte 2 of the control page.</summary>
    public const byte DescriptorSenseBit = 0x04;

    /// <summary>SWP, software write protect, bit 3 of byte 4 of the control page. These two are the changeable bits.</summary>
    public const byte WriteProtectBit = 0x08;

    /// <summary>Ascending, as MODE SENSE returns them.</summary>
    public static ReadOnlySpan<byte> Codes => [ReadWriteErrorRecovery, Caching, Control];

    /// <summary>Length of a page with its two header bytes; 0 for a page that does not exist.</summary>
    public static int LengthBytes(byte code) => code switch
    {
        ReadWriteErrorRecovery => 12,
        Caching => 20,
        Control => 12,
        _ => 0,
    };

    /// <summary>Writes one page.</summary>
    public static void Write(byte code, PageControl control, LogicalUnitFacts facts, UnitState state, Span<byte> page)
    {
        page.Clear();
        page[0] = code;
        page[1] = (byte)(page.Length - 2);
        switch (code)
        {
            case ReadWriteErrorRecovery:
                // SBC-3 §6.4.8. AWRE and ARRE: a bad block is rewritten from another replica by itself (promise P6).
                if (control != PageControl.Changeable) page[2] = 0xc0;
                break;
            case Caching:
                // SBC-3 §6.4.5. WCE is the volume's policy, set where the volume is configured, so it is not changeable here.
                if (control != PageControl.Changeable && facts.WriteCache) page[2] = 0x04;
                break;
            case Control:
                WriteControl(control, state, page);
                break;
        }
    }

    /// <summary>SPC-4 §7.5.10.</summary>
    private static void WriteControl(PageControl control, UnitState state, Span<byte> page)
    {
        if (control == PageControl.Changeable)
        {
            page[2] = DescriptorSenseBit;
            page[4] = WriteProtectBit;
            return;
        }

        // TST 001b: a task set for each I_T nexus. GLTSD: no log parameters are saved.
        page[2] = 0x20 | 0x02;
        if (control == PageControl.Current && state.DescriptorSense) page[2] |= DescriptorSenseBit;
        if (control == PageControl.Current && state.WriteProtected) page[4] |= WriteProtectBit;

        // QUEUE ALGORITHM MODIFIER 1h, unrestricted: overlapping commands in flight together may take effect in either order.
        page[3] = 0x10;

        // BUSY TIMEOUT PERIOD: unlimited.
        BinaryPrimitives.WriteUInt16BigEndian(page[8..], 0xffff);
    }
}
