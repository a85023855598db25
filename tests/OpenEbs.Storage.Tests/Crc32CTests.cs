using System.Text;
using CsCheck;
using Xunit;

namespace OpenEbs.Storage.Tests;

public sealed class Crc32CTests
{
    // RFC 7143 §13.1 (appendix of RFC 3720 B.4) and the check value of the CRC catalogue.
    [Theory]
    [InlineData("", 0u)]
    [InlineData("123456789", 0xE3069283u)]
    public void Compute_OfKnownText_IsTheKnownValue(string text, uint expected) => Assert.Equal(expected, Crc32C.Compute(Encoding.ASCII.GetBytes(text)));

    [Fact]
    public void Compute_OfTheRfcsExamples_IsTheRfcsValue()
    {
        Assert.Equal(0x8A9136AAu, Crc32C.Compute(new byte[32]));
        Assert.Equal(0x62A8AB43u, Crc32C.Compute(Enumerable.Repeat((byte)0xFF, 32).ToArray()));
        Assert.Equal(0x46DD794Eu, Crc32C.Compute(Enumerable.Range(0, 32).Select(i => (byte)i).ToArray()));
    }

    [Fact]
    public void Append_EqualsTheBitwiseDefinition_AtEveryLengthAndAlignment()
    {
        var data = new byte[20_000];
        new Random(1).NextBytes(data);
        Gen.Select(Gen.Int[0, 9000], Gen.Int[0, 64], Gen.UInt, Gen.Int[0, 9000]).Sample(
            (length, offset, register, split) =>
            {
                var part = data.AsSpan(offset, length);
                split = Math.Min(split, length);
                var expected = Bitwise(register, part);
                return Crc32C.Append(register, part) == expected
                    && Crc32C.AppendSerially(register, part) == expected
                    && Crc32C.Append(Crc32C.Append(register, part[..split]), part[split..]) == expected;
            },
            iter: 2000);
    }

    [Fact]
    public void Append_OfLongData_EqualsTheSerialOne()
    {
        var data = new byte[(1 << 20) + 13];
        new Random(2).NextBytes(data);
        Assert.Equal(Crc32C.AppendSerially(7, data), Crc32C.Append(7, data));
        for (var length = 0; length < 8300; length++) Assert.Equal(Crc32C.AppendSerially(7, data.AsSpan(3, length)), Crc32C.Append(7, data.AsSpan(3, length)));
    }

    private static uint Bitwise(uint register, ReadOnlySpan<byte> data)
    {
        foreach (var b in data)
        {
            register ^= b;
            for (var bit = 0; bit < 8; bit++) register = (register >> 1) ^ ((register & 1) * 0x82F63B78);
        }

        return register;
    }
}
