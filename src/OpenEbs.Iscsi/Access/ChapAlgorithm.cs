using System.Security.Cryptography;

namespace OpenEbs.Iscsi.Access;

/// <summary>Hash of a CHAP exchange, by its number on the wire (RFC 7143 §12.1.3; IANA registry "PPP Authentication Algorithms").</summary>
public enum ChapAlgorithm : byte
{
    /// <summary>RFC 1994; the one that every implementation has.</summary>
    Md5 = 5,
    Sha1 = 6,
    Sha256 = 7,

    /// <summary>Where the platform's cryptography has it (OpenSSL 1.1.1 and later).</summary>
    Sha3Of256Bits = 8,
}

/// <summary>The hash of CHAP (RFC 1994 §4.1): over identifier, secret and challenge, in this order.</summary>
public static class ChapDigest
{
    /// <summary>Longest digest of all algorithms.</summary>
    public const int MaxLengthBytes = 32;

    /// <summary>Every algorithm that this platform can compute, strongest first.</summary>
    public static readonly IReadOnlyList<ChapAlgorithm> Supported =
        [.. new[] { ChapAlgorithm.Sha3Of256Bits, ChapAlgorithm.Sha256, ChapAlgorithm.Sha1, ChapAlgorithm.Md5 }.Where(algorithm => algorithm != ChapAlgorithm.Sha3Of256Bits || SHA3_256.IsSupported)];

    public static int LengthOf(ChapAlgorithm algorithm) => algorithm switch
    {
        ChapAlgorithm.Md5 => MD5.HashSizeInBytes,
        ChapAlgorithm.Sha1 => SHA1.HashSizeInBytes,
        ChapAlgorithm.Sha256 => SHA256.HashSizeInBytes,
        ChapAlgorithm.Sha3Of256Bits => SHA3_256.HashSizeInBytes,
        _ => throw new ArgumentOutOfRangeException(nameof(algorithm), algorithm, "Unknown algorithm of CHAP."),
    };

    /// <summary>The name by which people know it; configuration takes the same.</summary>
    public static string NameOf(ChapAlgorithm algorithm) => algorithm switch
    {
        ChapAlgorithm.Md5 => "md5",
        ChapAlgorithm.Sha1 => "sha1",
        ChapAlgorithm.Sha256 => "sha256",
        ChapAlgorithm.Sha3Of256Bits => "sha3-256",
        _ => throw new ArgumentOutOfRangeException(nameof(algorithm), algorithm, "Unknown algorithm of CHAP."),
    };

    /// <exception cref="PlatformNotSupportedException">The platform has no such hash (see <see cref="Supported"/>).</exception>
    public static byte[] Compute(ChapAlgorithm algorithm, byte identifier, ReadOnlySpan<byte> secret, ReadOnlySpan<byte> challenge)
    {
        var message = new byte[1 + secret.Length + challenge.Length];
        message[0] = identifier;
        secret.CopyTo(message.AsSpan(1));
        challenge.CopyTo(message.AsSpan(1 + secret.Length));
        try
        {
#pragma warning disable CA5350, CA5351 // The protocol's own: MD5 is what every initiator has, and a challenge-response over a random secret does not rest on collisions.
            return algorithm switch
            {
                ChapAlgorithm.Md5 => MD5.HashData(message),
                ChapAlgorithm.Sha1 => SHA1.HashData(message),
                ChapAlgorithm.Sha256 => SHA256.HashData(message),
                ChapAlgorithm.Sha3Of256Bits => SHA3_256.HashData(message),
                _ => throw new ArgumentOutOfRangeException(nameof(algorithm), algorithm, "Unknown algorithm of CHAP."),
            };
#pragma warning restore CA5350, CA5351
        }
        finally
        {
            CryptographicOperations.ZeroMemory(message);
        }
    }
}
