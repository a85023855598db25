using OpenEbs.Access;
using Xunit;

namespace OpenEbs.Grains.Tests.Access;

public sealed class AccessRuleTests
{
    [Theory]
    [InlineData("iqn.2004-10.com.example:a", "iqn.2004-10.com.example:a", true)]
    [InlineData("iqn.2004-10.com.example:a", "iqn.2004-10.com.example:ab", false)]
    [InlineData("iqn.2004-10.com.example:*", "iqn.2004-10.com.example:ab", true)]
    [InlineData("iqn.2004-10.com.example:*", "iqn.2004-10.com.example.evil:ab", false)]
    [InlineData("*", "eui.02004567a425678d", true)]
    [InlineData("eui.02004567a425678d", "eui.02004567a425678d", true)]
    public void Admits_ByName(string pattern, string name, bool admits)
    {
        var rule = new AccessRule { Initiators = [pattern] };
        Assert.Empty(rule.Problems());
        Assert.Equal(admits, rule.Admits(name, ""));
    }

    [Fact]
    public void Admits_OnlyWhoSatisfiesBothLists()
    {
        var both = new AccessRule { Initiators = ["iqn.2004-10.com.example:a"], Credentials = ["c", "d"] };
        Assert.True(both.Admits("iqn.2004-10.com.example:a", "d"));
        Assert.False(both.Admits("iqn.2004-10.com.example:a", ""));
        Assert.False(both.Admits("iqn.2004-10.com.example:a", "e"));
        Assert.False(both.Admits("iqn.2004-10.com.example:b", "c"));
        Assert.True(new AccessRule { Credentials = ["c"] }.Admits("iqn.2004-10.com.example:b", "c"));
        Assert.False(new AccessRule { Credentials = ["c"] }.Admits("iqn.2004-10.com.example:b", ""));
        Assert.False(new AccessRule().Admits("iqn.2004-10.com.example:b", ""));
        Assert.True(new AccessRule().AdmitsNobody);
    }

    [Theory]
    [InlineData("")]
    [InlineData("host1")]
    [InlineData("iqn.")]
    [InlineData("iqn.2004-10.com.example*")]
    [InlineData("iqn.*")]
    [InlineData("iqn.2004-10.com.*:a")]
    [InlineData("iqn.2004-10.com.example:a b")]
    [InlineData("iqn.2004-10.com.example:a_b")]
    public void Problems_OfWhatIsNoName(string name) => Assert.Contains($"'{name}' is no initiator name", Assert.Single(new AccessRule { Initiators = [name] }.Problems()), StringComparison.Ordinal);

    [Fact]
    public void Problems_OfTooMany_AreNamed()
    {
        var rule = new AccessRule { Initiators = [.. Enumerable.Range(0, 257).Select(i => $"iqn.2004-10.com.example:{i}")], Credentials = [.. Enumerable.Range(0, 17).Select(i => $"c{i}")], Sharing = (SharingMode)7 };
        Assert.Equal(3, rule.Problems().Count());
    }

    [Fact]
    public void Normalize_MakesOneSpelling()
    {
        var rule = new AccessRule { Initiators = ["IQN.2004-10.com.Example:B", "iqn.2004-10.com.example:a", "iqn.2004-10.com.example:b"], Credentials = ["d", "c"] }.Normalize();
        Assert.Equal(new AccessRule { Initiators = ["iqn.2004-10.com.example:a", "iqn.2004-10.com.example:b"], Credentials = ["c", "d"] }, rule);
    }

    [Fact]
    public void Credential_ThatIsWeak_SaysWhy_WithoutTheSecret()
    {
        var spec = new CredentialSpec { UserName = "a b", Secret = new SecretText("hunter2"), TargetSecret = new SecretText("hunter2") };
        var problems = string.Join("; ", spec.Problems("Bad Name"));
        foreach (var part in new[] { "'Bad Name'", "user name has characters", "secret has 7 characters", "target secret has 7 characters", "are the same" }) Assert.Contains(part, problems, StringComparison.Ordinal);
        Assert.DoesNotContain("hunter2", problems + spec, StringComparison.Ordinal);
        Assert.Contains("printable ASCII", string.Join("; ", new CredentialSpec { Secret = new SecretText("zwölf zeichen!") }.Problems("good")), StringComparison.Ordinal);
        Assert.Empty(new CredentialSpec { Secret = new SecretText("twelve chars"), TargetSecret = new SecretText("other twelve") }.Problems("good"));
    }

    [Fact]
    public void SecretText_ShowsItselfToNobody()
    {
        var secret = new SecretText("correct horse battery");
        Assert.Equal("(secret)", $"{secret}");
        Assert.DoesNotContain("horse", System.Text.Json.JsonSerializer.Serialize(secret), StringComparison.Ordinal);
        Assert.Equal(secret, Messages.Wire.Read<SecretText>(Messages.Wire.Write(secret)));
    }
}
