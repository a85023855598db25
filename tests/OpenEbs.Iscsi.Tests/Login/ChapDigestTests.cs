using System.Text;
using OpenEbs.Iscsi.Access;
using OpenEbs.Iscsi.Login;

namespace OpenEbs.Iscsi.Tests.Login;

/// <summary>The hash, the encodings and the judgement of CHAP. Expected digests are from Python's hashlib: H(id + secret + challenge).</summary>
public class ChapDigestTests
{
    private static readonly byte[] Challenge = [.. Enumerable.Range(0, 32).Select(i => (byte)i)];

    [Theory]
    [InlineData(ChapAlgorithm.Md5, "f14edfa33c494ca48a207ca1450c0bce", "dcc9b8718a52ebd221fded5ef7261054")]
    [InlineData(ChapAlgorithm.Sha1, "a229412760ef2452d35ca9c443df0e6a7d3aef70", "e68a244db4c9d22aa02e79fbd1deadcf0f0a28ab")]
    [InlineData(ChapAlgorithm.Sha256, "c05343f6026f241c8949243ff78f6d24e30a9fd41140f28f01488b64e86366a8", "cb662ea1b190a0f832fd02af156c2114b8ab1a1ca534b1d994b0050096ceb4a1")]
    [InlineData(ChapAlgorithm.Sha3Of256Bits, "28ba6ab7bf9c57558206b8c1b625144e1bbd4541f8ba6a75edac01906f403db6", "0f926ee1529753e43778048fda8321a2936582ca219b094387bce5c7be22c0e2")]
    public void Compute_IsTheHashOfIdentifierSecretAndChallenge(ChapAlgorithm algorithm, string text, string binary)
    {
        if (!ChapDigest.Supported.Contains(algorithm))
        {
            Assert.Throws<PlatformNotSupportedException>(() => ChapDigest.Compute(algorithm, 0x2a, "correct horse battery"u8, Challenge));
            return;
        }

        Assert.Equal(text, Convert.ToHexStringLower(ChapDigest.Compute(algorithm, 0x2a, "correct horse battery"u8, Challenge)));
        Assert.Equal(binary, Convert.ToHexStringLower(ChapDigest.Compute(algorithm, 0xff, [0, 0xff, .. "secret"u8], [0x80])));
        Assert.Equal(text.Length / 2, ChapDigest.LengthOf(algorithm));
    }

    [Fact]
    public void Supported_HasTheThreeOfEveryPlatform_StrongestFirst() =>
        Assert.Equal([ChapAlgorithm.Sha256, ChapAlgorithm.Sha1, ChapAlgorithm.Md5], ChapDigest.Supported.Where(algorithm => algorithm != ChapAlgorithm.Sha3Of256Bits));

    [Theory]
    [InlineData("0x00ff", "00ff")]
    [InlineData("0XaBcD", "abcd")]
    [InlineData("0bAP8=", "00ff")]
    [InlineData("0BAAEC", "000102")]
    public void TryDecode_BothEncodings(string text, string bytes)
    {
        Assert.True(BinaryValue.TryDecode(text, 1024, out var value));
        Assert.Equal(bytes, Convert.ToHexStringLower(value));
    }

    [Theory]
    [InlineData("")]
    [InlineData("0x")]
    [InlineData("0b")]
    [InlineData("0x123")]
    [InlineData("0x12g4")]
    [InlineData("0x+1-2")]
    [InlineData("0bAP8")]
    [InlineData("0bA P8=")]
    [InlineData("0bAP8=AAAA")]
    [InlineData("00ff")]
    [InlineData("AP8=")]
    [InlineData("0o17")]
    public void TryDecode_Malformed_IsRefused(string text) => Assert.False(BinaryValue.TryDecode(text, 1024, out _));

    [Theory]
    [InlineData(1024, true)]
    [InlineData(1025, false)]
    [InlineData(60000, false)]
    public void TryDecode_Oversize_IsRefused(int length, bool fits)
    {
        var bytes = new byte[length];
        Assert.Equal(fits, BinaryValue.TryDecode(BinaryValue.Encode(bytes), 1024, out _));
        Assert.Equal(fits, BinaryValue.TryDecode("0b" + Convert.ToBase64String(bytes), 1024, out _));
    }

    [Fact]
    public void Judge_FindsTheCredentialAndAnswersInReturn()
    {
        ChapCredential[] credentials = [Credential("a", "one", "secret-of-one", ""), Credential("b", "two", "secret-of-two", "proof-of-two"), Credential("c", "two", "later-secret!", "")];
        Assert.Equal("a", ChapCredential.Judge(credentials, Proof("one", "secret-of-one")).Credential);
        var mutual = ChapCredential.Judge(credentials, Proof("two", "secret-of-two", counter: true));
        Assert.Equal(("b", "target-b"), (mutual.Credential, mutual.TargetUserName));
        Assert.Equal(ChapDigest.Compute(ChapAlgorithm.Sha256, 9, "proof-of-two"u8, [1, 2, 3]), mutual.TargetResponse.ToArray());

        // Two credentials of one user name: a rotation in progress.
        Assert.Equal("c", ChapCredential.Judge(credentials, Proof("two", "later-secret!")).Credential);
    }

    [Theory]
    [InlineData("one", "secret-of-two", false, "secret is wrong")]
    [InlineData("three", "secret-of-one", false, "no credential")]
    [InlineData("", "secret-of-one", false, "no credential")]
    [InlineData("one", "secret-of-one", true, "no target secret")]
    [InlineData("same", "same-on-both-sides", true, "are the same")]
    public void Judge_Refuses(string user, string secret, bool counter, string reason)
    {
        ChapCredential[] credentials = [Credential("a", "one", "secret-of-one", ""), Credential("b", "two", "secret-of-two", "proof-of-two"), Credential("d", "same", "same-on-both-sides", "same-on-both-sides")];
        var verdict = ChapCredential.Judge(credentials, Proof(user, secret, counter));
        Assert.False(verdict.IsAuthentic);
        Assert.True(verdict.TargetResponse.IsEmpty);
        Assert.Contains(reason, verdict.Reason, StringComparison.Ordinal);
        Assert.DoesNotContain("secret-of", verdict.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Judge_WithoutCredentials_Refuses() => Assert.False(ChapCredential.Judge([], Proof("one", "")).IsAuthentic);

    [Fact]
    public void Credential_NeverShowsASecret() => Assert.Equal("credential a", Credential("a", "one", "secret-of-one", "target-secret").ToString());

    private static ChapCredential Credential(string name, string user, string secret, string targetSecret) =>
        new(name, user, Encoding.UTF8.GetBytes(secret), $"target-{name}", Encoding.UTF8.GetBytes(targetSecret));

    private static ChapProof Proof(string user, string secret, bool counter = false) => new()
    {
        Algorithm = ChapAlgorithm.Sha256,
        Identifier = 3,
        Challenge = Challenge,
        UserName = user,
        Response = ChapDigest.Compute(ChapAlgorithm.Sha256, 3, Encoding.UTF8.GetBytes(secret), Challenge),
        CounterChallenge = counter ? [1, 2, 3] : null,
        CounterIdentifier = 9,
    };
}
