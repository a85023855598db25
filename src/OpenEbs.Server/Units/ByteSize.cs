using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace OpenEbs.Units;

/// <summary>Sizes as people write them: 1Gi, 512Mi, 1.5Ti, or plain bytes. Binary units only: a size in decimal units is more often a slip than a wish.
/// (This file is compiled into the server and into openebsctl.)</summary>
internal static class ByteSize
{
    public const string Examples = "1Gi, 512Mi, 1.5Ti, or plain bytes such as 1073741824";

    private static readonly string[] Units = ["", "Ki", "Mi", "Gi", "Ti", "Pi"];

    /// <summary>Parses a size; on failure <paramref name="problem"/> says what was wrong and what to write instead.</summary>
    public static bool TryParse(string? text, out long bytes, [NotNullWhen(false)] out string? problem)
    {
        bytes = 0;
        var trimmed = (text ?? "").Trim();
        var digits = trimmed.TakeWhile(c => char.IsAsciiDigit(c) || c == '.').Count();
        var unit = trimmed[digits..].TrimStart();
        if (digits == 0 || !decimal.TryParse(trimmed[..digits], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number))
        {
            problem = $"'{text}' is not a size; write it like {Examples}";
            return false;
        }

        var normal = unit.EndsWith("iB", StringComparison.OrdinalIgnoreCase) ? unit[..^1] : unit is "B" ? "" : unit;
        var power = Array.FindIndex(Units, u => u.Equals(normal, StringComparison.OrdinalIgnoreCase));
        if (power < 0)
        {
            problem = DescribeUnit(text!, trimmed[..digits], unit);
            return false;
        }

        var exact = number * (1L << (10 * power));
        if (exact > long.MaxValue)
        {
            problem = $"'{text}' is more than {Format(long.MaxValue)}";
            return false;
        }

        if (exact != decimal.Truncate(exact))
        {
            problem = $"'{text}' is not a whole number of bytes";
            return false;
        }

        bytes = (long)exact;
        problem = null;
        return true;
    }

    /// <summary>The size in the largest binary unit that keeps it above one, with at most two decimals: 1 GiB, 1.5 TiB, 512 B.</summary>
    public static string Format(long bytes)
    {
        var value = (decimal)bytes;
        var power = 0;
        while (Math.Abs(value) >= 1024 && power < Units.Length - 1)
        {
            value /= 1024;
            power++;
        }

        return string.Create(CultureInfo.InvariantCulture, $"{Math.Round(value, 2):0.##} {Units[power]}B");
    }

    private static string DescribeUnit(string text, string number, string unit)
    {
        var binary = unit.Length is 1 or 2 && (unit.Length == 1 || char.ToUpperInvariant(unit[1]) == 'B')
            ? Array.Find(Units, u => u.Length > 0 && char.ToUpperInvariant(u[0]) == char.ToUpperInvariant(unit[0]))
            : null;
        return binary is null
            ? $"'{text}' has the unknown unit '{unit}'; write it like {Examples}"
            : $"'{text}' has the decimal unit '{unit}'; sizes are in binary units: write {number}{binary}";
    }
}
