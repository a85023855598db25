using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Tests.Initiators;

namespace OpenEbs.Iscsi.Tests.Connections;

/// <summary>RFC 7143 §11.5 and §11.6: what is aborted answers nothing and is settled before the function is answered.</summary>
public class TaskManagementTests
{
    private static readonly byte[] Write1 = [0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0];
    private static readonly byte[] TestUnitReady = [0, 0, 0, 0, 0, 0];

    [Fact]
    public async Task AbortTask_InTheStore_IsAnsweredWhenItsEffectsAreSettled()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        portal.Store.Shut();
        var write = initiator.Command(Write1, 512, write: true, immediateData: new byte[512]);
        await initiator.SendAsync(write);
        await portal.Store.WaitInsideAsync(1);
        var abort = initiator.TaskManagement(1, write.Header.InitiatorTaskTag, write.Header.CmdSN);
        await initiator.SendAsync(abort);
        await initiator.ExpectSilenceAsync(150);
        portal.Store.Open();
        var response = await initiator.ExpectAsync(Opcode.TaskManagementResponse);
        Assert.Equal(0, response.Response);
        Assert.Equal(abort.Header.InitiatorTaskTag, response.Header.InitiatorTaskTag);
        Assert.Equal(0, portal.Store.Inside);
        await initiator.ExpectSilenceAsync(100);
    }

    [Fact]
    public async Task AbortTask_WaitingForData_EndsItAtOnceAndDropsItsData()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        var write = initiator.Command(Write1, 512, write: true);
        await initiator.SendAsync(write);
        var request = await initiator.ExpectAsync(Opcode.ReadyToTransfer);
        await initiator.SendAsync(initiator.TaskManagement(1, write.Header.InitiatorTaskTag, write.Header.CmdSN));
        Assert.Equal(0, (await initiator.ExpectAsync(Opcode.TaskManagementResponse)).Response);
        await initiator.SendAsync(TestInitiator.DataOut(write, request.Header.TargetTransferTag, 0, 0, new byte[512], true));
        await initiator.ExpectSilenceAsync(100);
        Assert.Empty(portal.Store.Calls);
    }

    [Fact]
    public async Task AbortTask_ThatIsDone_DoesNotExist()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        await initiator.SendAsync(initiator.TaskManagement(1, 4711, initiator.CmdSN - 1));
        Assert.Equal(1, (await initiator.ExpectAsync(Opcode.TaskManagementResponse)).Response);
    }

    /// <summary>§11.6.1 b: "targets must consider the CmdSN received and return the Function complete response".</summary>
    [Fact]
    public async Task AbortTask_ThatNeverArrived_CountsAsReceived()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        var lost = initiator.CmdSN++;
        var next = initiator.Command(TestUnitReady);
        await initiator.SendAsync(next);
        await initiator.SendAsync(initiator.TaskManagement(1, 4711, lost));
        var pdus = new[] { await initiator.ReceiveAsync(), await initiator.ReceiveAsync() };
        Assert.Contains(pdus, pdu => pdu!.Opcode == Opcode.TaskManagementResponse && pdu.Response == 0);
        Assert.Contains(pdus, pdu => pdu!.Opcode == Opcode.ScsiResponse && pdu.Header.InitiatorTaskTag == next.Header.InitiatorTaskTag);
        (await initiator.ExecuteAsync(TestUnitReady)).AssertGood();
    }

    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    public async Task SetAndResetFunctions_EndEveryTaskOfTheSession(byte function)
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        portal.Store.Shut();
        await initiator.SendAsync(initiator.Command(Write1, 512, write: true, immediateData: new byte[512]));
        var waiting = initiator.Command(Write1, 512, write: true);
        await initiator.SendAsync(waiting);
        await initiator.ExpectAsync(Opcode.ReadyToTransfer);
        await initiator.SendAsync(initiator.Command(Write1, 512, write: true, immediateData: new byte[512], attribute: 2));
        await portal.Store.WaitInsideAsync(1);
        await initiator.SendAsync(initiator.TaskManagement(function));
        await initiator.ExpectSilenceAsync(100);
        portal.Store.Open();
        Assert.Equal(0, (await initiator.ExpectAsync(Opcode.TaskManagementResponse)).Response);
        Assert.Single(portal.Store.Calls);
        Assert.Equal(initiator.ExpCmdSN + 127, initiator.MaxCmdSN);

        // A reset leaves a unit attention, the others do not.
        var after = await initiator.ExecuteAsync(TestUnitReady);
        if (function >= 5) after.AssertSense(6, function == 5 ? 0x2903 : 0x2900);
        else after.AssertGood();
        (await initiator.ExecuteAsync(TestUnitReady)).AssertGood();
    }

    [Fact]
    public async Task LogicalUnitReset_EndsTasksOfOtherSessionsAndTellsThem()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        await using var other = await TestInitiator.ConnectAsync(portal.EndPoint);
        other.Isid++;
        await other.LoginAsync(portal.TargetName);
        await other.ExecuteAsync(TestUnitReady);
        portal.Store.Shut();
        await other.SendAsync(other.Command(Write1, 512, write: true, immediateData: new byte[512]));
        await portal.Store.WaitInsideAsync(1);
        await initiator.SendAsync(initiator.TaskManagement(5));
        await initiator.ExpectSilenceAsync(100);
        portal.Store.Open();
        Assert.Equal(0, (await initiator.ExpectAsync(Opcode.TaskManagementResponse)).Response);
        await other.ExpectSilenceAsync(100);
        (await other.ExecuteAsync(TestUnitReady)).AssertSense(6, 0x2903);
    }

    [Fact]
    public async Task TargetColdReset_EndsAllSessionsOfTheTarget()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        await using var other = await TestInitiator.ConnectAsync(portal.EndPoint);
        other.Isid++;
        await other.LoginAsync(portal.TargetName);
        await initiator.SendAsync(initiator.TaskManagement(7));
        Assert.Equal(0, (await initiator.ExpectAsync(Opcode.TaskManagementResponse)).Response);
        await initiator.ExpectCloseAsync();
        await other.ExpectCloseAsync();
    }

    [Theory]
    [InlineData(3, 0, 5)]
    [InlineData(8, 0, 4)]
    [InlineData(9, 0, 5)]
    [InlineData(12, 0, 5)]
    [InlineData(99, 0, 5)]
    [InlineData(2, 1, 2)]
    [InlineData(5, 1, 2)]
    public async Task OtherFunctions_AreRefusedAsTheStandardSays(byte function, byte lun, byte response)
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        await initiator.SendAsync(initiator.TaskManagement(function, lun: (ulong)lun << 48));
        Assert.Equal(response, (await initiator.ExpectAsync(Opcode.TaskManagementResponse)).Response);
    }

    /// <summary>SAM-5 §8.6: the ORDERED task waits for the older ones, the younger SIMPLE one for it; HEAD OF QUEUE for nobody.</summary>
    [Fact]
    public async Task TaskAttributes_DecideTheOrder()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        portal.Store.Shut();
        byte[] Read(byte lba) => [0x28, 0, 0, 0, 0, lba, 0, 0, 1, 0];
        var simple = initiator.Command(Read(1), 512, read: true);
        var ordered = initiator.Command(Read(2), 512, read: true, attribute: 2);
        var younger = initiator.Command(Read(3), 512, read: true);
        var head = initiator.Command(Read(4), 512, read: true, attribute: 3);
        foreach (var command in new[] { simple, ordered, younger, head }) await initiator.SendAsync(command);
        await portal.Store.WaitInsideAsync(2);
        await initiator.ExpectSilenceAsync(100);
        Assert.Equal(["read 512 512", "read 2048 512"], portal.Store.Calls);
        portal.Store.Open();
        var tags = new List<uint>();
        for (var i = 0; i < 4; i++) tags.Add((await initiator.ExpectAsync(Opcode.DataIn)).Header.InitiatorTaskTag);
        Assert.True(tags.IndexOf(ordered.Header.InitiatorTaskTag) > tags.IndexOf(simple.Header.InitiatorTaskTag));
        Assert.True(tags.IndexOf(younger.Header.InitiatorTaskTag) > tags.IndexOf(ordered.Header.InitiatorTaskTag));
        Assert.Equal(["read 512 512", "read 2048 512", "read 1024 512", "read 1536 512"], portal.Store.Calls);
    }
}
