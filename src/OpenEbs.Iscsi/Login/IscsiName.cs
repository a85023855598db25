namespace OpenEbs.Iscsi.Login;

/// <summary>An iSCSI node name (RFC 7143 §4.2.7): at most 223 bytes, compared without regard to case.</summary>
internal readonly record struct IscsiName
{
    public const int MaxBytes = 223;

    private readonly string? _value;

    private IscsiName(string value) => _value = value;

    /// <summary>Accepts the three formats of RFC 7143 §4.2.7.2 (iqn., eui., naa.), made lower case.</summary>
    public static bool TryParse(string text, out IscsiName name)
    {
        name = default;
        if (text.Length is 0 or > MaxBytes) return false;
        var lower = text.ToLowerInvariant();
        if (!lower.StartsWith("iqn.", StringComparison.Ordinal) && !lower.StartsWith("eui.", StringComparison.Ordinal)
            && !lower.StartsWith("naa.", StringComparison.Ordinal))
        {
            return false;
        }

        foreach (var c in lower)
        {
            // RFC 7143 §4.2.7.1: no white space or control characters; of ASCII punctuation only '-', '.' and ':'.
            if (c < 0x80 ? !(char.IsAsciiLetterOrDigit(c) || c is '-' or '.' or ':') : char.IsControl(c) || char.IsWhiteSpace(c)) return false;
        }

        name = new IscsiName(lower);
        return true;
    }

    public override string ToString() => _value ?? "";
}
