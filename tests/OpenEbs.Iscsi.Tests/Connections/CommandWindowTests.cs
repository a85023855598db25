using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Tests.Initiators;

namespace OpenEbs.Iscsi.Tests.Connections;

/// <summary>RFC 7143 §4.2.2.1.</summary>
public class CommandWindowTests
{
    private static readonly byte[] TestUnitReady = [0, 0, 0, 0, 0, 0];

    [Theory]
    [InlineData(-1)]
    [InlineData(-100)]
    [InlineData(128)]
    [InlineData(100000)]
    public async Task ScsiCommand_CmdSNOutsideWindow_IsIgnored(int distance)
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        var command = initiator.Command(TestUnitReady);
        initiator.CmdSN--;
        command.Header.Set32(24, initiator.CmdSN + (uint)distance);
        await initiator.SendAsync(command);
        await initiator.ExpectSilenceAsync(100);
        (await initiator.ExecuteAsync(TestUnitReady)).AssertGood();
    }

    [Fact]
    public async Task CommandsOutOfOrder_AreServedInOrder()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        var first = initiator.Command([0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0], 512, write: true, immediateData: Enumerable.Repeat((byte)1, 512).ToArray());
        var ping = new TestPdu(Opcode.NopOut) { Data = [7] };
        ping.Header.InitiatorTaskTag = initiator.NewTag();
        ping.Header.TargetTransferTag = BasicHeader.ReservedTag;
        initiator.Number(ping);
        var third = initiator.Command([0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], 512, read: true);
        await initiator.SendAsync(third);
        await initiator.SendAsync(ping);
        await initiator.ExpectSilenceAsync(100);
        Assert.Empty(portal.Store.Calls);
        await initiator.SendAsync(first);
        (await initiator.FinishAsync(first)).AssertGood();
        Assert.Equal(ping.Header.InitiatorTaskTag, (await initiator.ExpectAsync(Opcode.NopIn)).Header.InitiatorTaskTag);
        Assert.Equal(1, (await initiator.FinishAsync(third)).Data[0]);
    }

    /// <summary>The portal's end checks that the data of the early requests was given back.</summary>
    [Fact]
    public async Task SessionEndsWithAGap_DropsWhatCameEarly()
    {
        await using var portal = await TestPortal.StartAsync();
        await using (var initiator = await TestInitiator.LogInAsync(portal))
        {
            initiator.CmdSN++;
            var ping = new TestPdu(Opcode.NopOut) { Data = new byte[1000] };
            ping.Header.InitiatorTaskTag = initiator.NewTag();
            ping.Header.TargetTransferTag = BasicHeader.ReservedTag;
            initiator.Number(ping);
            await initiator.SendAsync(ping);
            await initiator.SendAsync(initiator.Command([0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0], 512, write: true, immediateData: new byte[512]));
            await initiator.ExpectSilenceAsync(50);
            Assert.NotEqual(0, portal.Pool.RentedBytes);
        }
    }

    [Fact]
    public async Task Window_ShutsWhileCommandsAreOutstandingAndOpensWithEachResponse()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        portal.Store.Shut();
        var commands = new List<TestPdu>();
        for (var i = 0; i < 128; i++)
        {
            commands.Add(initiator.Command([0x28, 0, 0, 0, 0, (byte)i, 0, 0, 1, 0], 512, read: true));
            await initiator.SendAsync(commands[^1]);
        }

        await portal.Store.WaitInsideAsync(128);
        await initiator.PingAsync();
        Assert.Equal(initiator.ExpCmdSN - 1, initiator.MaxCmdSN);
        var over = initiator.Command(TestUnitReady);
        await initiator.SendAsync(over);
        await initiator.ExpectSilenceAsync(100);

        // An immediate command needs no place.
        var immediate = initiator.Command(TestUnitReady, immediate: true);
        await initiator.SendAsync(immediate);
        (await initiator.FinishAsync(immediate)).AssertGood();
        portal.Store.Open();
        for (var i = 0; i < 128; i++) Assert.True((await initiator.ExpectAsync(Opcode.DataIn)).HasFlag(1));
        Assert.Equal(initiator.ExpCmdSN + 127, initiator.MaxCmdSN);
        await initiator.SendAsync(over);
        (await initiator.FinishAsync(over)).AssertGood();
    }

    [Fact]
    public async Task CmdSN_WrapsAround()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.ConnectAsync(portal.EndPoint);
        initiator.CmdSN = uint.MaxValue - 5;
        initiator.ExpStatSN = uint.MaxValue - 3;
        await initiator.LoginAsync(portal.TargetName);
        await initiator.ExecuteAsync(TestUnitReady);
        for (var i = 0; i < 20; i++) (await initiator.ExecuteAsync(TestUnitReady)).AssertGood();
        Assert.Equal(15u, initiator.ExpCmdSN);
    }

    [Fact]
    public async Task TagInUse_IsRejectedAndItsNumberIsUsedUp()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        portal.Store.Shut();
        var command = initiator.Command([0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], 512, read: true);
        await initiator.SendAsync(command);
        var twin = initiator.Command(TestUnitReady);
        twin.Header.InitiatorTaskTag = command.Header.InitiatorTaskTag;
        await initiator.SendAsync(twin);
        await initiator.ExpectRejectAsync(RejectReason.TaskInProgress);
        (await initiator.ExecuteAsync(TestUnitReady)).AssertGood();
        portal.Store.Open();
        (await initiator.FinishAsync(command)).AssertGood();
    }

    [Fact]
    public async Task TooManyImmediateCommands_AreRejected()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        portal.Store.Shut();
        for (var i = 0; i < 64; i++) await initiator.SendAsync(initiator.Command([0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], 512, read: true, immediate: true));
        await portal.Store.WaitInsideAsync(64);
        await initiator.SendAsync(initiator.Command([0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], 512, read: true, immediate: true));
        await initiator.ExpectRejectAsync(RejectReason.ImmediateCommandReject);
    }
}
