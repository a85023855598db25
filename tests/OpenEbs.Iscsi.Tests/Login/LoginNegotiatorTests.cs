using OpenEbs.Iscsi.Access;
using OpenEbs.Iscsi.Login;
using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Tests.Initiators;

namespace OpenEbs.Iscsi.Tests.Login;

/// <summary>The login phase without a socket. Flags: T 80h, C 40h, CSG in bits 2 and 3, NSG in bits 0 and 1.</summary>
public class LoginNegotiatorTests
{
    private const string Names = "InitiatorName=iqn.2026-01.org.example:a TargetName=iqn.2026-01.org.example:t";

    private readonly LoginNegotiator _negotiator = new(portalGroupTag: 7, maxRecvDataSegmentLengthBytes: 262144, NoSecurity(), LoginDemand.Open);

    [Fact]
    public void SecurityThenOperational_TransitsStageByStage()
    {
        var first = Ask(0x81, $"{Names} AuthMethod=CHAP,None");
        Assert.Equal(LoginStatus.Success, first.Status);
        Assert.True(first.Transit);
        Assert.Equal("None", Text(first)["AuthMethod"]);
        Assert.Equal("7", Text(first)["TargetPortalGroupTag"]);
        Assert.False(first.EntersFullFeaturePhase);
        var second = Ask(0x87, "HeaderDigest=CRC32C,None MaxBurstLength=65536");
        Assert.True(second.EntersFullFeaturePhase);
        Assert.Equal("CRC32C", Text(second)["HeaderDigest"]);
        Assert.Equal("262144", Text(second)["MaxRecvDataSegmentLength"]);
        Assert.True(_negotiator.Parameters.HeaderDigest);
        Assert.Equal(65536u, _negotiator.Parameters.MaxBurstLength);
    }

    [Fact]
    public void WithoutTransit_StaysAndGoesOn()
    {
        Assert.False(Ask(0x04, Names).Transit);
        Assert.True(Ask(0x87, "InitialR2T=No").EntersFullFeaturePhase);
    }

    [Fact]
    public void SecurityStraightToFullFeature_KeepsDefaults()
    {
        Assert.True(Ask(0x83, Names).EntersFullFeaturePhase);
        Assert.Equal(8192, _negotiator.Parameters.TargetMaxRecvDataSegmentLength);
    }

    [Fact]
    public void OnlyChapOffered_IsAuthenticationFailure() => Assert.Equal(LoginStatus.AuthenticationFailure, Ask(0x81, $"{Names} AuthMethod=CHAP").Status);

    [Fact]
    public void UnknownKey_IsNotUnderstoodAndDoesNotFailTheLogin()
    {
        var reply = Ask(0x87, $"{Names} X-org.example.Speed=11 CHAP_A=5");
        Assert.Equal("NotUnderstood", Text(reply)["X-org.example.Speed"]);
        Assert.Equal("NotUnderstood", Text(reply)["CHAP_A"]);
        Assert.True(reply.EntersFullFeaturePhase);
    }

    [Fact]
    public void WrongValue_IsRejectedAndTheLoginCannotGoOn()
    {
        var reply = Ask(0x87, $"{Names} MaxBurstLength=1");
        Assert.Equal("Reject", Text(reply)["MaxBurstLength"]);
        Assert.False(reply.Transit);
        Assert.Equal(LoginStatus.InitiatorError, Ask(0x87, "").Status);
    }

    [Fact]
    public void ObsoleteMarkerInterval_IsRejectedButHarmless()
    {
        var reply = Ask(0x87, $"{Names} IFMarkInt=1~65535");
        Assert.Equal("Reject", Text(reply)["IFMarkInt"]);
        Assert.True(reply.EntersFullFeaturePhase);
    }

    [Fact]
    public void OperationalKeyInSecurityStage_IsRejected() => Assert.Equal("Reject", Text(Ask(0x81, $"{Names} MaxBurstLength=65536"))["MaxBurstLength"]);

    [Theory]
    [InlineData("TargetName=iqn.2026-01.org.example:t", "no initiator name")]
    [InlineData("InitiatorName=iqn.2026-01.org.example:a", "no target name in a normal session")]
    [InlineData("", "nothing")]
    public void MissingName_IsMissingParameter(string keys, string why) => Assert.True(LoginStatus.MissingParameter == Ask(0x87, keys).Status, why);

    [Theory]
    [InlineData(0x88, "CSG 2 does not exist")]
    [InlineData(0x8c, "CSG 3 is no login stage")]
    [InlineData(0x86, "NSG 2 does not exist")]
    [InlineData(0x84, "back from operational to security")]
    [InlineData(0x85, "to the stage it is in")]
    [InlineData(0xc7, "T with C")]
    public void IllegalStages_AreInitiatorErrors(int flags, string why) => Assert.True(LoginStatus.InitiatorError == Ask((byte)flags, Names).Status, why);

    [Fact]
    public void StageThatWasNotAgreed_IsInitiatorError()
    {
        Assert.True(Ask(0x81, Names).Transit);
        Assert.Equal(LoginStatus.InitiatorError, Ask(0x81, "").Status);
    }

    [Theory]
    [InlineData(8)]
    [InlineData(13)]
    [InlineData(15)]
    [InlineData(19)]
    [InlineData(21)]
    public void ChangedIdentityWithinLogin_IsInitiatorError(int headerByte)
    {
        Ask(0x04, Names);
        var header = Header(0x87);
        header.Bytes[headerByte] ^= 1;
        Assert.Equal(LoginStatus.InitiatorError, _negotiator.Answer(ref header, []).Status);
    }

    [Fact]
    public void NewerVersionOnly_IsUnsupported()
    {
        var header = Header(0x87);
        header.Bytes[2] = header.Bytes[3] = 1;
        Assert.Equal(LoginStatus.UnsupportedVersion, _negotiator.Answer(ref header, TestInitiator.Text(Names)).Status);
    }

    [Fact]
    public void SameKeyTwice_IsInitiatorError()
    {
        Ask(0x04, Names + " InitialR2T=No");
        Assert.Equal(LoginStatus.InitiatorError, Ask(0x87, "InitialR2T=Yes").Status);
    }

    [Fact]
    public void TextSplitAnywhereByContinuation_MeansTheSame()
    {
        var text = TestInitiator.Text(Names + " HeaderDigest=CRC32C MaxOutstandingR2T=3");
        for (var split = 0; split <= text.Length; split++)
        {
            var negotiator = new LoginNegotiator(1, 65536, NoSecurity(), LoginDemand.Open);
            var part = Header(0x44);
            var continued = negotiator.Answer(ref part, text.AsSpan(0, split));
            Assert.Equal(LoginStatus.Success, continued.Status);
            Assert.True(continued.Text.IsEmpty);
            var rest = Header(0x87);
            Assert.True(negotiator.Answer(ref rest, text.AsSpan(split)).EntersFullFeaturePhase);
            Assert.True(negotiator.Parameters.HeaderDigest);
            Assert.Equal(3u, negotiator.Parameters.MaxOutstandingR2T);
        }
    }

    [Fact]
    public void EndlessContinuation_IsCutOff()
    {
        for (var i = 0; i < 1000; i++)
        {
            var header = Header(0x44);
            var reply = _negotiator.Answer(ref header, new byte[1]);
            if (reply.Status == LoginStatus.Success) continue;
            Assert.Equal(LoginStatus.InitiatorError, reply.Status);
            return;
        }

        Assert.Fail("The login went on for ever.");
    }

    [Fact]
    public void TooMuchText_IsCutOff()
    {
        var last = LoginStatus.Success;
        for (var i = 0; i < 20 && last == LoginStatus.Success; i++)
        {
            var header = Header(0x44);
            last = _negotiator.Answer(ref header, new byte[8192]).Status;
        }

        Assert.Equal(LoginStatus.InitiatorError, last);
    }

    [Fact]
    public void LongAnswer_ComesInPartsThatTheInitiatorFetches()
    {
        var keys = string.Join(' ', Enumerable.Range(0, 250).Select(i => $"X-{new string('k', 50)}{i}=1"));
        var reply = Ask(0x87, $"{Names} {keys}");
        var text = new List<byte>(reply.Text.ToArray());
        Assert.True(reply.Continue);
        Assert.Equal(8192, reply.Text.Length);
        while (reply.Continue)
        {
            Assert.False(reply.Transit);
            reply = Ask(0x87, "");
            text.AddRange(reply.Text.ToArray());
        }

        Assert.True(reply.EntersFullFeaturePhase);
        Assert.Equal(250 + 2, TestInitiator.ParseText([.. text]).Count);
    }

    [Theory]
    [InlineData("NoEquals\0")]
    [InlineData("=novalue\0")]
    [InlineData("Bad Key=1\0")]
    [InlineData("ThisKeyNameIsLongerThanTheSixtyThreeBytesThatTheStandardAllowsForIt=1\0")]
    public void MalformedText_IsInitiatorError(string text)
    {
        var header = Header(0x87);
        Assert.Equal(LoginStatus.InitiatorError, _negotiator.Answer(ref header, System.Text.Encoding.ASCII.GetBytes(text)).Status);
    }

    [Fact]
    public void Discovery_NeedsNoTargetAndFindsSessionKeysIrrelevant()
    {
        var reply = Ask(0x87, "MaxConnections=1 InitiatorName=iqn.2026-01.org.example:a SessionType=Discovery InitialR2T=No HeaderDigest=None");
        Assert.True(reply.EntersFullFeaturePhase);
        Assert.Equal("Irrelevant", Text(reply)["MaxConnections"]);
        Assert.Equal("Irrelevant", Text(reply)["InitialR2T"]);
        Assert.Equal("None", Text(reply)["HeaderDigest"]);
        Assert.DoesNotContain("TargetPortalGroupTag", Text(reply).Keys);
    }

    [Theory]
    [InlineData("FirstBurstLength=65536 MaxBurstLength=8192", 8192)]
    [InlineData("MaxBurstLength=8192 FirstBurstLength=65536", 8192)]
    [InlineData("MaxBurstLength=8192", 8192)]
    [InlineData("FirstBurstLength=4096", 4096)]
    public void FirstBurst_NeverExceedsMaxBurst(string keys, uint firstBurst)
    {
        var reply = Ask(0x87, $"{Names} {keys}");
        Assert.True(reply.EntersFullFeaturePhase);
        Assert.Equal(firstBurst, _negotiator.Parameters.FirstBurstLength);
    }

    [Theory]
    [InlineData("SessionType=Discovery")]
    [InlineData("InitiatorName=iqn.2026-01.org.example:b")]
    [InlineData("TargetName=iqn.2026-01.org.example:u")]
    public void IdentityAfterTheFirstRequest_IsInitiatorError(string key)
    {
        Ask(0x04, key.StartsWith("Target", StringComparison.Ordinal) ? "InitiatorName=iqn.2026-01.org.example:a SessionType=Discovery" : Names);
        Assert.Equal(LoginStatus.InitiatorError, Ask(0x87, key).Status);
    }

    private static LoginSecurity NoSecurity() => new(ChapDigest.Supported, _ => Assert.Fail("Nobody is to be challenged."));

    private static BasicHeader Header(byte flags)
    {
        BasicHeader header = default;
        header.Opcode = Opcode.LoginRequest;
        header.Flags = flags;
        header.Set64(8, 0x00023d0000010000);
        header.InitiatorTaskTag = 5;
        header.Set16(20, 1);
        return header;
    }

    private static Dictionary<string, string> Text(in LoginReply reply) => TestInitiator.ParseText(reply.Text.ToArray());

    private LoginReply Ask(byte flags, string keys)
    {
        var header = Header(flags);
        return _negotiator.Answer(ref header, TestInitiator.Text(keys));
    }
}
