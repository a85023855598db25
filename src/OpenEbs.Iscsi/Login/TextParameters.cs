using System.Text;

namespace OpenEbs.Iscsi.Login;

/// <summary>The text format of RFC 7143 §6.1: pairs key=value, each ended by a NUL.</summary>
internal static class TextParameters
{
    /// <summary>A key name has at most 63 bytes (RFC 7143 §6.1, key-name).</summary>
    public const int MaxKeyBytes = 63;

    /// <summary>Splits text into pairs, in order.</summary>
    /// <param name="text">A complete text, continuation already joined.</param>
    /// <param name="maxPairs">More pairs than this are refused.</param>
    /// <param name="pairs">The pairs found.</param>
    /// <returns>False when a pair has no '=', its key is not a key name, or there are too many.</returns>
    public static bool TryParse(ReadOnlySpan<byte> text, int maxPairs, List<KeyValuePair<string, string>> pairs)
    {
        while (!text.IsEmpty)
        {
            var end = text.IndexOf((byte)0);
            var pair = end < 0 ? text : text[..end];
            text = end < 0 ? default : text[(end + 1)..];
            if (pair.IsEmpty) continue;
            var equals = pair.IndexOf((byte)'=');
            if (equals is <= 0 or > MaxKeyBytes || pairs.Count == maxPairs || !IsKeyName(pair[..equals])) return false;
            pairs.Add(new(Encoding.ASCII.GetString(pair[..equals]), Encoding.UTF8.GetString(pair[(equals + 1)..])));
        }

        return true;
    }

    /// <summary>Appends a pair and its NUL.</summary>
    public static void Append(List<byte> output, string key, string value)
    {
        output.AddRange(Encoding.UTF8.GetBytes(key));
        output.Add((byte)'=');
        output.AddRange(Encoding.UTF8.GetBytes(value));
        output.Add(0);
    }

    private static bool IsKeyName(ReadOnlySpan<byte> name)
    {
        foreach (var b in name)
        {
            if (!char.IsAsciiLetterOrDigit((char)b) && b is not ((byte)'.' or (byte)'-' or (byte)'+' or (byte)'@' or (byte)'_' or (byte)'#')) return false;
        }

        return true;
    }
}
