using OpenEbs.Server.Commands;
using Xunit;

namespace OpenEbs.Server.Tests.Commands;

/// <summary>What <c>openebs</c> says of its options.</summary>
public class OpenEbsCommandLineTests
{
    [Theory]
    [InlineData("--nodes is 'many'; give a whole number", "dev", "--nodes", "many")]
    [InlineData("--nodes is 33; give 1 to 32", "dev", "--nodes", "33")]
    [InlineData("--pools is '2.5'; give a whole number", "dev", "--pools", "2.5")]
    [InlineData("--iscsi-port is '99999999999'; give a whole number", "dev", "--iscsi-port", "99999999999")]
    [InlineData("--http-port is 0; give 1 to 65535", "dev", "--http-port", "0")]
    [InlineData("--block-size is 1024; give 512 or 4096", "dev", "--block-size", "1024")]
    [InlineData("is not a duration", "dev", "--restart-delay", "soon")]
    public void Parse_OfAMistake_SaysWhatToWrite_AndNothingElse(string expected, params string[] arguments)
    {
        var error = Assert.Single(OpenEbsCommandLine.Create().Parse(arguments).Errors);

        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Parse_OfNumbers_TakesThem()
    {
        Assert.Empty(OpenEbsCommandLine.Create().Parse(["dev", "--nodes", "3", "--pools", "2", "--iscsi-port", "3261", "--block-size", "4096"]).Errors);
    }
}
