using System.Globalization;

namespace OpenEbs.Units;

/// <summary>Durations as people write them: 60s, 500ms, 5m, 1h. (This file is compiled into the server and into openebsctl.)</summary>
internal static class Duration
{
    public const string Examples = "60s, 500ms, 5m or 1h";

    public static bool TryParse(string? text, out TimeSpan duration)
    {
        duration = default;
        var trimmed = (text ?? "").Trim();
        var digits = trimmed.TakeWhile(c => char.IsAsciiDigit(c) || c == '.').Count();
        if (digits == 0 || !double.TryParse(trimmed[..digits], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)) return false;
        double? seconds = trimmed[digits..].Trim() switch
        {
            "ms" => number / 1000,
            "s" or "" => number,
            "m" => number * 60,
            "h" => number * 3600,
            "d" => number * 86400,
            _ => null,
        };
        if (seconds is null or > 3.2e9) return false;
        duration = TimeSpan.FromSeconds(seconds.Value);
        return true;
    }

    /// <summary>60s, 500ms, 5m, 1h: the shortest exact spelling.</summary>
    public static string Format(TimeSpan duration)
    {
        var milliseconds = (long)duration.TotalMilliseconds;
        var (value, unit) = milliseconds switch
        {
            0 => (0L, "s"),
            _ when milliseconds % 3_600_000 == 0 => (milliseconds / 3_600_000, "h"),
            _ when milliseconds % 60_000 == 0 => (milliseconds / 60_000, "m"),
            _ when milliseconds % 1000 == 0 => (milliseconds / 1000, "s"),
            _ => (milliseconds, "ms"),
        };
        return string.Create(CultureInfo.InvariantCulture, $"{value}{unit}");
    }
}
