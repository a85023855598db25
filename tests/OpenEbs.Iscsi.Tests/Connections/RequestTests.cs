using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Tests.Initiators;

namespace OpenEbs.Iscsi.Tests.Connections;

/// <summary>NOP, text, logout, SNACK, unknown opcodes, additional header segments.</summary>
public class RequestTests
{
    [Fact]
    public async Task NopOut_LongerThanTheInitiatorTakes_IsEchoedInPart()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal, "MaxRecvDataSegmentLength=512");
        var ping = new TestPdu(Opcode.NopOut, immediate: true) { Data = Enumerable.Repeat((byte)3, 2000).ToArray() };
        ping.Header.InitiatorTaskTag = 5;
        ping.Header.TargetTransferTag = BasicHeader.ReservedTag;
        initiator.Number(ping, immediate: true);
        await initiator.SendAsync(ping);
        Assert.Equal(512, (await initiator.ExpectAsync(Opcode.NopIn)).Data.Length);
    }

    [Fact]
    public async Task SendTargets_InDiscovery_ListsTheAddressThatWasUsed()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await DiscoverAsync(portal);
        Assert.Equal($"TargetName={portal.TargetName}\0TargetAddress={portal.EndPoint},1\0", await AskAsync(initiator, "SendTargets=All"));
        Assert.Equal($"TargetName={portal.TargetName}\0TargetAddress={portal.EndPoint},1\0", await AskAsync(initiator, $"SendTargets={portal.TargetName}"));
        Assert.Equal("", await AskAsync(initiator, "SendTargets=iqn.2016-09.com.openebs.orleans:nothing"));
        Assert.Equal("", await AskAsync(initiator, "SendTargets="));
        Assert.Equal("SendTargets=Reject\0", await AskAsync(initiator, "SendTargets=Everything"));
    }

    [Fact]
    public async Task SendTargets_InANormalSession_ShowsItsOwnTargetOnly()
    {
        await using var portal = await TestPortal.StartAsync();
        portal.Catalog.Add("iqn.2016-09.com.openebs.orleans:other", portal.Store);
        await using var initiator = await TestInitiator.LogInAsync(portal);
        Assert.StartsWith($"TargetName={portal.TargetName}\0", await AskAsync(initiator, "SendTargets="), StringComparison.Ordinal);
        Assert.Equal("", await AskAsync(initiator, "SendTargets=iqn.2016-09.com.openebs.orleans:other"));
        Assert.Equal("SendTargets=Reject\0", await AskAsync(initiator, "SendTargets=All"));
    }

    [Fact]
    public async Task SendTargets_LongAnswer_ComesInParts()
    {
        await using var portal = await TestPortal.StartAsync();
        for (var i = 0; i < 300; i++) portal.Catalog.Add($"iqn.2016-09.com.openebs.orleans:volume-{i}", portal.Store);
        await using var initiator = await DiscoverAsync(portal, "MaxRecvDataSegmentLength=1024");
        var text = await AskAsync(initiator, "SendTargets=All");
        Assert.Equal(301, text.Split("TargetName=").Length - 1);
    }

    [Fact]
    public async Task Text_UnknownAndMisplacedKeys_AreAnsweredAsSuch()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        Assert.Equal("Speed=NotUnderstood\0MaxBurstLength=Reject\0", await AskAsync(initiator, "Speed=11 MaxBurstLength=512 InitiatorAlias=me"));
    }

    [Fact]
    public async Task Text_MaxRecvDataSegmentLength_ChangesWhatWeSend()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        await AskAsync(initiator, "MaxRecvDataSegmentLength=512");
        await initiator.SendAsync(initiator.Command([0x28, 0, 0, 0, 0, 0, 0, 0, 2, 0], 1024, read: true));
        Assert.Equal(512, (await initiator.ExpectAsync(Opcode.DataIn)).Data.Length);
        Assert.Equal(512, (await initiator.ExpectAsync(Opcode.DataIn)).Data.Length);
    }

    [Fact]
    public async Task Text_Continued_IsJoined()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await DiscoverAsync(portal);
        var first = TextRequest(initiator, [.. "SendTar"u8], 0x40, 8, BasicHeader.ReservedTag);
        await initiator.SendAsync(first);
        var answer = await initiator.ExpectAsync(Opcode.TextResponse);
        Assert.Equal((0, 0), (answer.Header.Flags & 0xc0, answer.Data.Length));
        await initiator.SendAsync(TextRequest(initiator, [.. "gets=All\0"u8], 0x80, 8, answer.Header.TargetTransferTag));
        Assert.NotEmpty((await initiator.ExpectAsync(Opcode.TextResponse)).Data);
    }

    [Fact]
    public async Task Text_EndlessContinuation_IsRejected()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await DiscoverAsync(portal);
        var tag = BasicHeader.ReservedTag;
        for (var i = 0; i < 40; i++)
        {
            await initiator.SendAsync(TextRequest(initiator, new byte[4096], 0x40, 8, tag));
            var answer = (await initiator.ReceiveAsync())!;
            tag = answer.Header.TargetTransferTag;
            if (answer.Opcode != Opcode.Reject) continue;
            Assert.Equal((byte)RejectReason.ProtocolError, answer.Response);
            Assert.InRange(i, 10, 20);
            return;
        }

        Assert.Fail("The text went on for ever.");
    }

    [Theory]
    [InlineData(0xc0, BasicHeader.ReservedTag, RejectReason.ProtocolError)]
    [InlineData(0x80, 4711u, RejectReason.InvalidPduField)]
    public async Task Text_Malformed_IsRejected(int flags, uint tag, object reason)
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await DiscoverAsync(portal);
        await initiator.SendAsync(TextRequest(initiator, TestInitiator.Text("SendTargets=All"), (byte)flags, 8, tag));
        await initiator.ExpectRejectAsync((RejectReason)reason);
    }

    [Fact]
    public async Task DiscoverySession_TakesNothingButTextAndLogout()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await DiscoverAsync(portal);
        await initiator.SendAsync(initiator.Command([0, 0, 0, 0, 0, 0]));
        await initiator.ExpectRejectAsync(RejectReason.ProtocolError);
        initiator.CmdSN--;
        await LogOutAsync(initiator, 0, 0);
        await initiator.ExpectCloseAsync();
    }

    [Theory]
    [InlineData(0, 0, 0)]
    [InlineData(1, 0, 0)]
    [InlineData(1, 5, 1)]
    [InlineData(2, 0, 2)]
    public async Task Logout_IsAnsweredAndOnlyAClosingOneCloses(byte reason, ushort cidOff, byte response)
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        Assert.Equal(response, (await LogOutAsync(initiator, reason, cidOff)).Response);
        if (response == 0) await initiator.ExpectCloseAsync();
        else await initiator.PingAsync();
    }

    [Fact]
    public async Task Logout_WithCommandsInTheStore_WaitsForThemAndAnswersNoneOfThem()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        portal.Store.Shut();
        await initiator.SendAsync(initiator.Command([0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0], 512, write: true, immediateData: new byte[512]));
        await portal.Store.WaitInsideAsync(1);
        var logout = LogOutAsync(initiator, 0, 0);
        await Task.Delay(150);
        Assert.False(logout.IsCompleted);
        portal.Store.Open();
        Assert.Equal(0, (await logout).Response);
        await initiator.ExpectCloseAsync();
    }

    [Theory]
    [InlineData(0x10, RejectReason.SnackReject)]
    [InlineData(0x1c, RejectReason.CommandNotSupported)]
    [InlineData(0x11, RejectReason.CommandNotSupported)]
    [InlineData(0x3c, RejectReason.CommandNotSupported)]
    [InlineData(0x03, RejectReason.ProtocolError)]
    [InlineData(0x20, RejectReason.ProtocolError)]
    [InlineData(0x25, RejectReason.ProtocolError)]
    [InlineData(0x3f, RejectReason.ProtocolError)]
    public async Task OtherOpcodes_AreRejectedWithTheirHeader(byte opcode, object reason)
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        var pdu = new TestPdu((Opcode)opcode) { Data = new byte[33] };
        await initiator.SendAsync(pdu);
        var reject = await initiator.ExpectRejectAsync((RejectReason)reason);
        Assert.Equal(pdu.Header.Bytes.ToArray(), reject.Data);
        Assert.Equal(BasicHeader.ReservedTag, reject.Header.InitiatorTaskTag);
        await initiator.PingAsync();
    }

    [Fact]
    public async Task ExtendedCdb_IsTakenAndItsCommandRefusedBySense()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        var command = initiator.Command([0x7f, 0, 0, 0, 0, 0, 0, 0x18, 0, 9]);
        command.Ahs = [0, 17, 1, 0, .. new byte[16]];
        await initiator.SendAsync(command);
        (await initiator.FinishAsync(command)).AssertSense(5, 0x2000);
    }

    [Fact]
    public async Task Bidirectional_IsRefusedBySense()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        var command = initiator.Command([0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], 512, read: true, write: true, immediateData: new byte[512]);
        command.Ahs = [0, 5, 2, 0, 0, 0, 2, 0];
        await initiator.SendAsync(command);
        (await initiator.FinishAsync(command)).AssertSense(5, 0x0e03);
    }

    [Theory]
    [InlineData(new byte[] { 0, 0, 1, 0 }, "length zero")]
    [InlineData(new byte[] { 0, 100, 1, 0 }, "beyond the header")]
    [InlineData(new byte[] { 0, 1, 77, 0 }, "unknown type")]
    public async Task MalformedAhs_IsRejected(byte[] ahs, string why)
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        var command = initiator.Command([0, 0, 0, 0, 0, 0]);
        command.Ahs = ahs;
        await initiator.SendAsync(command);
        Assert.NotNull(why);
        await initiator.ExpectRejectAsync(RejectReason.InvalidPduField);
        (await initiator.ExecuteAsync([0, 0, 0, 0, 0, 0])).AssertGood();
    }

    private static async Task<TestInitiator> DiscoverAsync(TestPortal portal, string keys = "")
    {
        var initiator = await TestInitiator.ConnectAsync(portal.EndPoint);
        var response = await initiator.LoginRequestAsync(0x87, $"InitiatorName={TestInitiator.DefaultName} SessionType=Discovery {keys}");
        Assert.Equal(0, response.Header.Get16(36));
        return initiator;
    }

    private static TestPdu TextRequest(TestInitiator initiator, byte[] text, byte flags, uint tag, uint transferTag)
    {
        var pdu = new TestPdu(Opcode.TextRequest, flags, immediate: true) { Data = text };
        pdu.Header.InitiatorTaskTag = tag;
        pdu.Header.TargetTransferTag = transferTag;
        initiator.Number(pdu, immediate: true);
        return pdu;
    }

    /// <summary>One text exchange, fetching a long answer part by part.</summary>
    private static async Task<string> AskAsync(TestInitiator initiator, string keys)
    {
        var tag = initiator.NewTag();
        var text = new List<byte>();
        await initiator.SendAsync(TextRequest(initiator, TestInitiator.Text(keys), 0x80, tag, BasicHeader.ReservedTag));
        while (true)
        {
            var answer = await initiator.ExpectAsync(Opcode.TextResponse);
            text.AddRange(answer.Data);
            if (answer.HasFlag(0x80)) return System.Text.Encoding.UTF8.GetString([.. text]);
            Assert.True(answer.HasFlag(0x40));
            await initiator.SendAsync(TextRequest(initiator, [], 0x80, tag, answer.Header.TargetTransferTag));
        }
    }

    private static async Task<TestPdu> LogOutAsync(TestInitiator initiator, byte reason, ushort cidOff)
    {
        var pdu = new TestPdu(Opcode.LogoutRequest, (byte)(0x80 | reason), immediate: true);
        pdu.Header.InitiatorTaskTag = initiator.NewTag();
        pdu.Header.Set16(20, (ushort)(initiator.Cid + cidOff));
        initiator.Number(pdu, immediate: true);
        await initiator.SendAsync(pdu);
        return await initiator.ExpectAsync(Opcode.LogoutResponse);
    }
}
