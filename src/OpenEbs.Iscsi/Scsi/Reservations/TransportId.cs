using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace OpenEbs.Iscsi.Scsi.Reservations;

/// <summary>iSCSI TransportIDs (SPC-4 §7.6.4.6): an initiator port as "name,i,0x" and the ISID in twelve hexadecimal digits.</summary>
internal static class TransportId
{
    private const byte Iscsi = 0x05;

    /// <summary>FORMAT CODE 01b: name and ISID. (00b, a name alone, stands for all its ports, of which we know only those that are logged in here.)</summary>
    private const byte InitiatorPortFormat = 0x40;
    private const int HeaderBytes = 4;
    private const string Separator = ",i,0x";

    /// <summary>"The ADDITIONAL LENGTH field ... shall be at least 20 and a multiple of 4": with the NUL that ends the name.</summary>
    public static int LengthOf(in NexusId nexus) => HeaderBytes + Math.Max(20, (Encoding.UTF8.GetByteCount(NameOf(nexus)) + 4) & ~3);

    /// <summary>Writes the initiator port of a nexus into zeroed memory; returns the length.</summary>
    public static int Write(in NexusId nexus, Span<byte> destination)
    {
        var length = LengthOf(nexus);
        destination[0] = InitiatorPortFormat | Iscsi;
        BinaryPrimitives.WriteUInt16BigEndian(destination[2..], (ushort)(length - HeaderBytes));
        Encoding.UTF8.GetBytes(NameOf(nexus), destination[HeaderBytes..]);
        return length;
    }

    /// <summary>Reads the TransportID at the beginning of a list; 0 when it is none of ours.</summary>
    /// <returns>Its length in bytes.</returns>
    public static int TryRead(ReadOnlySpan<byte> list, int targetPort, out NexusId nexus)
    {
        nexus = default;
        if (list.Length < HeaderBytes || list[0] != (InitiatorPortFormat | Iscsi)) return 0;
        var length = HeaderBytes + BinaryPrimitives.ReadUInt16BigEndian(list[2..]);
        if (length > list.Length || length % 4 != 0 || length < HeaderBytes + 20) return 0;
        var name = list[HeaderBytes..length];
        var end = name.IndexOf((byte)0);
        if (end < 0) return 0;
        var text = Encoding.UTF8.GetString(name[..end]);
        var at = text.LastIndexOf(Separator, StringComparison.OrdinalIgnoreCase);
        if (at <= 0 || !ulong.TryParse(text.AsSpan(at + Separator.Length), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var isid) || isid >> 48 != 0) return 0;
        nexus = new NexusId(text[..at].ToLowerInvariant(), isid, targetPort);
        return length;
    }

    private static string NameOf(in NexusId nexus) => $"{nexus.InitiatorName}{Separator}{nexus.Isid:x12}";
}
