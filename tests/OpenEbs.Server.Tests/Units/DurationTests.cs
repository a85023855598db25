using OpenEbs.Units;
using Xunit;

namespace OpenEbs.Server.Tests.Units;

public class DurationTests
{
    [Theory]
    [InlineData("60s", 60_000)]
    [InlineData("500ms", 500)]
    [InlineData("5m", 300_000)]
    [InlineData("1.5h", 5_400_000)]
    [InlineData("2", 2_000)]
    public void TryParse_OfADuration_IsIt(string text, int milliseconds)
    {
        Assert.True(Duration.TryParse(text, out var duration));
        Assert.Equal(TimeSpan.FromMilliseconds(milliseconds), duration);
    }

    [Theory]
    [InlineData("")]
    [InlineData("soon")]
    [InlineData("5 parsecs")]
    [InlineData("-1s")]
    [InlineData("99999999999d")]
    public void TryParse_OfSomethingElse_IsRefused(string text) => Assert.False(Duration.TryParse(text, out _));

    [Theory]
    [InlineData(60_000, "1m")]
    [InlineData(61_000, "61s")]
    [InlineData(1_500, "1500ms")]
    [InlineData(7_200_000, "2h")]
    [InlineData(0, "0s")]
    public void Format_OfADuration_IsTheShortestExactSpelling(int milliseconds, string expected) => Assert.Equal(expected, Duration.Format(TimeSpan.FromMilliseconds(milliseconds)));
}
