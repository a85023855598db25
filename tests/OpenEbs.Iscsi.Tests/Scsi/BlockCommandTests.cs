using System.Buffers.Binary;
using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Iscsi.Tests.Initiators;

namespace OpenEbs.Iscsi.Tests.Scsi;

/// <summary>Commands that read or change blocks.</summary>
public class BlockCommandTests
{
    private const int Blocks = 131072;

    private static readonly byte[] Pattern = [.. Enumerable.Range(0, 64 * 512).Select(i => (byte)((i * 31) + (i >> 8)))];

    [Fact]
    public async Task ReadAndWrite_EverySize_AndForceUnitAccess()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        (await initiator.ExecuteAsync([0x0a, 0, 0, 8, 2, 0], dataOut: Pattern[..1024])).AssertGood();
        Assert.Equal(Pattern[..1024], (await initiator.ExecuteAsync([0x08, 0, 0, 8, 2, 0], 1024)).Data);
        (await initiator.ExecuteAsync([0xaa, 8, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0], dataOut: Pattern[..512])).AssertGood();
        Assert.Equal(Pattern[..512], (await initiator.ExecuteAsync([0xa8, 0x18, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0], 512)).Data);
        (await initiator.ExecuteAsync(Long(0x8a, 10, 2, 8), dataOut: Pattern[512..1536])).AssertGood();
        Assert.Equal(Pattern[512..1536], (await initiator.ExecuteAsync(Long(0x88, 10, 2), 1024)).Data);
        (await initiator.ExecuteAsync([0x2a, 8, 0, 0, 0, 12, 0, 0, 1, 0], dataOut: Pattern[..512])).AssertGood();
        Assert.Equal(["write 4608 512 fua", "write 5120 1024 fua", "write 6144 512 fua"], portal.Store.Calls.Where(call => call.EndsWith("fua", StringComparison.Ordinal)));

        // SBC-3: zero means 256 in the six-byte commands, and nothing in the others.
        Assert.Equal(256 * 512, (await initiator.ExecuteAsync([0x08, 0, 0, 0, 0, 0], 256 * 512)).Data.Length);
        var nothing = await initiator.ExecuteAsync([0x28, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        nothing.AssertGood();
        Assert.Empty(nothing.Data);
    }

    [Theory]
    [InlineData(Blocks, 0u)]
    [InlineData(Blocks, 1u)]
    [InlineData(Blocks - 1, 2u)]
    [InlineData(-1, 1u)]
    [InlineData(0, Blocks + 1u)]
    [InlineData(long.MinValue, 8u)]
    public async Task RunBeyondTheEnd_IsOutOfRange(long lba, uint blocks)
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        foreach (var code in new byte[] { 0x88, 0x8f, 0x90 })
        {
            (await initiator.ExecuteAsync(Long(code, lba, blocks), code == 0x88 ? 512u : 0)).AssertSense(5, 0x2100);
        }

        foreach (var code in new byte[] { 0x8a, 0x8e, 0x93 }) (await initiator.ExecuteAsync(Long(code, lba, blocks), dataOut: new byte[512])).AssertSense(5, 0x2100);
        Assert.Empty(portal.Store.Calls);
    }

    [Fact]
    public async Task TransferBeyondTheLimit_IsInvalidField()
    {
        await using var portal = await TestPortal.StartAsync(sizeBytes: 512 << 20);
        await using var initiator = await TestInitiator.LogInAsync(portal);
        var result = await initiator.ExecuteAsync(Long(0x88, 0, 524289), 512);
        result.AssertSense(5, 0x2400);
        Assert.Equal(10, result.FieldPointer);
        (await initiator.ExecuteAsync(Long(0x93, 0, 524289), dataOut: new byte[512])).AssertSense(5, 0x2400);
    }

    [Theory]
    [InlineData(0x28)]
    [InlineData(0x2a)]
    [InlineData(0x2e)]
    [InlineData(0x2f)]
    [InlineData(0x41)]
    public async Task ProtectionBits_AreRefused(byte code)
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        var result = await initiator.ExecuteAsync([code, 0x20, 0, 0, 0, 0, 0, 0, 1, 0]);
        result.AssertSense(5, 0x2400);
        Assert.Equal(1, result.FieldPointer);
    }

    [Fact]
    public async Task SynchronizeCache_Flushes_AndImmedDefersItsError()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        (await initiator.ExecuteAsync([0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0])).AssertGood();
        Assert.Equal(["flush"], portal.Store.Calls);
        (await initiator.ExecuteAsync([0x35, 0, 0, 2, 0, 1, 0, 0, 1, 0])).AssertSense(5, 0x2100);
        portal.Store.Fail = StoreIoStatus.MediumError;
        (await initiator.ExecuteAsync(Long(0x91, 0, 0))).AssertSense(3, 0x0c00);
        (await initiator.ExecuteAsync(Long(0x91, 0, 0, 2))).AssertGood();
        portal.Store.Fail = StoreIoStatus.Ok;
        var deferred = await initiator.ExecuteAsync([0, 0, 0, 0, 0, 0]);
        deferred.AssertSense(3, 0x0c00);
        Assert.Equal(0x71, deferred.Sense[0] & 0x7f);
        (await initiator.ExecuteAsync([0, 0, 0, 0, 0, 0])).AssertGood();
    }

    [Fact]
    public async Task Unmap_FreesWhatTheListSays()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        await initiator.ExecuteAsync(Long(0x8a, 0, 64), dataOut: Pattern);
        (await UnmapAsync(initiator, (8, 8), (0, 0), (32, 16))).AssertGood();
        Assert.Equal("zero 4096+4096 16384+8192", portal.Store.Calls[^1]);
        var data = (await initiator.ExecuteAsync(Long(0x88, 0, 64), 64 * 512)).Data;
        Assert.Equal(Pattern[..4096], data[..4096]);
        Assert.Equal(new byte[4096], data[4096..8192]);

        var status = (await initiator.ExecuteAsync([0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 1, 0, 0, 0], 256)).Data;
        Assert.Equal(
            [(4L, 4, 0), (8, 8, 1), (16, 16, 0), (32, 16, 1), (48, 16, 0), (64, Blocks - 64, 1)],
            Enumerable.Range(0, (status.Length - 8) / 16).Select(i => status.AsMemory(8 + (16 * i))).Select(descriptor => (
                BinaryPrimitives.ReadInt64BigEndian(descriptor.Span), BinaryPrimitives.ReadInt32BigEndian(descriptor.Span[8..]), (int)descriptor.Span[12])));
        (await initiator.ExecuteAsync([0x9e, 0x12, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1, 0, 0, 0], 256)).AssertSense(5, 0x2100);
    }

    [Fact]
    public async Task Unmap_BadList_ChangesNothing()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        (await initiator.ExecuteAsync([0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0])).AssertGood();
        (await initiator.ExecuteAsync([0x42, 0, 0, 0, 0, 0, 0, 0, 7, 0], dataOut: new byte[7])).AssertSense(5, 0x1a00);
        (await initiator.ExecuteAsync([0x42, 0, 0, 0, 0, 0, 0, 0, 8, 0], dataOut: new byte[8])).AssertGood();
        (await UnmapAsync(initiator, (0, 8), (Blocks, 1))).AssertSense(5, 0x2100);
        (await UnmapAsync(initiator, (0, Blocks), (-1, 0))).AssertSense(5, 0x2100);
        (await UnmapAsync(initiator, [.. Enumerable.Repeat((0L, (uint)Blocks), 9)])).AssertSense(5, 0x2600);
        (await UnmapAsync(initiator, [.. Enumerable.Repeat((0L, 1u), 256)])).AssertSense(5, 0x2600);
        byte[] lying = [0, 0, 0, 32, 0, 0, 0, 0, .. new byte[16]];
        (await initiator.ExecuteAsync([0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0], dataOut: lying)).AssertSense(5, 0x1a00);
        (await initiator.ExecuteAsync([0x42, 1, 0, 0, 0, 0, 0, 0, 8, 0], dataOut: new byte[8])).AssertSense(5, 0x2400);
        Assert.Empty(portal.Store.Calls);
    }

    [Fact]
    public async Task WriteSame_ZerosAreMappedAway_PatternsAreWritten()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        (await initiator.ExecuteAsync(Long(0x93, 8, 5000, 8), dataOut: new byte[512])).AssertGood();
        (await initiator.ExecuteAsync(Long(0x93, 8, 16, 1))).AssertGood();
        Assert.Equal(["zero 4096+2560000", "zero 4096+8192"], portal.Store.Calls);
        portal.Store.Calls.Clear();
        (await initiator.ExecuteAsync([0x41, 0, 0, 0, 0, 100, 0, 0x13, 0x88, 0], dataOut: Pattern[..512])).AssertGood();
        Assert.Equal(["write 51200 1048576", "write 1099776 1048576", "write 2148352 462848"], portal.Store.Calls);
        var data = (await initiator.ExecuteAsync(Long(0x88, 99, 5002), 5002 * 512)).Data;
        Assert.Equal(new byte[512], data[..512]);
        Assert.Equal(new byte[512], data[^512..]);
        for (var block = 1; block <= 5000; block++) Assert.True(data.AsSpan(block * 512, 512).SequenceEqual(Pattern.AsSpan(0, 512)));

        // With UNMAP a block that is not zero is written: what reads back must be what was sent.
        (await initiator.ExecuteAsync(Long(0x93, 0, 1, 8), dataOut: Pattern[..512])).AssertGood();
        Assert.Equal(Pattern[..512], (await initiator.ExecuteAsync(Long(0x88, 0, 1), 512)).Data);
        (await initiator.ExecuteAsync(Long(0x93, 0, 0, 8), dataOut: new byte[512])).AssertSense(5, 0x2400);
        (await initiator.ExecuteAsync(Long(0x93, 0, 1, 0x18), dataOut: new byte[512])).AssertSense(5, 0x2400);
        (await initiator.ExecuteAsync(Long(0x93, 0, 1), dataOut: new byte[1024])).AssertSense(5, 0x0e03);
        (await initiator.ExecuteAsync(Long(0x93, 0, 1), dataOut: new byte[256])).AssertSense(5, 0x0e03);
    }

    [Fact]
    public async Task CompareAndWrite_WritesOnlyWhatMatches()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        await initiator.ExecuteAsync(Long(0x8a, 4, 2), dataOut: Pattern[..1024]);
        (await initiator.ExecuteAsync(CompareAndWrite(4, 2), dataOut: [.. Pattern[..1024], .. Pattern[2048..3072]])).AssertGood();
        Assert.Equal(Pattern[2048..3072], (await initiator.ExecuteAsync(Long(0x88, 4, 2), 1024)).Data);
        var wrong = Pattern[2048..3072];
        wrong[700] ^= 1;
        var result = await initiator.ExecuteAsync(CompareAndWrite(4, 2), dataOut: [.. wrong, .. new byte[1024]]);
        result.AssertSense(0xe, 0x1d00);
        Assert.Equal((0xf0, 700u), (result.Sense[0], result.Information));
        Assert.Equal(Pattern[2048..3072], (await initiator.ExecuteAsync(Long(0x88, 4, 2), 1024)).Data);
        (await initiator.ExecuteAsync(CompareAndWrite(4, 129), dataOut: new byte[129 * 1024])).AssertSense(5, 0x2400);
        (await initiator.ExecuteAsync(CompareAndWrite(4, 1), dataOut: new byte[512])).AssertSense(5, 0x2400);
        (await initiator.ExecuteAsync(CompareAndWrite(4, 0))).AssertGood();
        (await initiator.ExecuteAsync(CompareAndWrite(Blocks, 1), dataOut: new byte[1024])).AssertSense(5, 0x2100);
    }

    [Fact]
    public async Task Verify_ComparesAsByteCheckSays()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        await initiator.ExecuteAsync(Long(0x8a, 0, 64), dataOut: Pattern);
        (await initiator.ExecuteAsync(Long(0x8f, 0, 64))).AssertGood();
        Assert.Equal("read 0 32768", portal.Store.Calls[^1]);
        (await initiator.ExecuteAsync(Long(0x8f, 0, 64, 2), dataOut: Pattern)).AssertGood();
        var wrong = (byte[])Pattern.Clone();
        wrong[^1] ^= 1;
        (await initiator.ExecuteAsync([0x2f, 2, 0, 0, 0, 0, 0, 0, 64, 0], dataOut: wrong)).AssertSense(0xe, 0x1d00);
        (await initiator.ExecuteAsync([0xaf, 6, 0, 0, 0, 100, 0, 0, 0, 64, 0, 0], dataOut: new byte[512])).AssertGood();
        (await initiator.ExecuteAsync([0xaf, 6, 0, 0, 0, 60, 0, 0, 0, 64, 0, 0], dataOut: new byte[512])).AssertSense(0xe, 0x1d00);
        (await initiator.ExecuteAsync(Long(0x8f, 0, 64, 4), dataOut: Pattern)).AssertSense(5, 0x2400);
        (await initiator.ExecuteAsync(Long(0x8f, 0, 64, 2), dataOut: Pattern[..512])).AssertSense(5, 0x0e03);
        (await initiator.ExecuteAsync(Long(0x8f, 0, 5000))).AssertGood();
        portal.Store.Fail = StoreIoStatus.MediumError;
        (await initiator.ExecuteAsync(Long(0x8f, 0, 64))).AssertSense(3, 0x1100);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(2)]
    public async Task WriteAndVerify_WritesToMediaAndReadsBack(byte byteCheck)
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        (await initiator.ExecuteAsync(Long(0x8e, 8, 64, byteCheck), dataOut: Pattern)).AssertGood();
        Assert.Equal(["write 4096 32768 fua", "read 4096 32768"], portal.Store.Calls);
        (await initiator.ExecuteAsync([0x2e, 6, 0, 0, 0, 0, 0, 0, 1, 0], dataOut: new byte[512])).AssertSense(5, 0x2400);
    }

    /// <summary>Any sequence of commands leaves what the same sequence leaves in an array of bytes.</summary>
    [Fact]
    public async Task RandomCommands_EqualTheByteArrayModel()
    {
        await using var portal = await TestPortal.StartAsync(sizeBytes: 1 << 20);
        await using var initiator = await TestInitiator.LogInAsync(portal, "MaxRecvDataSegmentLength=4096 MaxBurstLength=16384 FirstBurstLength=8192 MaxOutstandingR2T=2");
        var model = new byte[1 << 20];
        var random = new Random(7143);
        for (var step = 0; step < 400; step++)
        {
            var (kind, lba, fill) = (random.Next(6), random.Next(2048), (byte)random.Next());
            var blocks = Math.Min(random.Next(1, 65), 2048 - lba);
            var range = (lba * 512)..((lba + blocks) * 512);
            var data = Enumerable.Range(0, blocks * 512).Select(i => (byte)(fill + i)).ToArray();
            switch (kind)
            {
                case 0:
                    (await initiator.ExecuteAsync(Long(0x8a, lba, (uint)blocks), dataOut: data)).AssertGood();
                    data.CopyTo(model.AsSpan(range));
                    break;
                case 1:
                    (await UnmapAsync(initiator, (lba, (uint)blocks))).AssertGood();
                    model.AsSpan(range).Clear();
                    break;
                case 2:
                    (await initiator.ExecuteAsync(Long(0x93, lba, (uint)blocks), dataOut: data[..512])).AssertGood();
                    for (var block = 0; block < blocks; block++) data.AsSpan(0, 512).CopyTo(model.AsSpan((lba + block) * 512));
                    break;
                case 3:
                    (await initiator.ExecuteAsync(CompareAndWrite(lba, 1), dataOut: [.. model[(lba * 512)..((lba + 1) * 512)], .. data[..512]])).AssertGood();
                    data.AsSpan(0, 512).CopyTo(model.AsSpan(lba * 512));
                    break;
                case 4:
                    (await initiator.ExecuteAsync(Long(0x8f, lba, (uint)blocks, 2), dataOut: model[range])).AssertGood();
                    break;
                default:
                    Assert.Equal(model[range], (await initiator.ExecuteAsync(Long(0x88, lba, (uint)blocks), (uint)(blocks * 512))).Data);
                    break;
            }
        }

        Assert.Equal(model, (await initiator.ExecuteAsync(Long(0x88, 0, 2048), 1 << 20)).Data);
    }

    private static byte[] Long(byte code, long lba, uint blocks, byte flags = 0)
    {
        var cdb = new byte[16];
        (cdb[0], cdb[1]) = (code, flags);
        BinaryPrimitives.WriteInt64BigEndian(cdb.AsSpan(2), lba);
        BinaryPrimitives.WriteUInt32BigEndian(cdb.AsSpan(10), blocks);
        return cdb;
    }

    private static byte[] CompareAndWrite(long lba, byte blocks)
    {
        var cdb = Long(0x89, lba, 0);
        cdb[13] = blocks;
        return cdb;
    }

    private static Task<TestResult> UnmapAsync(TestInitiator initiator, params (long Lba, uint Blocks)[] ranges)
    {
        var list = new byte[8 + (16 * ranges.Length)];
        BinaryPrimitives.WriteUInt16BigEndian(list, (ushort)(list.Length - 2));
        BinaryPrimitives.WriteUInt16BigEndian(list.AsSpan(2), (ushort)(list.Length - 8));
        for (var i = 0; i < ranges.Length; i++)
        {
            BinaryPrimitives.WriteInt64BigEndian(list.AsSpan(8 + (16 * i)), ranges[i].Lba);
            BinaryPrimitives.WriteUInt32BigEndian(list.AsSpan(16 + (16 * i)), ranges[i].Blocks);
        }

        return initiator.ExecuteAsync([0x42, 0, 0, 0, 0, 0, 0, (byte)(list.Length >> 8), (byte)list.Length, 0], dataOut: list);
    }
}
