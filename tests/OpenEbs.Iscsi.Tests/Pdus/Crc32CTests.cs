using System.Text;
using CsCheck;
using OpenEbs.Iscsi.Pdus;

namespace OpenEbs.Iscsi.Tests.Pdus;

public class Crc32CTests
{
    /// <summary>The examples of RFC 7143 §13.1 and RFC 3720 B.4.</summary>
    [Fact]
    public void Compute_KnownInputs_GivesPublishedDigests()
    {
        Assert.Equal(0x8a9136aau, Crc32C.Compute(new byte[32]));
        Assert.Equal(0x62a8ab43u, Crc32C.Compute(Enumerable.Repeat((byte)0xff, 32).ToArray()));
        Assert.Equal(0x46dd794eu, Crc32C.Compute(Enumerable.Range(0, 32).Select(i => (byte)i).ToArray()));
        Assert.Equal(0xe3069283u, Crc32C.Compute(Encoding.ASCII.GetBytes("123456789")));
    }

    [Fact]
    public void Append_AnySplit_EqualsBitwiseDefinition() =>
        Gen.Byte.Array[0, 30000].Select(Gen.Int[0, 30000]).Sample((data, split) =>
        {
            var at = Math.Min(split, data.Length);
            var register = Crc32C.Append(Crc32C.Append(uint.MaxValue, data.AsSpan(0, at)), data.AsSpan(at));
            return ~register == Bitwise(data) && Crc32C.Compute(data) == ~register;
        }, iter: 200);

    private static uint Bitwise(byte[] data)
    {
        var register = uint.MaxValue;
        foreach (var b in data)
        {
            register ^= b;
            for (var i = 0; i < 8; i++) register = (register >> 1) ^ ((register & 1) != 0 ? 0x82f63b78 : 0);
        }

        return ~register;
    }
}
