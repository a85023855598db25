using System.Diagnostics.CodeAnalysis;

namespace OpenEbs.Volumes;

/// <summary>The name a user gives a volume: 1 to 63 lower-case letters, digits, '-' or '.', starting and ending with a letter or digit.
/// It is also the last part of the iSCSI target name (RFC 7143 §4.2.7.2 allows exactly these characters).</summary>
[GenerateSerializer, Immutable, Alias("openebs.VolumeName")]
public readonly record struct VolumeName
{
    public const int MaxLength = 63;

    [Id(0)] private readonly string? _value;

    private VolumeName(string value) => _value = value;

    public bool IsDefault => _value is null;

    public static VolumeName Parse(string text) =>
        TryParse(text, out var name) ? name : throw new FormatException(
            $"'{text}' is not a volume name: use 1 to {MaxLength} lower-case letters, digits, '-' or '.', starting and ending with a letter or digit.");

    public static bool TryParse([NotNullWhen(true)] string? text, out VolumeName name)
    {
        name = default;
        if (string.IsNullOrEmpty(text) || text.Length > MaxLength || !IsEdge(text[0]) || !IsEdge(text[^1])) return false;
        foreach (var c in text)
        {
            if (!IsEdge(c) && c is not ('-' or '.')) return false;
        }

        name = new VolumeName(text);
        return true;
    }

    public override string ToString() => _value ?? "";

    private static bool IsEdge(char c) => c is (>= 'a' and <= 'z') or (>= '0' and <= '9');
}
