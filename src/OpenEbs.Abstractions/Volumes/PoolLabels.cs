using System.Diagnostics.CodeAnalysis;

namespace OpenEbs.Volumes;

/// <summary>Labels of pools: what an operator says of them, such as disk=ssd. Written <c>key=value,key2=value2</c>.</summary>
public static class PoolLabels
{
    /// <summary>The zone: what fails together, such as a rack or a site.</summary>
    public const string Zone = "topology.kubernetes.io/zone";

    private const int MaxLength = 253;

    /// <summary>Reads labels; of an empty text there are none.</summary>
    public static bool TryParse(string? text, out IReadOnlyDictionary<string, string> labels, [NotNullWhen(false)] out string? problem)
    {
        var parsed = new Dictionary<string, string>(StringComparer.Ordinal);
        labels = parsed;
        problem = null;
        foreach (var part in (text ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            var equals = part.IndexOf('=');
            var (key, value) = equals < 0 ? (part, "") : (part[..equals].Trim(), part[(equals + 1)..].Trim());
            problem = equals < 0 ? $"'{part}' is not a label; write key=value, several with commas between them" : Problem(key, value);
            if (problem is null && !parsed.TryAdd(key, value)) problem = $"'{key}' is there twice";
            if (problem is not null) return false;
        }

        return true;
    }

    /// <summary>What is wrong with a label, and the cure; null when nothing is.</summary>
    public static string? Problem(string key, string value)
    {
        if (!IsWord(key) || key.Length == 0) return $"'{key}' cannot be the key of a label; use letters, digits, '-', '_', '.' or '/', at most {MaxLength}";
        return IsWord(value) ? null : $"'{value}' cannot be the value of label '{key}'; use letters, digits, '-', '_', '.' or '/', at most {MaxLength}";
    }

    /// <summary>One spelling for equal labels.</summary>
    public static string Format(IReadOnlyDictionary<string, string> labels) => string.Join(',', labels.OrderBy(label => label.Key, StringComparer.Ordinal).Select(label => $"{label.Key}={label.Value}"));

    private static bool IsWord(string text) => text.Length <= MaxLength && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' or '/');
}
