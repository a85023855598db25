using System.Security.Cryptography;

namespace OpenEbs.Iscsi.LogicalUnits;

/// <summary>The designator by which a logical unit is named on the wire (SPC-4 §7.8.6.6).</summary>
public static class UnitDesignator
{
    public const int LengthBytes = 8;

    /// <summary>NAA 3h, locally assigned: 60 bits made from the volume's Uid, equal on all portals. (NAA 6h needs a company id, which we have not.)</summary>
    public static byte[] NaaOf(Guid uid)
    {
        Span<byte> bytes = stackalloc byte[16];
        uid.TryWriteBytes(bytes, bigEndian: true, out _);
        var hash = SHA256.HashData(bytes)[..LengthBytes];
        hash[0] = (byte)(0x30 | (hash[0] & 0x0f));
        return hash;
    }
}
