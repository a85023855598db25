namespace OpenEbs.Access;

/// <summary>What initiators prove themselves with (CHAP), and the cluster in return. Written, never read back.</summary>
[GenerateSerializer, Immutable, Alias("openebs.CredentialSpec")]
public sealed record CredentialSpec
{
    /// <summary>RFC 7143 §9.2.1 wants 96 bits; initiators of Windows take 12 to 16 characters.</summary>
    public const int MinSecretLength = 12;
    public const int MaxSecretLength = 128;
    public const int MaxUserNameLength = 128;

    internal const string NameRule = "use 1 to 63 lower-case letters, digits, '-' or '.', starting and ending with a letter or digit";

    /// <summary>CHAP user name of the initiators; empty for the credential's own name.</summary>
    [Id(0)] public string UserName { get; init; } = "";

    [Id(1)] public required SecretText Secret { get; init; }

    /// <summary>CHAP user name of the target in mutual CHAP; empty for the credential's own name.</summary>
    [Id(2)] public string TargetUserName { get; init; } = "";

    /// <summary>What the target proves itself with when an initiator asks for it; empty: it cannot, and such logins are refused.</summary>
    [Id(3)] public SecretText TargetSecret { get; init; }

    public static bool IsName(string? name) => Volumes.VolumeName.TryParse(name, out _);

    public IEnumerable<string> Problems(string name)
    {
        if (!IsName(name)) yield return $"'{name}' is no name of a credential; {NameRule}";
        foreach (var (what, user) in new[] { ("user name", UserName), ("target user name", TargetUserName) })
        {
            if (user.Length > MaxUserNameLength || user.Any(c => c is <= ' ' or > '~')) yield return $"the {what} has characters or a length that it may not have; use at most {MaxUserNameLength} printable ASCII characters without spaces";
        }

        foreach (var (what, secret) in new[] { ("secret", Secret), ("target secret", TargetSecret) })
        {
            if (secret.IsEmpty && what == "target secret") continue;
            if (secret.Length is < MinSecretLength or > MaxSecretLength) yield return $"the {what} has {secret.Length} characters; give {MinSecretLength} to {MaxSecretLength} random ones (initiators of Windows take at most 16)";
            if (secret.Reveal().Any(c => c is < ' ' or > '~')) yield return $"the {what} has characters other than printable ASCII; initiators differ in how they would send them";
        }

        // RFC 7143 §9.2.1: whoever learns one direction would have the other.
        if (!Secret.IsEmpty && Secret == TargetSecret) yield return "the secret and the target secret are the same; give two different ones";
    }
}

/// <summary>A credential as a user sees it: everything but its secrets.</summary>
[GenerateSerializer, Immutable, Alias("openebs.CredentialView")]
public sealed record CredentialView
{
    [Id(0)] public required string Name { get; init; }

    [Id(1)] public required string UserName { get; init; }

    [Id(2)] public required string TargetUserName { get; init; }

    /// <summary>Whether the target can prove itself (mutual CHAP).</summary>
    [Id(3)] public required bool HasTargetSecret { get; init; }

    [Id(4)] public required DateTimeOffset ChangedAt { get; init; }

    /// <summary>Volumes whose rule names it.</summary>
    [Id(5)] public IReadOnlyList<string> Volumes { get; init; } = [];
}

/// <summary>Who may log in to a volume, as a user sees it.</summary>
[GenerateSerializer, Immutable, Alias("openebs.VolumeAccessView")]
public sealed record VolumeAccessView
{
    [Id(0)] public required string Volume { get; init; }

    /// <summary>The volume's own rule; null when it has none, and the default holds.</summary>
    [Id(1)] public AccessRule? Rule { get; init; }

    /// <summary>What holds for volumes without a rule.</summary>
    [Id(2)] public required DefaultAccess Default { get; init; }

    /// <summary>Credentials that the rule names and that there are not.</summary>
    [Id(3)] public IReadOnlyList<string> MissingCredentials { get; init; } = [];

    /// <summary>For people.</summary>
    public string Summary => Rule is null
        ? Default == DefaultAccess.All ? "everybody, without proof (it has no rule of its own)" : "NOBODY: it has no access rule, and nobody may log in to such a volume"
        : Rule.AdmitsNobody ? "NOBODY: its rule names neither initiators nor credentials"
        : MissingCredentials.Count > 0 ? $"{Rule}; there is no credential {string.Join(", ", MissingCredentials)}" : Rule.ToString();

    /// <summary>No login can succeed.</summary>
    public bool AdmitsNobody => Rule?.AdmitsNobody ?? Default == DefaultAccess.None;
}
