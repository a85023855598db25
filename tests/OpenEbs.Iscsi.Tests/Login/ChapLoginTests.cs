using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Logging;
using OpenEbs.Iscsi.Access;
using OpenEbs.Iscsi.Login;
using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Tests.Initiators;

namespace OpenEbs.Iscsi.Tests.Login;

/// <summary>CHAP at PDU level (RFC 7143 §12.1). The initiator computes its hashes with the primitives of .NET, not with ours.</summary>
public class ChapLoginTests
{
    private const string User = "alice";
    private const string Secret = "secret-of-alice";
    private const string TargetSecret = "secret-of-target";

    [Theory]
    [InlineData(5)]
    [InlineData(6)]
    [InlineData(7)]
    [InlineData(8)]
    public async Task OneWay_EachAlgorithm(int algorithm)
    {
        await using var portal = await StartAsync();
        await using var initiator = await TestInitiator.ConnectAsync(portal.EndPoint);
        if (!ChapDigest.Supported.Contains((ChapAlgorithm)algorithm))
        {
            // The platform has no SHA3-256, so it is not taken.
            await initiator.LoginRequestAsync(0x00, $"{Names(portal)} AuthMethod=CHAP");
            Assert.Equal((ushort)LoginStatus.AuthenticationFailure, (await initiator.LoginRequestAsync(0x00, $"CHAP_A={algorithm}")).Header.Get16(36));
            return;
        }

        var challenge = await ChallengeAsync(initiator, portal, $"{algorithm}");
        Assert.Equal($"{algorithm}", challenge["CHAP_A"]);
        var last = await initiator.LoginRequestAsync(0x81, $"CHAP_N={User} CHAP_R={Response(challenge, Secret)}");
        Assert.Equal((0, true), (last.Header.Get16(36), last.HasFlag(0x80)));
        Assert.Empty(last.Data);
        await EnterAsync(initiator);
        Assert.Equal("alices", Assert.Single(portal.Portal.Sessions).Credential);
    }

    [Fact]
    public async Task Mutual_TheTargetProvesItself()
    {
        await using var portal = await StartAsync();
        await using var initiator = await TestInitiator.ConnectAsync(portal.EndPoint);
        var challenge = await ChallengeAsync(initiator, portal, "7,5");
        Assert.Equal("7", challenge["CHAP_A"]);
        var last = await initiator.LoginRequestAsync(0x81, $"CHAP_N={User} CHAP_R={Response(challenge, Secret)} CHAP_I=77 CHAP_C=0bAQIDBAUGBwgJCgsMDQ4PEA==");
        Assert.Equal(0, last.Header.Get16(36));
        var proof = TestInitiator.ParseText(last.Data);
        Assert.Equal("openebs", proof["CHAP_N"]);
        byte[] message = [77, .. Encoding.UTF8.GetBytes(TargetSecret), .. Enumerable.Range(1, 16).Select(i => (byte)i)];
        Assert.Equal("0x" + Convert.ToHexStringLower(SHA256.HashData(message)), proof["CHAP_R"]);
        await EnterAsync(initiator);
    }

    [Fact]
    public async Task Base64Response_IsAsGood()
    {
        await using var portal = await StartAsync();
        await using var initiator = await TestInitiator.ConnectAsync(portal.EndPoint);
        var challenge = await ChallengeAsync(initiator, portal, "5");
        var response = "0b" + Convert.ToBase64String(Convert.FromHexString(Response(challenge, Secret)[2..]));
        Assert.Equal(0, (await initiator.LoginRequestAsync(0x81, $"CHAP_N={User} CHAP_R={response}")).Header.Get16(36));
        await EnterAsync(initiator);
    }

    [Fact]
    public async Task ProofWithoutTransit_ThenTransit()
    {
        await using var portal = await StartAsync();
        await using var initiator = await TestInitiator.ConnectAsync(portal.EndPoint);
        var challenge = await ChallengeAsync(initiator, portal, "5");
        var last = await initiator.LoginRequestAsync(0x00, $"CHAP_N={User} CHAP_R={Response(challenge, Secret)}");
        Assert.Equal((0, false), (last.Header.Get16(36), last.HasFlag(0x80)));
        var straight = await initiator.LoginRequestAsync(0x83, "");
        Assert.Equal((0, 0x83), (straight.Header.Get16(36), straight.Header.Flags));
        initiator.Tsih = straight.Header.Get16(14);
        await initiator.PingAsync();
    }

    [Fact]
    public async Task Challenges_AreLongAndNeverTheSame()
    {
        await using var portal = await StartAsync();
        var seen = new HashSet<string>();
        for (var i = 0; i < 20; i++)
        {
            await using var initiator = await TestInitiator.ConnectAsync(portal.EndPoint);
            var challenge = (await ChallengeAsync(initiator, portal, "5"))["CHAP_C"];
            Assert.Equal(2 + 64, challenge.Length);
            Assert.True(seen.Add(challenge));
        }
    }

    [Theory]
    [InlineData(0x87, "", LoginStatus.AuthenticationFailure, "skips the stage")]
    [InlineData(0x81, "", LoginStatus.AuthenticationFailure, "offers nothing and goes on")]
    [InlineData(0x83, "AuthMethod=None", LoginStatus.AuthenticationFailure, "offers None")]
    [InlineData(0x00, "AuthMethod=KRB5,SRP", LoginStatus.AuthenticationFailure, "offers other methods")]
    [InlineData(0x00, "CHAP_A=5", LoginStatus.InitiatorError, "CHAP_A before CHAP is chosen")]
    [InlineData(0x00, "AuthMethod=CHAP CHAP_A=5", LoginStatus.InitiatorError, "CHAP_A together with AuthMethod")]
    public async Task Demanded_AndNotBegun_IsRefused(int flags, string keys, object status, string why)
    {
        await using var portal = await StartAsync();
        await using var initiator = await TestInitiator.ConnectAsync(portal.EndPoint);
        var response = await initiator.LoginRequestAsync((byte)flags, $"{Names(portal)} {keys}");
        Assert.True((ushort)(LoginStatus)status == response.Header.Get16(36), why);
        Assert.Empty(response.Data);
        await initiator.ExpectCloseAsync();
        Assert.Empty(portal.Portal.Sessions);
    }

    [Theory]
    [InlineData("CHAP_A=99", LoginStatus.AuthenticationFailure)]
    [InlineData("CHAP_A=", LoginStatus.AuthenticationFailure)]
    [InlineData("CHAP_A=5x,five", LoginStatus.AuthenticationFailure)]
    [InlineData("CHAP_A=261", LoginStatus.AuthenticationFailure)]
    [InlineData("CHAP_N=alice", LoginStatus.InitiatorError)]
    [InlineData("CHAP_A=5 CHAP_N=alice CHAP_R=0x00", LoginStatus.InitiatorError)]
    [InlineData("", LoginStatus.MissingParameter)]
    public async Task WrongAlgorithmStep_IsRefused(string keys, object status)
    {
        await using var portal = await StartAsync();
        await using var initiator = await TestInitiator.ConnectAsync(portal.EndPoint);
        Assert.Equal(0, (await initiator.LoginRequestAsync(0x00, $"{Names(portal)} AuthMethod=CHAP,None")).Header.Get16(36));
        Assert.Equal((ushort)(LoginStatus)status, (await initiator.LoginRequestAsync(0x00, keys)).Header.Get16(36));
        await initiator.ExpectCloseAsync();
    }

    [Theory]
    [InlineData("CHAP_N=alice CHAP_R=0x00112233445566778899aabbccddeeff", LoginStatus.AuthenticationFailure)]
    [InlineData("CHAP_N=alice CHAP_R={Wrong}", LoginStatus.AuthenticationFailure)]
    [InlineData("CHAP_N=bob CHAP_R={Right}", LoginStatus.AuthenticationFailure)]
    [InlineData("CHAP_N=alice CHAP_R={Right}00", LoginStatus.AuthenticationFailure)]
    [InlineData("CHAP_N=alice CHAP_R={Right} CHAP_I=1 CHAP_C={Challenge}", LoginStatus.AuthenticationFailure)]
    [InlineData("CHAP_N=oneway CHAP_R={OneWay} CHAP_I=1 CHAP_C=0x00112233445566778899aabbccddeeff", LoginStatus.AuthenticationFailure)]
    [InlineData("CHAP_N=alice CHAP_R={Right} CHAP_I=1", LoginStatus.MissingParameter)]
    [InlineData("CHAP_N=alice CHAP_R={Right} CHAP_C=0x0011", LoginStatus.MissingParameter)]
    [InlineData("CHAP_N=alice", LoginStatus.MissingParameter)]
    [InlineData("CHAP_R={Right}", LoginStatus.MissingParameter)]
    [InlineData("CHAP_N=alice CHAP_R={Right} CHAP_I=256 CHAP_C=0x0011", LoginStatus.InitiatorError)]
    [InlineData("CHAP_N=alice CHAP_R={Right} CHAP_A=5", LoginStatus.InitiatorError)]
    [InlineData("CHAP_N=alice CHAP_R=zero", LoginStatus.InitiatorError)]
    [InlineData("CHAP_N=alice CHAP_R={Long}", LoginStatus.InitiatorError)]
    [InlineData("CHAP_N=alice CHAP_R={Right} CHAP_I=1 CHAP_C={Long}", LoginStatus.InitiatorError)]
    [InlineData("CHAP_N={Long} CHAP_R={Right}", LoginStatus.InitiatorError)]
    [InlineData("CHAP_N= CHAP_R={Right}", LoginStatus.InitiatorError)]
    public async Task WrongProof_IsRefused(string keys, object status)
    {
        await using var portal = await StartAsync();
        await using var initiator = await TestInitiator.ConnectAsync(portal.EndPoint);
        var challenge = await ChallengeAsync(initiator, portal, "5");
        keys = keys.Replace("{Right}", Response(challenge, Secret), StringComparison.Ordinal).Replace("{Wrong}", Response(challenge, Secret + "x"), StringComparison.Ordinal)
            .Replace("{OneWay}", Response(challenge, "secret-of-oneway"), StringComparison.Ordinal)
            .Replace("{Challenge}", challenge["CHAP_C"], StringComparison.Ordinal).Replace("{Long}", "0x" + new string('a', 2050), StringComparison.Ordinal);
        var response = await initiator.LoginRequestAsync(0x81, keys);
        Assert.Equal((ushort)(LoginStatus)status, response.Header.Get16(36));
        Assert.Empty(response.Data);
        await initiator.ExpectCloseAsync();
        Assert.Equal(0, portal.Catalog.Attached);
    }

    [Fact]
    public async Task SecretOfAnotherSession_ReplayedResponse_IsRefused()
    {
        await using var portal = await StartAsync();
        await using var first = await TestInitiator.ConnectAsync(portal.EndPoint);
        var response = Response(await ChallengeAsync(first, portal, "5"), Secret);
        await using var second = await TestInitiator.ConnectAsync(portal.EndPoint);
        await ChallengeAsync(second, portal, "5");
        Assert.Equal((ushort)LoginStatus.AuthenticationFailure, (await second.LoginRequestAsync(0x81, $"CHAP_N={User} CHAP_R={response}")).Header.Get16(36));
    }

    [Fact]
    public async Task Discovery_MayDemandProofToo()
    {
        await using var portal = await StartAsync();
        await using var initiator = await TestInitiator.ConnectAsync(portal.EndPoint);
        const string Discovery = "InitiatorName=iqn.2026-01.org.example:test SessionType=Discovery";
        Assert.Equal((ushort)LoginStatus.AuthenticationFailure, (await initiator.LoginRequestAsync(0x87, Discovery)).Header.Get16(36));
        await using var again = await TestInitiator.ConnectAsync(portal.EndPoint);
        await again.LoginRequestAsync(0x00, $"{Discovery} AuthMethod=CHAP");
        var challenge = TestInitiator.ParseText((await again.LoginRequestAsync(0x00, "CHAP_A=5")).Data);
        var last = await again.LoginRequestAsync(0x83, $"CHAP_N={User} CHAP_R={Response(challenge, Secret)}");
        Assert.Equal((0, 0x83), (last.Header.Get16(36), last.Header.Flags));
    }

    [Theory]
    [InlineData(LoginDemand.Forbidden, LoginStatus.AuthorizationFailure)]
    [InlineData(LoginDemand.UnknownTarget, LoginStatus.NotFound)]
    [InlineData(LoginDemand.Busy, LoginStatus.ServiceUnavailable)]
    public async Task Refused_BeforeAnythingIsProved(object demand, object status)
    {
        await using var portal = await StartAsync();
        portal.Catalog.Decide = _ => new LoginDecision((LoginDemand)demand, "the test says so");
        await using var initiator = await TestInitiator.ConnectAsync(portal.EndPoint);
        Assert.Equal((ushort)(LoginStatus)status, (await initiator.LoginRequestAsync(0x81, $"{Names(portal)} AuthMethod=CHAP")).Header.Get16(36));
        await initiator.ExpectCloseAsync();
    }

    [Fact]
    public async Task ProofThatCannotBeJudgedNow_IsServiceUnavailable()
    {
        await using var portal = await StartAsync();
        portal.Catalog.CannotJudge = true;
        await using var initiator = await TestInitiator.ConnectAsync(portal.EndPoint);
        var challenge = await ChallengeAsync(initiator, portal, "5");
        Assert.Equal((ushort)LoginStatus.ServiceUnavailable, (await initiator.LoginRequestAsync(0x81, $"CHAP_N={User} CHAP_R={Response(challenge, Secret)}")).Header.Get16(36));
        await initiator.ExpectCloseAsync();
    }

    /// <summary>A session belongs to the credential that began it: another one, good for the same target, cannot take its connection over.</summary>
    [Fact]
    public async Task Reinstatement_WithAnotherCredential_IsRefused_AndTheSessionGoesOn()
    {
        await using var portal = await StartAsync();
        await using var first = await TestInitiator.ConnectAsync(portal.EndPoint);
        var challenge = await ChallengeAsync(first, portal, "5");
        await first.LoginRequestAsync(0x81, $"CHAP_N={User} CHAP_R={Response(challenge, Secret)}");
        await EnterAsync(first);
        await using var thief = await TestInitiator.ConnectAsync(portal.EndPoint);
        thief.Tsih = first.Tsih;
        challenge = await ChallengeAsync(thief, portal, "5");
        Assert.Equal(0, (await thief.LoginRequestAsync(0x81, $"CHAP_N=oneway CHAP_R={Response(challenge, "secret-of-oneway")}")).Header.Get16(36));
        Assert.Equal((ushort)LoginStatus.AuthorizationFailure, (await thief.LoginRequestAsync(0x87, "")).Header.Get16(36));
        await first.PingAsync();
        await using var again = await TestInitiator.ConnectAsync(portal.EndPoint);
        again.Tsih = first.Tsih;
        challenge = await ChallengeAsync(again, portal, "5");
        await again.LoginRequestAsync(0x81, $"CHAP_N={User} CHAP_R={Response(challenge, Secret)}");
        await EnterAsync(again);
        await first.ExpectCloseAsync();
    }

    [Fact]
    public async Task RefusalsOfStrangers_DoNotFillTheLog()
    {
        var log = new LinesLogger();
        await using (var portal = await StartAsync(log))
        {
            for (var i = 0; i < 300; i++)
            {
                await using var initiator = await TestInitiator.ConnectAsync(portal.EndPoint);
                Assert.Equal((ushort)LoginStatus.AuthenticationFailure, (await initiator.LoginRequestAsync(0x87, Names(portal))).Header.Get16(36));
            }

            await Task.Delay(200);
            await using var last = await TestInitiator.ConnectAsync(portal.EndPoint);
            await last.LoginRequestAsync(0x87, Names(portal));
        }

        Assert.InRange(log.Lines.Count(line => line.Contains("was refused", StringComparison.Ordinal)), 100, 250);
        Assert.Contains(log.Lines, line => line.Contains("refused logins were not logged", StringComparison.Ordinal));
    }

    [Fact]
    public async Task WhoeverIsNotAdmittedInTheEnd_LeavesNothingBehind()
    {
        await using var portal = await TestPortal.StartAsync();
        portal.Catalog.Admit = (_, _) => new LoginDecision(LoginDemand.Busy, "another has it");
        await using (var initiator = await TestInitiator.ConnectAsync(portal.EndPoint))
        {
            Assert.Equal((ushort)LoginStatus.ServiceUnavailable, (await initiator.LoginRequestAsync(0x87, Names(portal))).Header.Get16(36));
            await initiator.ExpectCloseAsync();
        }

        portal.Catalog.Admit = (_, _) => LoginDecision.Open;
        await using var again = await TestInitiator.LogInAsync(portal);
    }

    [Fact]
    public async Task SendTargets_ShowsOnlyWhatMayBeReached()
    {
        await using var portal = await TestPortal.StartAsync();
        portal.Catalog.Decide = login => login.TargetName.Length == 0 || login.InitiatorName == TestInitiator.DefaultName ? LoginDecision.Open : new LoginDecision(LoginDemand.Forbidden);
        Assert.Contains("TargetName", (await DiscoverAsync(portal, TestInitiator.DefaultName, "All")).Keys);
        Assert.Contains("TargetName", (await DiscoverAsync(portal, TestInitiator.DefaultName, portal.TargetName)).Keys);
        Assert.Empty(await DiscoverAsync(portal, "iqn.2026-01.org.example:stranger", "All"));
        Assert.Empty(await DiscoverAsync(portal, "iqn.2026-01.org.example:stranger", portal.TargetName));
    }

    /// <summary>Whatever is logged, at any level, of good and bad logins: no secret, no response, and not the user name that a stranger sent (it may be a secret in the wrong field).</summary>
    [Fact]
    public async Task Log_NamesTheCauseAndNoSecret()
    {
        var log = new LinesLogger();
        await using (var portal = await StartAsync(log))
        {
            foreach (var (user, secret) in new[] { (User, Secret), (User, "wrong-secret"), (Secret, User) })
            {
                await using var initiator = await TestInitiator.ConnectAsync(portal.EndPoint);
                var challenge = await ChallengeAsync(initiator, portal, "5");
                await initiator.LoginRequestAsync(0x81, $"CHAP_N={user} CHAP_R={Response(challenge, secret)}");
            }
        }

        var text = string.Join('\n', log.Lines);
        Assert.Contains("the secret is wrong", text, StringComparison.Ordinal);
        Assert.Contains("the user name is that of no credential", text, StringComparison.Ordinal);
        Assert.DoesNotContain("secret-of", text, StringComparison.Ordinal);
    }

    private static async Task<TestPortal> StartAsync(ILogger? logger = null)
    {
        var portal = await TestPortal.StartAsync(logger: logger);
        portal.Catalog.Credentials.Add(new ChapCredential("alices", User, Encoding.UTF8.GetBytes(Secret), "openebs", Encoding.UTF8.GetBytes(TargetSecret)));
        portal.Catalog.Credentials.Add(new ChapCredential("one-way", "oneway", "secret-of-oneway"u8.ToArray(), "", []));
        portal.Catalog.Decide = _ => new LoginDecision(LoginDemand.Chap);
        return portal;
    }

    private static string Names(TestPortal portal) => $"InitiatorName={TestInitiator.DefaultName} TargetName={portal.TargetName} SessionType=Normal";

    private static async Task<Dictionary<string, string>> ChallengeAsync(TestInitiator initiator, TestPortal portal, string algorithms)
    {
        // T is set and not granted: there is more to settle in this stage.
        var method = await initiator.LoginRequestAsync(0x81, $"{Names(portal)} AuthMethod=None,CHAP");
        Assert.Equal((0, false), (method.Header.Get16(36), method.HasFlag(0x80)));
        Assert.Equal("CHAP", TestInitiator.ParseText(method.Data)["AuthMethod"]);
        var challenge = await initiator.LoginRequestAsync(0x81, $"CHAP_A={algorithms}");
        Assert.Equal((0, false), (challenge.Header.Get16(36), challenge.HasFlag(0x80)));
        return TestInitiator.ParseText(challenge.Data);
    }

    private static string Response(Dictionary<string, string> challenge, string secret)
    {
        byte[] message = [byte.Parse(challenge["CHAP_I"], System.Globalization.CultureInfo.InvariantCulture), .. Encoding.UTF8.GetBytes(secret), .. Convert.FromHexString(challenge["CHAP_C"][2..])];
#pragma warning disable CA5350, CA5351 // What the protocol has.
        var digest = challenge["CHAP_A"] switch { "5" => MD5.HashData(message), "6" => SHA1.HashData(message), "7" => SHA256.HashData(message), _ => SHA3_256.HashData(message) };
#pragma warning restore CA5350, CA5351
        return "0x" + Convert.ToHexStringLower(digest);
    }

    private static async Task EnterAsync(TestInitiator initiator)
    {
        var last = await initiator.LoginRequestAsync(0x87, "");
        Assert.Equal((0, 0x87), (last.Header.Get16(36), last.Header.Flags));
        initiator.Tsih = last.Header.Get16(14);
        await initiator.PingAsync();
    }

    private static async Task<Dictionary<string, string>> DiscoverAsync(TestPortal portal, string name, string what)
    {
        await using var initiator = await TestInitiator.ConnectAsync(portal.EndPoint);
        await initiator.LoginRequestAsync(0x87, $"InitiatorName={name} SessionType=Discovery");
        var request = new TestPdu(Opcode.TextRequest, immediate: true) { Data = TestInitiator.Text($"SendTargets={what}") };
        request.Header.InitiatorTaskTag = initiator.NewTag();
        request.Header.TargetTransferTag = BasicHeader.ReservedTag;
        initiator.Number(request, immediate: true);
        await initiator.SendAsync(request);
        return TestInitiator.ParseText((await initiator.ExpectAsync(Opcode.TextResponse)).Data);
    }

    private sealed class LinesLogger : ILogger
    {
        public System.Collections.Concurrent.ConcurrentQueue<string> Lines { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) => Lines.Enqueue(formatter(state, exception));
    }
}
