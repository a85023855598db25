using OpenEbs.Replication.Scrubs;
using Xunit;

namespace OpenEbs.Simulation.Tests;

/// <summary>Which of several copies with right checksums is taken for the right one.</summary>
public sealed class BlockChoiceTests
{
    [Theory]
    [InlineData("a5 a5 b9", 0, "2 of 3 replicas agree")]
    [InlineData("b9 a5 a5", 1, "2 of 3 replicas agree")]
    [InlineData("a1 b9 c5", 1, "it was changed last")]
    [InlineData("a5 b9", 1, "it was changed last")]
    [InlineData("a9 b5", 0, "it was changed last")]
    [InlineData("a5 b5", 0, "the volume is read from it")]
    [InlineData("a5 a5 b7 b7", 2, "it was changed last")]
    [InlineData("a5 a5 a5 b7 c9", 0, "3 of 5 replicas agree")]
    public void Choose_GoesByMajority_ThenByTheNewest_ThenByWhatIsRead(string copies, int index, string rule) =>
        Assert.Equal((index, rule), BlockChoice.Choose([.. copies.Split(' ').Select(copy => new BlockCopy(new[] { (byte)copy[0] }, copy[1] - '0'))]));
}
