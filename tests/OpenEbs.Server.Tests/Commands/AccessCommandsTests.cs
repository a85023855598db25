extern alias cli;

using cli::OpenEbs.Cli.Commands;
using cli::OpenEbs.Rest;
using OpenEbs.Access;
using Xunit;

namespace OpenEbs.Server.Tests.Commands;

/// <summary>What 'volume access' asks for, from what is given and what is there.</summary>
public sealed class AccessCommandsTests
{
    private static readonly AccessResource Rule = new()
    {
        HasRule = true, Initiators = ["iqn.2026-01.test:a"], Credentials = ["c"], Sharing = SharingMode.Shared, AdmitsNobody = false, Summary = "",
    };

    [Fact]
    public void RequestOf_Nothing_IsNoChange() => Assert.Null(AccessCommands.RequestOf(Rule, null, null, null));

    [Fact]
    public void RequestOf_OnePart_KeepsTheOthers()
    {
        var request = AccessCommands.RequestOf(Rule, "iqn.2026-01.test:b, iqn.2026-01.test:c", null, null)!;
        Assert.Equal(["iqn.2026-01.test:b", "iqn.2026-01.test:c"], request.Initiators);
        Assert.Equal(["c"], request.Credentials);
        Assert.Equal(SharingMode.Shared, request.Sharing);
        Assert.Empty(AccessCommands.RequestOf(Rule, null, "", null)!.Credentials);
        Assert.Equal(SharingMode.Exclusive, AccessCommands.RequestOf(Rule, null, null, SharingMode.Exclusive)!.Sharing);
    }

    [Theory]
    [InlineData(false, "*")]
    [InlineData(true, null)]
    public void RequestOf_SharingOfAVolumeWithoutRule_ChangesNothingElse(bool isClosed, string? initiators)
    {
        var none = new AccessResource { HasRule = false, Initiators = [], Credentials = [], Sharing = SharingMode.Shared, AdmitsNobody = isClosed, Summary = "" };
        Assert.Equal(initiators is null ? [] : [initiators], AccessCommands.RequestOf(none, null, null, SharingMode.Exclusive)!.Initiators);
        Assert.Empty(AccessCommands.RequestOf(none, null, "c", null)!.Initiators);
    }

    [Fact]
    public void RequestOf_ANewVolume_IsExclusive() => Assert.Equal(SharingMode.Exclusive, AccessCommands.RequestOf(null, "iqn.2026-01.test:a", null, null)!.Sharing);

    [Theory]
    [InlineData("credential create x")]
    [InlineData("credential create x --secret hunter2hunter2")]
    [InlineData("credential create x --secret-file a --secret-env b")]
    [InlineData("credential create x --secret-file a --target-secret-file b --target-secret-env c")]
    [InlineData("volume access v --clear --sharing shared")]
    [InlineData("volume access v --sharing both")]
    [InlineData("volume create v --size 1Gi --sharing shared")]
    public void CommandLine_ThatCannotBe_IsRefusedBeforeAnythingIsAsked(string line) => Assert.NotEmpty(ControlCommandLine.Create().Parse(line.Split(' ')).Errors);
}
