using System.Buffers;

namespace OpenEbs.Iscsi.Login;

/// <summary>Binary values of login text: hex-constant and base64-constant (RFC 7143 §6.1).</summary>
internal static class BinaryValue
{
    /// <summary>Longest CHAP_C and CHAP_R (RFC 7143 §12.1.3: a "large-binary-value", at most 1024 bytes).</summary>
    public const int MaxBytes = 1024;

    private static readonly SearchValues<char> HexDigits = SearchValues.Create("0123456789abcdefABCDEF");

    /// <summary>Decodes 0x or 0b and what follows.</summary>
    /// <param name="text">The value of a key.</param>
    /// <param name="maxBytes">More than this is refused before it is decoded.</param>
    /// <param name="value">What it stands for.</param>
    /// <returns>False for an empty or oversize value, an odd number of hex digits (half a byte is none), or anything that is neither encoding.</returns>
    public static bool TryDecode(string text, int maxBytes, out byte[] value)
    {
        value = [];
        if (text.Length <= 2 || text[0] != '0') return false;
        var digits = text.AsSpan(2);
        switch (text[1])
        {
            case 'x' or 'X':
                if (digits.Length > 2 * maxBytes || digits.Length % 2 != 0 || digits.ContainsAnyExcept(HexDigits)) return false;
                value = Convert.FromHexString(digits);
                return true;
            case 'b' or 'B':
                // The decoder of .NET skips white space, which is none of the alphabet of RFC 4648.
                if (digits.Length > (maxBytes + 2) / 3 * 4 || digits.ContainsAny(" \t\r\n")) return false;
                var decoded = new byte[digits.Length];
                if (!Convert.TryFromBase64Chars(digits, decoded, out var length) || length == 0 || length > maxBytes) return false;
                value = decoded[..length];
                return true;
            default:
                return false;
        }
    }

    /// <summary>The hexadecimal form, which every initiator reads.</summary>
    public static string Encode(ReadOnlySpan<byte> value) => "0x" + Convert.ToHexStringLower(value);
}
