using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Tests.Initiators;

namespace OpenEbs.Iscsi.Tests.Connections;

/// <summary>RFC 7143 §7.8. The initiator of the tests checks every digest that it receives.</summary>
public class DigestTests
{
    [Fact]
    public async Task WrongHeaderDigest_ClosesTheConnection()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal, "HeaderDigest=CRC32C");
        var bytes = initiator.Serialize(initiator.Command([0, 0, 0, 0, 0, 0]));
        bytes[^1] ^= 1;
        await initiator.SendRawAsync(bytes);
        await initiator.ExpectCloseAsync();
    }

    [Fact]
    public async Task WrongDataDigestOfImmediateData_RejectsAndForgetsTheCommand()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal, "DataDigest=CRC32C");
        var command = initiator.Command([0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0], 512, write: true, immediateData: new byte[512]);
        var bytes = initiator.Serialize(command);
        bytes[^1] ^= 1;
        await initiator.SendRawAsync(bytes);
        var reject = await initiator.ExpectRejectAsync(RejectReason.DataDigestError);
        Assert.Equal(command.Header.Bytes.ToArray(), reject.Data);
        Assert.Equal(command.Header.CmdSN, reject.Header.ExpCmdSN);

        // The same command again, with the same CmdSN, is taken.
        await initiator.SendAsync(command);
        (await initiator.FinishAsync(command)).AssertGood();
    }

    [Fact]
    public async Task WrongDataDigestOfDataOut_RejectsThenEndsTheTaskWithCrcError()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal, "DataDigest=CRC32C HeaderDigest=CRC32C");
        var command = initiator.Command([0x2a, 0, 0, 0, 0, 0, 0, 0, 2, 0], 1024, write: true);
        await initiator.SendAsync(command);
        var request = await initiator.ExpectAsync(Opcode.ReadyToTransfer);
        var bytes = initiator.Serialize(TestInitiator.DataOut(command, request.Header.TargetTransferTag, 0, 0, new byte[512], false));
        bytes[^1] ^= 1;
        await initiator.SendRawAsync(bytes);
        await initiator.ExpectRejectAsync(RejectReason.DataDigestError);

        // "It MUST wait to receive all the data."
        await initiator.ExpectSilenceAsync(100);
        await initiator.SendAsync(TestInitiator.DataOut(command, request.Header.TargetTransferTag, 1, 512, new byte[512], true));
        (await initiator.FinishAsync(command)).AssertSense(0xb, 0x4705);
        Assert.Empty(portal.Store.Calls);
    }

    [Fact]
    public async Task WrongDataDigestOfAnotherPdu_RejectsIt()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal, "DataDigest=CRC32C");
        var text = new TestPdu(Opcode.TextRequest, immediate: true) { Data = TestInitiator.Text("SendTargets=") };
        text.Header.InitiatorTaskTag = 9;
        text.Header.TargetTransferTag = BasicHeader.ReservedTag;
        initiator.Number(text, immediate: true);
        var bytes = initiator.Serialize(text);
        bytes[^2] ^= 1;
        await initiator.SendRawAsync(bytes);
        await initiator.ExpectRejectAsync(RejectReason.DataDigestError);
        await initiator.PingAsync();
    }
}
