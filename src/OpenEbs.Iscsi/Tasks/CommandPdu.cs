using System.Buffers.Binary;
using OpenEbs.Iscsi.Pdus;

namespace OpenEbs.Iscsi.Tasks;

/// <summary>Reads a SCSI command PDU into a task (RFC 7143 §11.3).</summary>
internal static class CommandPdu
{
    private const byte ExtendedCdb = 1;
    private const byte BidirectionalReadLength = 2;

    /// <summary>Fills the task; a reason to reject the PDU when its additional header segments are malformed.</summary>
    public static RejectReason? Fill(IscsiTask task, ref BasicHeader header, ReadOnlySpan<byte> ahs)
    {
        var flags = header.Flags;
        var command = task.Command;
        task.InitiatorTaskTag = header.InitiatorTaskTag;
        task.CmdSN = header.CmdSN;
        task.IsImmediate = header.IsImmediate;
        task.IsRead = (flags & 0x40) != 0;
        task.IsWrite = (flags & 0x20) != 0;
        task.ExpectedDataTransferLength = header.Get32(20);
        task.IsUnsolicitedOpen = task.IsWrite && !header.IsFinal;
        command.Lun = IsLunZero(header.Lun) ? 0 : header.Lun;
        command.Attribute = (TaskAttribute)(flags & 7);
        var extension = ReadOnlySpan<byte>.Empty;
        var problem = FindExtension(ahs, ref extension);
        command.SetCdb(header.Bytes[32..], extension);

        // RFC 7143 §11.3.1: task attributes 5 to 7 are reserved. An ITT of all ones is no tag.
        if (command.Attribute > TaskAttribute.Aca || header.InitiatorTaskTag == BasicHeader.ReservedTag) problem ??= RejectReason.InvalidPduField;
        return problem;
    }

    /// <summary>LUN 0 in the peripheral and in the flat space addressing method (SAM-5 §4.7.7).</summary>
    public static bool IsLunZero(ulong lun) => lun is 0 or 0x4000_0000_0000_0000;

    /// <summary>RFC 7143 §11.2.2: each segment has a length without its first three bytes and padding, and a type.</summary>
    private static RejectReason? FindExtension(ReadOnlySpan<byte> ahs, ref ReadOnlySpan<byte> extension)
    {
        while (!ahs.IsEmpty)
        {
            int length = BinaryPrimitives.ReadUInt16BigEndian(ahs);
            var padded = 3 + length + PduFraming.PaddingBytes(3 + length);
            if (length == 0 || padded > ahs.Length) return RejectReason.InvalidPduField;
            switch (ahs[2])
            {
                case ExtendedCdb:
                    // The first byte is reserved; the rest goes on where the 16 bytes of the basic header end.
                    extension = ahs[4..(3 + length)];
                    break;
                case BidirectionalReadLength:
                    // Without R and W both set it says nothing; with both the command is refused anyway.
                    break;
                default:
                    return RejectReason.InvalidPduField;
            }

            ahs = ahs[padded..];
        }

        return null;
    }
}
