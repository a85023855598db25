using System.Globalization;

namespace OpenEbs.Iscsi.Login;

/// <summary>When a key may be sent (the column "Use" of RFC 7143 §13).</summary>
[Flags]
internal enum KeyUse : byte
{
    None = 0,

    /// <summary>Security negotiation stage.</summary>
    Security = 1,

    /// <summary>Login operational negotiation stage.</summary>
    Operational = 2,

    /// <summary>Full feature phase.</summary>
    FullFeature = 4,

    /// <summary>The RFC's IO and LO: any login stage (declarations such as InitiatorName come with the first request, whatever its stage).</summary>
    Login = Security | Operational,

    /// <summary>The RFC's ALL.</summary>
    All = Login | FullFeature,
}

/// <summary>Who may send a key.</summary>
internal enum KeySender : byte
{
    Initiator,
    Target,
    Both,
}

/// <summary>What a key's value governs.</summary>
internal enum KeyScope : byte
{
    ConnectionOnly,
    SessionWide,
}

/// <summary>Whether a key is answered.</summary>
internal enum KeyKind : byte
{
    /// <summary>Stated by one side, not answered.</summary>
    Declarative,

    /// <summary>Offered by one side, answered by the other.</summary>
    Negotiated,
}

/// <summary>One row of the key table: the rules of a key and the function that turns an offered value into our answer.</summary>
/// <param name="Name">As RFC 7143 spells it.</param>
/// <param name="Use">Phases in which it may come.</param>
/// <param name="Sender">Who may send it.</param>
/// <param name="Scope">Connection or session.</param>
/// <param name="Kind">Declarative or negotiated.</param>
/// <param name="Answer">Stores the outcome; returns our value, null for none, or <see cref="NegotiationKeys.Reject"/> for an unacceptable one.</param>
/// <param name="IrrelevantInDiscovery">The RFC's "Irrelevant when: SessionType=Discovery".</param>
/// <param name="RejectIsHarmless">A Reject is an expected answer and does not fail the login.</param>
internal sealed record NegotiationKey(
    string Name,
    KeyUse Use,
    KeySender Sender,
    KeyScope Scope,
    KeyKind Kind,
    Func<string, OperationalParameters, string?> Answer,
    bool IrrelevantInDiscovery = false,
    bool RejectIsHarmless = false)
{
    /// <summary>Result function AND or OR over Yes and No (RFC 7143 §6.2.2).</summary>
    public static Func<string, OperationalParameters, string?> Boolean(Func<bool, bool> combineWithOurs, Action<OperationalParameters, bool> store) => (offer, parameters) =>
    {
        if (offer is not ("Yes" or "No")) return NegotiationKeys.Reject;
        var result = combineWithOurs(offer == "Yes");
        store(parameters, result);
        return result ? "Yes" : "No";
    };

    /// <summary>Result functions Minimum and Maximum over a range.</summary>
    public static Func<string, OperationalParameters, string?> Number(uint min, uint max, Func<uint, uint> combineWithOurs, Action<OperationalParameters, uint> store) =>
        (offer, parameters) =>
        {
            if (!TryParseNumber(offer, out var value) || value < min || value > max) return NegotiationKeys.Reject;
            var result = combineWithOurs(value);
            store(parameters, result);
            return result.ToString(CultureInfo.InvariantCulture);
        };

    /// <summary>The first value in the offered list that we support (RFC 7143 §6.2.1).</summary>
    public static Func<string, OperationalParameters, string?> FirstSupported(string[] supported, Action<OperationalParameters, string> store) => (offer, parameters) =>
    {
        foreach (var value in offer.Split(','))
        {
            if (!supported.Contains(value, StringComparer.Ordinal)) continue;
            store(parameters, value);
            return value;
        }

        return NegotiationKeys.Reject;
    };

    /// <summary>A declaration: stored if <paramref name="tryStore"/> accepts it, no answer.</summary>
    public static Func<string, OperationalParameters, string?> Declaration(Func<string, OperationalParameters, bool> tryStore) =>
        (offer, parameters) => tryStore(offer, parameters) ? null : NegotiationKeys.Reject;

    /// <summary>A decimal or hexadecimal constant (RFC 7143 §6.1, large numerical values are not used by any of our keys).</summary>
    public static bool TryParseNumber(string text, out uint value)
    {
        value = 0;
        if (text.Length is 0 or > 12) return false;
        return text.StartsWith("0x", StringComparison.OrdinalIgnoreCase)
            ? uint.TryParse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value)
            : uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value);
    }
}
