using System.Diagnostics.CodeAnalysis;

namespace OpenEbs.Units;

/// <summary>Limits as people write them: 50MiB/s, 1Gi, or none. (This file is compiled into the server and into openebsctl.)</summary>
internal static class ByteRate
{
    public const string Examples = "50MiB/s, 1Gi/s, or none";

    /// <summary>Parses a limit in bytes a second, 0 for none; on failure <paramref name="problem"/> says what was wrong and what to write instead.</summary>
    public static bool TryParse(string? text, out long bytesPerSecond, [NotNullWhen(false)] out string? problem)
    {
        bytesPerSecond = 0;
        problem = null;
        var trimmed = (text ?? "").Trim();
        if (trimmed is "none") return true;
        if (ByteSize.TryParse(trimmed.EndsWith("/s", StringComparison.Ordinal) ? trimmed[..^2] : trimmed, out bytesPerSecond, out _) && bytesPerSecond > 0) return true;
        problem = $"'{text}' is not a limit in bytes a second; write it like {Examples}";
        return false;
    }

    /// <summary>The limit as people read it.</summary>
    public static string Format(long bytesPerSecond) => bytesPerSecond == 0 ? "none" : $"{ByteSize.Format(bytesPerSecond)}/s";
}
