using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Tests.Initiators;

namespace OpenEbs.Iscsi.Tests.Connections;

/// <summary>Data phases: RFC 7143 §4.2.5.2, §11.7, §11.8.</summary>
public class DataTransferTests
{
    private static readonly byte[] Payload = [.. Enumerable.Range(0, 3 << 20).Select(i => (byte)((i * 7) + (i >> 9)))];

    [Theory]
    [InlineData("InitialR2T=Yes ImmediateData=No MaxOutstandingR2T=1 MaxBurstLength=16384")]
    [InlineData("InitialR2T=Yes ImmediateData=Yes MaxOutstandingR2T=4 MaxBurstLength=65536 FirstBurstLength=8192")]
    [InlineData("InitialR2T=No ImmediateData=Yes MaxOutstandingR2T=8 MaxBurstLength=262144")]
    [InlineData("MaxRecvDataSegmentLength=512 MaxBurstLength=4096")]
    [InlineData("MaxRecvDataSegmentLength=1000 MaxBurstLength=3000 FirstBurstLength=512")]
    [InlineData("HeaderDigest=CRC32C DataDigest=CRC32C MaxRecvDataSegmentLength=1001")]
    public async Task WriteThenRead_UnderAnyParameters_GivesTheDataBack(string keys)
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal, keys);
        foreach (var blocks in new[] { 1, 3, 16, 65, 700 })
        {
            var data = Payload[..(blocks * 512)];
            (await initiator.ExecuteAsync(Write10(100, blocks), dataOut: data, sendImmediate: keys.Contains("ImmediateData=Yes", StringComparison.Ordinal) && blocks < 10)).AssertGood();
            var read = await initiator.ExecuteAsync(Read10(100, blocks), (uint)data.Length);
            read.AssertGood();
            Assert.Equal(data, read.Data);
        }
    }

    [Fact]
    public async Task Write_OfOneMiB_ReachesTheStoreInOneCall()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal, "MaxBurstLength=262144");
        (await initiator.ExecuteAsync(Write10(0, 2048), dataOut: Payload[..(1 << 20)])).AssertGood();
        Assert.Equal(["write 0 1048576"], portal.Store.Calls);
    }

    [Fact]
    public async Task Write_BeyondOneMiB_ReachesTheStoreInPieces()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal, "MaxBurstLength=16776192");
        (await initiator.ExecuteAsync(Write10(0, 5000), dataOut: Payload[..(5000 * 512)])).AssertGood();
        Assert.Equal(["write 0 1048576", "write 1048576 1048576", "write 2097152 462848"], portal.Store.Calls);
        var read = await initiator.ExecuteAsync(Read10(0, 5000), 5000 * 512);
        Assert.Equal(Payload[..(5000 * 512)], read.Data);
    }

    [Fact]
    public async Task SeveralR2Ts_AreOutstandingUpToTheLimit()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal, "MaxOutstandingR2T=3 MaxBurstLength=4096 InitialR2T=Yes");
        var command = initiator.Command(Write10(0, 40), 40 * 512, write: true);
        await initiator.SendAsync(command);
        var requests = new List<TestPdu>();
        for (var i = 0; i < 3; i++) requests.Add(await initiator.ExpectAsync(Opcode.ReadyToTransfer));
        Assert.Equal([0u, 4096u, 8192u], requests.Select(request => request.Header.BufferOffset));
        Assert.Equal([0u, 1u, 2u], requests.Select(request => request.Header.DataSN));
        Assert.Equal(3, requests.Select(request => request.Header.TargetTransferTag).Distinct().Count());
        await initiator.ExpectSilenceAsync(100);
        await initiator.SendAsync(TestInitiator.DataOut(command, requests[0].Header.TargetTransferTag, 0, 0, Payload[..4096], true));
        var fourth = await initiator.ExpectAsync(Opcode.ReadyToTransfer);
        Assert.Equal(12288u, fourth.Header.BufferOffset);
        await initiator.SendAsync(TestInitiator.DataOut(command, requests[1].Header.TargetTransferTag, 0, 4096, Payload[4096..8192], true));
        await initiator.SendAsync(TestInitiator.DataOut(command, requests[2].Header.TargetTransferTag, 0, 8192, Payload[8192..12288], true));
        await initiator.SendAsync(TestInitiator.DataOut(command, fourth.Header.TargetTransferTag, 0, 12288, Payload[12288..16384], true));
        (await initiator.FinishAsync(command, Payload)).AssertGood();
    }

    [Fact]
    public async Task UnsolicitedData_FillsTheFirstBurst_RestIsAskedFor()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal, "InitialR2T=No FirstBurstLength=4096");
        var command = initiator.Command(Write10(0, 16), 8192, write: true, immediateData: Payload[..1024], final: false);
        await initiator.SendAsync(command);
        await initiator.SendAsync(TestInitiator.DataOut(command, BasicHeader.ReservedTag, 0, 1024, Payload[1024..3072], false));
        await initiator.SendAsync(TestInitiator.DataOut(command, BasicHeader.ReservedTag, 1, 3072, Payload[3072..4096], true));
        var request = await initiator.ExpectAsync(Opcode.ReadyToTransfer);
        Assert.Equal((4096u, 4096u), (request.Header.BufferOffset, request.Header.ResidualCount));
        await initiator.SendAsync(TestInitiator.DataOut(command, request.Header.TargetTransferTag, 0, 4096, Payload[4096..8192], true));
        (await initiator.FinishAsync(command)).AssertGood();
        Assert.Equal(Payload[..8192], (await initiator.ExecuteAsync(Read10(0, 16), 8192)).Data);
    }

    [Theory]
    [InlineData("ImmediateData=No", 512, true, 0x0c0c, "immediate data that was not agreed")]
    [InlineData("FirstBurstLength=512", 1024, true, 0x0c0d, "more immediate data than the first burst")]
    [InlineData("", 2048, true, 0x0c0d, "more immediate data than the command announces")]
    public async Task ImmediateData_NotAsAgreed_IsAborted(string keys, int length, bool final, int code, string why)
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal, keys);
        var command = initiator.Command(Write10(0, 2), 1024, write: true, immediateData: new byte[length], final: final);
        await initiator.SendAsync(command);
        var result = await initiator.FinishAsync(command);
        result.AssertSense(0xb, code);
        Assert.True(portal.Store.Calls.Count == 0, why);
    }

    [Fact]
    public async Task UnsolicitedData_WithInitialR2T_IsAbortedAfterItsLastPdu()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal, "InitialR2T=Yes");
        var command = initiator.Command(Write10(0, 4), 2048, write: true, final: false);
        await initiator.SendAsync(command);
        await initiator.SendAsync(TestInitiator.DataOut(command, BasicHeader.ReservedTag, 0, 0, Payload[..1024], false));
        await initiator.ExpectSilenceAsync(100);
        await initiator.SendAsync(TestInitiator.DataOut(command, BasicHeader.ReservedTag, 1, 1024, Payload[1024..2048], true));
        (await initiator.FinishAsync(command)).AssertSense(0xb, 0x0c0c);
    }

    [Theory]
    [InlineData(1u, 0u, 1024, 0x4705, "DataSN out of order")]
    [InlineData(0u, 512u, 512, 0x4705, "a gap")]
    [InlineData(0u, 0u, 512, 0x0c0d, "ends too early")]
    [InlineData(0u, 0u, 2048, 0x0c0d, "more than was asked for")]
    public async Task SolicitedData_NotAsAsked_IsAborted(uint dataSN, uint offset, int length, int code, string why)
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        var command = initiator.Command(Write10(0, 2), 1024, write: true);
        await initiator.SendAsync(command);
        var request = await initiator.ExpectAsync(Opcode.ReadyToTransfer);
        await initiator.SendAsync(TestInitiator.DataOut(command, request.Header.TargetTransferTag, dataSN, offset, new byte[length], true));
        (await initiator.FinishAsync(command)).AssertSense(0xb, code);
        Assert.True(portal.Store.Calls.Count == 0, why);
        await initiator.PingAsync();
    }

    [Fact]
    public async Task DataOut_WithATagThatIsNotOutstanding_IsRejectedAndTheTaskGoesOn()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        var command = initiator.Command(Write10(0, 2), 1024, write: true);
        await initiator.SendAsync(command);
        var request = await initiator.ExpectAsync(Opcode.ReadyToTransfer);
        await initiator.SendAsync(TestInitiator.DataOut(command, request.Header.TargetTransferTag + 77, 0, 0, new byte[1024], true));
        await initiator.ExpectRejectAsync(RejectReason.InvalidPduField);
        await initiator.SendAsync(TestInitiator.DataOut(command, request.Header.TargetTransferTag, 0, 0, new byte[1024], true));
        (await initiator.FinishAsync(command)).AssertGood();
    }

    [Fact]
    public async Task DataOut_ForNoTask_IsDropped()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        var stranger = new TestPdu(Opcode.ScsiCommand);
        stranger.Header.InitiatorTaskTag = 4711;
        await initiator.SendAsync(TestInitiator.DataOut(stranger, 1, 0, 0, new byte[4000], true));
        await initiator.ExpectSilenceAsync(100);
    }

    [Fact]
    public async Task Read_BeyondMaxBurst_EndsSequencesThere()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal, "MaxRecvDataSegmentLength=1024 MaxBurstLength=2560");
        var command = initiator.Command(Read10(0, 10), 5120, read: true);
        await initiator.SendAsync(command);
        var seen = new List<(uint DataSN, uint Offset, int Length, bool Final)>();
        TestPdu pdu;
        do
        {
            pdu = await initiator.ExpectAsync(Opcode.DataIn);
            seen.Add((pdu.Header.DataSN, pdu.Header.BufferOffset, pdu.Data.Length, pdu.HasFlag(0x80)));
        }
        while (!pdu.HasFlag(0x01));
        Assert.Equal([(0, 0, 1024, false), (1, 1024, 1024, false), (2, 2048, 512, true), (3, 2560, 1024, false), (4, 3584, 1024, false), (5, 4608, 512, true)], seen);
    }

    [Theory]
    [InlineData(1, 0, 512, 0)]
    [InlineData(1, 200, 312, 200)]
    [InlineData(2, 512, 512, 512)]
    [InlineData(1, 10000, -9488, 512)]
    [InlineData(4000, 1_100_000, 948_000, 1_100_000)]
    public async Task Read_LengthsDiffer_GivesResidualAndWhatFits(int blocks, int expected, long residual, int received)
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal, "MaxRecvDataSegmentLength=262144");
        var command = initiator.Command(Read10(0, blocks), (uint)expected, read: true);
        await initiator.SendAsync(command);
        var result = await initiator.FinishAsync(command);
        result.AssertGood();
        Assert.Equal(residual, result.Residual);
        Assert.Equal(received, result.Data.Length);
    }

    [Theory]
    [InlineData(2, 512, 512)]
    [InlineData(1, 200, 312)]
    [InlineData(1, 0, 512)]
    [InlineData(1, 1536, -1024)]
    public async Task Write_LengthsDiffer_WritesWhatCameAndCountsTheResidual(int blocks, int expected, long residual)
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        (await initiator.ExecuteAsync(Write10(0, 4), dataOut: Enumerable.Repeat((byte)'a', 2048).ToArray())).AssertGood();
        var command = initiator.Command(Write10(0, blocks), (uint)expected, write: true, immediateData: Enumerable.Repeat((byte)'b', expected).ToArray());
        await initiator.SendAsync(command);
        var result = await initiator.FinishAsync(command);
        result.AssertGood();
        Assert.Equal(residual, result.Residual);
        var written = Math.Min(expected, blocks * 512);
        var read = await initiator.ExecuteAsync(Read10(0, 4), 2048);
        Assert.Equal(new string('b', written) + new string('a', 2048 - written), System.Text.Encoding.ASCII.GetString(read.Data));
    }

    [Fact]
    public async Task CommandThatFailsEarly_AnswersAfterUnsolicitedDataHasCome()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal, "InitialR2T=No");
        var command = initiator.Command(Write10(uint.MaxValue, 4), 2048, write: true, final: false);
        await initiator.SendAsync(command);
        await initiator.ExpectSilenceAsync(100);
        await initiator.SendAsync(TestInitiator.DataOut(command, BasicHeader.ReservedTag, 0, 0, Payload[..2048], true));
        (await initiator.FinishAsync(command)).AssertSense(5, 0x2100);
    }

    private static byte[] Write10(uint lba, int blocks) => [0x2a, 0, (byte)(lba >> 24), (byte)(lba >> 16), (byte)(lba >> 8), (byte)lba, 0, (byte)(blocks >> 8), (byte)blocks, 0];

    private static byte[] Read10(uint lba, int blocks) => [0x28, .. Write10(lba, blocks)[1..]];
}
