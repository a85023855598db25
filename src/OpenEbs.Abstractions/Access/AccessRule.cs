namespace OpenEbs.Access;

/// <summary>Whether initiators of several names may use a volume at the same time. Names are stored: never change them.</summary>
public enum SharingMode
{
    /// <summary>One initiator at a time, with as many sessions as it likes (multipath).</summary>
    Exclusive,

    /// <summary>Any number: for file systems made for it, or hosts that agree among themselves.</summary>
    Shared,
}

/// <summary>What holds for a volume without a rule of its own. Names are stored in configuration: never change them.</summary>
public enum DefaultAccess
{
    /// <summary>Nobody may log in.</summary>
    None,

    /// <summary>Everybody may, without proof.</summary>
    All,
}

/// <summary>Who may log in to a volume. An initiator has to satisfy both lists; with both empty nobody may.</summary>
[GenerateSerializer, Immutable, Alias("openebs.AccessRule")]
public sealed record AccessRule
{
    public const int MaxInitiators = 256;
    public const int MaxCredentials = 16;

    /// <summary>Stands for every initiator.</summary>
    public const string Anybody = "*";

    private const int MaxNameBytes = 223;

    /// <summary>Names of initiators (iqn., eui., naa.), in lower case and sorted; one that ends with '*' stands for all that begin so. Empty: every initiator that has a credential. Initiators name
    /// themselves: without a credential a name keeps out mistakes, not attackers.</summary>
    [Id(0)] public IReadOnlyList<string> Initiators { get; init; } = [];

    /// <summary>Names of credentials, one of which an initiator has to prove by CHAP. Empty: no proof.</summary>
    [Id(1)] public IReadOnlyList<string> Credentials { get; init; } = [];

    [Id(2)] public SharingMode Sharing { get; init; }

    /// <summary>True when no login can succeed.</summary>
    public bool AdmitsNobody => Initiators.Count == 0 && Credentials.Count == 0;

    /// <summary>Whether the rule has a place for an initiator of this name, provided that it proves what is demanded.</summary>
    /// <param name="initiatorName">In lower case.</param>
    public bool HasPlaceFor(string initiatorName) => Initiators.Count == 0 ? Credentials.Count > 0 : Initiators.Any(pattern => Matches(pattern, initiatorName));

    /// <summary>Whether an initiator may use the volume.</summary>
    /// <param name="initiatorName">In lower case.</param>
    /// <param name="credential">Name of the credential that it proved; empty for none.</param>
    public bool Admits(string initiatorName, string credential) => HasPlaceFor(initiatorName) && (Credentials.Count == 0 || Credentials.Contains(credential));

    /// <summary>The rule in the one spelling that compares equal: names in lower case, sorted, each once.</summary>
    public AccessRule Normalize() => this with
    {
        Initiators = [.. Initiators.Select(name => name.Trim().ToLowerInvariant()).Distinct().Order(StringComparer.Ordinal)],
        Credentials = [.. Credentials.Select(name => name.Trim()).Distinct().Order(StringComparer.Ordinal)],
    };

    public IEnumerable<string> Problems()
    {
        if (Initiators.Count > MaxInitiators) yield return $"there are {Initiators.Count} initiators; give at most {MaxInitiators}, or a name that ends with '*'";
        if (Credentials.Count > MaxCredentials) yield return $"there are {Credentials.Count} credentials; give at most {MaxCredentials}";
        if (!Enum.IsDefined(Sharing)) yield return $"sharing is {Sharing}; give exclusive or shared";
        foreach (var name in Initiators.Where(name => !IsPattern(name)))
            yield return $"'{name}' is no initiator name; give a name that begins with iqn., eui. or naa., such as iqn.2004-10.com.example:host1, one that ends with '*' behind its ':', such as iqn.2004-10.com.example:*, or '*' alone for everybody";
        foreach (var name in Credentials.Where(name => !CredentialSpec.IsName(name))) yield return $"'{name}' is no name of a credential; {CredentialSpec.NameRule}";
    }

    public bool Equals(AccessRule? other) =>
        other is not null && Sharing == other.Sharing && Initiators.SequenceEqual(other.Initiators) && Credentials.SequenceEqual(other.Credentials);

    public override int GetHashCode() => HashCode.Combine(Sharing, Initiators.Count, Credentials.Count);

    /// <summary>For people.</summary>
    public override string ToString()
    {
        if (AdmitsNobody) return "nobody";
        var who = Initiators.Count == 0 || Initiators.Contains(Anybody) ? "any initiator" : string.Join(", ", Initiators);
        var proof = Credentials.Count == 0 ? "without proof" : $"with credential {string.Join(" or ", Credentials)}";
        return $"{who} {proof}, {(Sharing == SharingMode.Shared ? "several initiators at a time" : "one initiator at a time")}";
    }

    private static bool Matches(string pattern, string name) =>
        pattern.EndsWith('*') ? name.StartsWith(pattern.AsSpan(0, pattern.Length - 1), StringComparison.Ordinal) : pattern == name;

    /// <summary>A wildcard stands at the end only, and behind the naming authority: iqn.2004-10.com.example* would also be iqn.2004-10.com.example-of-somebody-else.</summary>
    private static bool IsPattern(string text)
    {
        if (text == Anybody) return true;
        var isWildcard = text.EndsWith('*');
        var name = isWildcard ? text[..^1] : text;
        if (isWildcard && !name.Contains(':')) return false;
        if (name.Length is < 5 or > MaxNameBytes || !(name.StartsWith("iqn.", StringComparison.OrdinalIgnoreCase) || name.StartsWith("eui.", StringComparison.OrdinalIgnoreCase) || name.StartsWith("naa.", StringComparison.OrdinalIgnoreCase))) return false;
        return name.All(c => c < 0x80 ? char.IsAsciiLetterOrDigit(c) || c is '-' or '.' or ':' : !char.IsControl(c) && !char.IsWhiteSpace(c));
    }
}
