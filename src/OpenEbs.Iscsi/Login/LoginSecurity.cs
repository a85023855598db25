using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using OpenEbs.Iscsi.Access;

namespace OpenEbs.Iscsi.Login;

/// <summary>How far the security negotiation of a login has come.</summary>
internal enum SecurityStep : byte
{
    /// <summary>AuthMethod has not been offered.</summary>
    Method,

    /// <summary>CHAP was chosen: CHAP_A comes next.</summary>
    Algorithm,

    /// <summary>The challenge is out: CHAP_N and CHAP_R come next.</summary>
    Proof,

    /// <summary>The proof is being judged.</summary>
    Judging,

    /// <summary>Whatever was demanded was given.</summary>
    Done,
}

/// <summary>The security negotiation of a login (RFC 7143 §12.1): AuthMethod and CHAP, decided by what the target demands and never by what the initiator prefers.</summary>
/// <param name="algorithms">Hashes that are taken.</param>
/// <param name="fillRandom">Makes challenges and identifiers, unpredictable ones.</param>
internal sealed class LoginSecurity(IReadOnlyList<ChapAlgorithm> algorithms, Action<Span<byte>> fillRandom)
{
    /// <summary>More than any hash in use, so that no challenge ever comes twice.</summary>
    public const int ChallengeBytes = 32;

    /// <summary>RFC 7143 §6.1: a text-value has at most 255 bytes.</summary>
    private const int MaxNameBytes = 255;

    private const string Method = "AuthMethod";
    private const string Prefix = "CHAP_";

    private ChapAlgorithm _algorithm;
    private byte _identifier;
    private byte[] _challenge = [];

    public SecurityStep Step { get; private set; }

    /// <summary>What is to be judged, while <see cref="Step"/> is Judging.</summary>
    public ChapProof? Proof { get; private set; }

    /// <summary>Why the last status was not Success, for the log; without anything that the initiator sent.</summary>
    public string Reason { get; private set; } = "";

    /// <summary>Whether a key belongs to this negotiation.</summary>
    public static bool Owns(string key) => key == Method || key.StartsWith(Prefix, StringComparison.Ordinal);

    /// <summary>Takes the security keys of one request.</summary>
    public LoginStatus Answer(IReadOnlyDictionary<string, string> keys, LoginDemand demand, List<byte> output)
    {
        if (demand == LoginDemand.Open) return AnswerOpen(keys, output);
        return Step switch
        {
            SecurityStep.Method => ChooseMethod(keys, output),
            SecurityStep.Algorithm => Challenge(keys, output),
            SecurityStep.Proof => TakeProof(keys),
            _ => keys.Count == 0 ? LoginStatus.Success : Fail(LoginStatus.InitiatorError, "security keys after the end of the negotiation"),
        };
    }

    /// <summary>Ends the exchange by what the proof was worth.</summary>
    public LoginStatus Conclude(ChapVerdict verdict, List<byte> output)
    {
        var wantsProof = Proof?.CounterChallenge is not null;
        Proof = null;
        if (verdict.IsUndecided) return Fail(LoginStatus.ServiceUnavailable, verdict.Reason);

        // An unknown user, a wrong secret and the rest look the same from outside.
        if (!verdict.IsAuthentic || (wantsProof && verdict.TargetResponse.IsEmpty)) return Fail(LoginStatus.AuthenticationFailure, verdict.Reason);
        Step = SecurityStep.Done;
        if (!wantsProof) return LoginStatus.Success;
        TextParameters.Append(output, "CHAP_N", verdict.TargetUserName);
        TextParameters.Append(output, "CHAP_R", BinaryValue.Encode(verdict.TargetResponse.Span));
        return LoginStatus.Success;
    }

    /// <summary>The initiator goes on as if nothing were demanded of it.</summary>
    public LoginStatus RefuseToSkip() => Fail(LoginStatus.AuthenticationFailure, "it did not offer CHAP, which is demanded");

    private LoginStatus Fail(LoginStatus status, string reason)
    {
        Reason = reason;
        return status;
    }

    private LoginStatus AnswerOpen(IReadOnlyDictionary<string, string> keys, List<byte> output)
    {
        Step = SecurityStep.Done;
        foreach (var (key, value) in keys)
        {
            if (key != Method) TextParameters.Append(output, key, NegotiationKeys.NotUnderstood);
            else if (Offers(value, "None")) TextParameters.Append(output, Method, "None");
            else return Fail(LoginStatus.AuthenticationFailure, "it insists on authentication, and no credential is configured for it here");
        }

        return LoginStatus.Success;
    }

    private LoginStatus ChooseMethod(IReadOnlyDictionary<string, string> keys, List<byte> output)
    {
        // An initiator may first send its names alone; what it cannot do is leave the stage (LoginNegotiator).
        if (keys.Count == 0) return LoginStatus.Success;
        if (!keys.TryGetValue(Method, out var methods) || keys.Count > 1) return Fail(LoginStatus.InitiatorError, "CHAP keys before CHAP was chosen");
        if (!Offers(methods, "CHAP")) return Fail(LoginStatus.AuthenticationFailure, "it did not offer CHAP, which is demanded");
        TextParameters.Append(output, Method, "CHAP");
        Step = SecurityStep.Algorithm;
        return LoginStatus.Success;
    }

    private LoginStatus Challenge(IReadOnlyDictionary<string, string> keys, List<byte> output)
    {
        if (!keys.TryGetValue("CHAP_A", out var offered)) return Fail(keys.Count == 0 ? LoginStatus.MissingParameter : LoginStatus.InitiatorError, "CHAP_A did not come in its turn");
        if (keys.Count > 1) return Fail(LoginStatus.InitiatorError, "more than CHAP_A came in its turn");

        // The initiator's order of preference decides, among those that are taken here.
        var common = offered.Split(',').Select(text => byte.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? (ChapAlgorithm)number : 0).Where(algorithms.Contains).ToList();
        if (common.Count == 0) return Fail(LoginStatus.AuthenticationFailure, "none of its CHAP algorithms is taken here");
        _algorithm = common[0];
        _challenge = new byte[ChallengeBytes];
        fillRandom(_challenge);
        Span<byte> identifier = stackalloc byte[1];
        fillRandom(identifier);
        _identifier = identifier[0];
        TextParameters.Append(output, "CHAP_A", ((byte)_algorithm).ToString(CultureInfo.InvariantCulture));
        TextParameters.Append(output, "CHAP_I", _identifier.ToString(CultureInfo.InvariantCulture));
        TextParameters.Append(output, "CHAP_C", BinaryValue.Encode(_challenge));
        Step = SecurityStep.Proof;
        return LoginStatus.Success;
    }

    private LoginStatus TakeProof(IReadOnlyDictionary<string, string> keys)
    {
        if (!keys.TryGetValue("CHAP_N", out var name) || !keys.TryGetValue("CHAP_R", out var responseText)) return Fail(LoginStatus.MissingParameter, "CHAP_N and CHAP_R did not come in their turn");
        var hasIdentifier = keys.TryGetValue("CHAP_I", out var identifierText);
        var hasChallenge = keys.TryGetValue("CHAP_C", out var challengeText);
        if (hasIdentifier != hasChallenge) return Fail(LoginStatus.MissingParameter, "CHAP_I and CHAP_C did not come together");
        if (keys.Count != (hasChallenge ? 4 : 2)) return Fail(LoginStatus.InitiatorError, "other security keys came with the response");
        if (name.Length == 0 || Encoding.UTF8.GetByteCount(name) > MaxNameBytes) return Fail(LoginStatus.InitiatorError, "CHAP_N has a length that no name has");
        if (!BinaryValue.TryDecode(responseText, BinaryValue.MaxBytes, out var response)) return Fail(LoginStatus.InitiatorError, "CHAP_R is no binary value, or too long");
        byte[]? counter = null;
        uint counterIdentifier = 0;
        if (hasChallenge)
        {
            if (!BinaryValue.TryDecode(challengeText!, BinaryValue.MaxBytes, out counter)) return Fail(LoginStatus.InitiatorError, "CHAP_C is no binary value, or too long");
            if (!NegotiationKey.TryParseNumber(identifierText!, out counterIdentifier) || counterIdentifier > byte.MaxValue) return Fail(LoginStatus.InitiatorError, "CHAP_I is no number from 0 to 255");

            // RFC 1994 §2.3 and RFC 7143 §9.2.1: who sends our own challenge back wants us to compute its answer.
            if (CryptographicOperations.FixedTimeEquals(counter, _challenge)) return Fail(LoginStatus.AuthenticationFailure, "it sent the target's own challenge back");
        }

        Proof = new ChapProof
        {
            Algorithm = _algorithm,
            Identifier = _identifier,
            Challenge = _challenge,
            UserName = name,
            Response = response,
            CounterChallenge = counter,
            CounterIdentifier = (byte)counterIdentifier,
        };
        Step = SecurityStep.Judging;
        return LoginStatus.Success;
    }

    private static bool Offers(string list, string method) => list.Split(',').Contains(method, StringComparer.Ordinal);
}
