using CsCheck;
using OpenEbs.Units;
using Xunit;

namespace OpenEbs.Server.Tests.Units;

public class ByteSizeTests
{
    private static readonly string[] UnitNames = ["", "Ki", "Mi", "Gi", "Ti"];

    [Theory]
    [InlineData("1Gi", 1L << 30)]
    [InlineData("512Mi", 512L << 20)]
    [InlineData("1.5Ti", 3L << 39)]
    [InlineData("1073741824", 1L << 30)]
    [InlineData("1GiB", 1L << 30)]
    [InlineData("1gi", 1L << 30)]
    [InlineData(" 4 Ki ", 4096)]
    [InlineData("0", 0)]
    [InlineData("7B", 7)]
    public void TryParse_OfASize_IsItsBytes(string text, long expected)
    {
        Assert.True(ByteSize.TryParse(text, out var bytes, out _));
        Assert.Equal(expected, bytes);
    }

    [Theory]
    [InlineData("", "write it like 1Gi")]
    [InlineData(null, "write it like 1Gi")]
    [InlineData("big", "'big' is not a size")]
    [InlineData("-1Gi", "'-1Gi' is not a size")]
    [InlineData("1GB", "write 1Gi")]
    [InlineData("10m", "write 10Mi")]
    [InlineData("1Xi", "unknown unit 'Xi'")]
    [InlineData("0.3", "not a whole number of bytes")]
    [InlineData("8192Pi", "more than")]
    [InlineData("1.2.3Gi", "not a size")]
    public void TryParse_OfSomethingElse_SaysWhatToWrite(string? text, string expected)
    {
        Assert.False(ByteSize.TryParse(text, out _, out var problem));
        Assert.Contains(expected, problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, "0 B")]
    [InlineData(512, "512 B")]
    [InlineData(1L << 30, "1 GiB")]
    [InlineData(3L << 39, "1.5 TiB")]
    [InlineData(1_234_567_890, "1.15 GiB")]
    public void Format_OfBytes_IsInBinaryUnits(long bytes, string expected) => Assert.Equal(expected, ByteSize.Format(bytes));

    [Fact]
    public void TryParse_OfAnyText_NeverThrows() => Gen.String.Sample(text => ByteSize.TryParse(text, out _, out var problem) == problem is null);

    [Fact]
    public void TryParse_OfWholeUnits_IsExact() => Gen.Select(Gen.Long[0, 1 << 20], Gen.Int[0, 4]).Sample((number, power) =>
        ByteSize.TryParse($"{number}{UnitNames[power]}", out var bytes, out _) && bytes == number << 10 * power);
}
