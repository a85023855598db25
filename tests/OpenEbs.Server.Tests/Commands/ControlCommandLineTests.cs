extern alias cli;

using cli::OpenEbs.Cli.Commands;
using Xunit;

namespace OpenEbs.Server.Tests.Commands;

public sealed class ControlCommandLineTests
{
    [Theory]
    [InlineData("write 1Gi", "volume", "create", "x", "--size", "1GB")]
    [InlineData("'--size' is required", "volume", "create", "x")]
    [InlineData("neither on nor off", "volume", "create", "x", "--size", "1Gi", "--write-cache", "maybe")]
    [InlineData("is not a duration", "volume", "create", "x", "--size", "1Gi", "--io-timeout", "long")]
    [InlineData("table, json or yaml", "volume", "list", "-o", "xml")]
    [InlineData("is not a server", "volume", "list", "--server", "ftp://x")]
    [InlineData("'volum'", "volum", "list")]
    [InlineData("--replicas is 'three'; give a whole number", "volume", "create", "x", "--size", "1Gi", "--replicas", "three")]
    [InlineData("--min-in-sync is '1.5'; give a whole number", "volume", "create", "x", "--size", "1Gi", "--min-in-sync", "1.5")]
    public void Parse_OfAMistake_SaysWhatToWrite(string expected, params string[] arguments)
    {
        var errors = ControlCommandLine.Create().Parse(arguments).Errors;

        Assert.Contains(errors, error => error.Message.Contains(expected, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("volume", "create", "x", "--size", "1.5Ti", "--replicas", "2", "--write-cache", "off", "--min-in-sync", "2", "--io-timeout", "30s", "-o", "json")]
    [InlineData("--server", "host:8080", "volume", "list")]
    [InlineData("volume", "delete", "x", "--yes")]
    public void Parse_OfACommand_HasNoErrors(params string[] arguments) => Assert.Empty(ControlCommandLine.Create().Parse(arguments).Errors);
}
