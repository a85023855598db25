using OpenEbs.Iscsi.Pdus;

namespace OpenEbs.Iscsi.Tests.Initiators;

/// <summary>A PDU as the tests see it.</summary>
internal sealed class TestPdu
{
    public BasicHeader Header;

    public TestPdu(Opcode opcode, byte flags = 0x80, bool immediate = false)
    {
        Header.Opcode = opcode;
        if (immediate) Header.Bytes[0] |= 0x40;
        Header.Flags = flags;
    }

    public TestPdu(ReadOnlySpan<byte> header, byte[] data)
    {
        header.CopyTo(Header.Bytes);
        Data = data;
    }

    public byte[] Ahs { get; set; } = [];

    public byte[] Data { get; set; } = [];

    public Opcode Opcode => Header.Opcode;

    public uint StatSN => Header.StatSN;

    /// <summary>Byte 3: SCSI status in responses.</summary>
    public byte Status => Header.Bytes[3];

    /// <summary>Byte 2: response, reason or outcome.</summary>
    public byte Response => Header.Bytes[2];

    public bool HasFlag(byte flag) => (Header.Flags & flag) != 0;
}
