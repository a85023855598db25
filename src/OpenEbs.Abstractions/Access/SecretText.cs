namespace OpenEbs.Access;

/// <summary>A secret on its way to where it is kept. It never shows itself: not in a log, an exception, a message that is printed, or JSON.</summary>
[GenerateSerializer, Immutable, Alias("openebs.SecretText")]
public readonly record struct SecretText
{
    [Id(0)] private readonly string? _value;

    public SecretText(string value) => _value = value;

    public bool IsEmpty => string.IsNullOrEmpty(_value);

    public int Length => _value?.Length ?? 0;

    /// <summary>The secret itself.</summary>
    public string Reveal() => _value ?? "";

    public override string ToString() => IsEmpty ? "" : "(secret)";
}
