using System.Security.Cryptography;
using System.Text;

namespace OpenEbs.Iscsi.Access;

/// <summary>A pair of user name and secret that initiators may log in with, and what the target proves itself with in return.</summary>
/// <param name="name">The credential's own name, for people; never sent.</param>
/// <param name="userName">CHAP_N of the initiator.</param>
/// <param name="secret">Known to the initiator.</param>
/// <param name="targetUserName">CHAP_N of the target in mutual CHAP.</param>
/// <param name="targetSecret">What the target proves; empty for a credential without mutual CHAP.</param>
public sealed class ChapCredential(string name, string userName, byte[] secret, string targetUserName, byte[] targetSecret)
{
    /// <summary>Hashed in place of a secret when there is none: to the initiator no user and a wrong secret take the same time.</summary>
    private static readonly ChapCredential Decoy = new("", "", RandomNumberGenerator.GetBytes(16), "", []);

    public string Name { get; } = name;

    /// <summary>Never shows a secret.</summary>
    public override string ToString() => $"credential {Name}";

    /// <summary>Judges a proof by those credentials that may be used. The work does not depend on whether the user name is one of them, nor on where the responses differ.</summary>
    public static ChapVerdict Judge(IReadOnlyList<ChapCredential> credentials, ChapProof proof)
    {
        ArgumentNullException.ThrowIfNull(credentials);
        ArgumentNullException.ThrowIfNull(proof);
        ChapCredential? match = null;
        var isKnown = false;
        foreach (var credential in credentials.Append(Decoy))
        {
            var isUser = credential.IsUser(proof.UserName);
            var isRight = CryptographicOperations.FixedTimeEquals(ChapDigest.Compute(proof.Algorithm, proof.Identifier, credential.Secret, proof.Challenge), proof.Response);
            isKnown |= isUser && credential != Decoy;
            if (isUser & isRight & credential != Decoy) match = credential;
        }

        if (match is null) return ChapVerdict.Refused(isKnown ? "the secret is wrong" : "the user name is that of no credential allowed here");
        return proof.CounterChallenge is null ? new ChapVerdict(true, match.Name, "") : match.Answer(proof);
    }

    private byte[] Secret => secret;

    private bool IsUser(string offered) => CryptographicOperations.FixedTimeEquals(SHA256.HashData(Encoding.UTF8.GetBytes(offered)), SHA256.HashData(Encoding.UTF8.GetBytes(userName)));

    /// <summary>Proves the target to an initiator that has proved itself. RFC 7143 §9.2.1: never with the same secret.</summary>
    private ChapVerdict Answer(ChapProof proof)
    {
        if (targetSecret.Length == 0) return ChapVerdict.Refused($"it asks for mutual CHAP, and credential {Name} has no target secret");
        if (CryptographicOperations.FixedTimeEquals(secret, targetSecret)) return ChapVerdict.Refused($"both secrets of credential {Name} are the same");
        return new ChapVerdict(true, Name, "")
        {
            TargetUserName = targetUserName,
            TargetResponse = ChapDigest.Compute(proof.Algorithm, proof.CounterIdentifier, targetSecret, proof.CounterChallenge),
        };
    }
}
