using System.Buffers.Binary;
using System.Text;
using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Iscsi.Scsi;
using OpenEbs.Iscsi.Tests.Initiators;

namespace OpenEbs.Iscsi.Tests.Scsi;

/// <summary>Commands that report or configure.</summary>
public class ScsiTests
{
    private static readonly byte[] TestUnitReady = [0, 0, 0, 0, 0, 0];

    [Fact]
    public async Task Inquiry_Standard_DescribesAThinBlockDevice()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal, clearAttention: false);
        var data = (await initiator.ExecuteAsync([0x12, 0, 0, 0, 255, 0], 255)).Data;
        Assert.Equal(96, data.Length);
        Assert.Equal("OPENEBS ORLEANS VOLUME  0001", Encoding.ASCII.GetString(data, 8, 28));
        Assert.Equal((0, 6, 0x12, 91, 2), (data[0], data[2], data[3], data[4], data[7]));

        // Allocation length cuts; the unit attention is still there for another command.
        Assert.Equal(5, (await initiator.ExecuteAsync([0x12, 0, 0, 0, 5, 0], 255)).Data.Length);
        (await initiator.ExecuteAsync(TestUnitReady)).AssertSense(6, 0x2900);
        (await initiator.ExecuteAsync(TestUnitReady)).AssertGood();
    }

    [Fact]
    public async Task Inquiry_VitalPages_AreThoseListed()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        var pages = (await VitalAsync(initiator, 0))[4..];
        Assert.Equal([0x00, 0x80, 0x83, 0x86, 0x87, 0x8f, 0xb0, 0xb1, 0xb2, 0xb7], pages);
        foreach (var page in pages)
        {
            var data = await VitalAsync(initiator, page);
            Assert.Equal((0, page, data.Length - 4), (data[0], data[1], BinaryPrimitives.ReadUInt16BigEndian(data.AsSpan(2))));
        }

        (await initiator.ExecuteAsync([0x12, 1, 0xc0, 0, 255, 0], 255)).AssertSense(5, 0x2400);
        (await initiator.ExecuteAsync([0x12, 0, 0x80, 0, 255, 0], 255)).AssertSense(5, 0x2400);
    }

    [Fact]
    public async Task Inquiry_Identification_IsStableAndNamesUnitPortAndTarget()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        var designators = new Dictionary<(int Association, int Type), byte[]>();
        var data = await VitalAsync(initiator, 0x83);
        for (var at = 4; at < data.Length; at += 4 + data[at + 3])
        {
            designators.Add(((data[at + 1] >> 4) & 3, data[at + 1] & 0xf), data[(at + 4)..(at + 4 + data[at + 3])]);
        }

        var naa = designators[(0, 3)];
        Assert.Equal((8, 3), (naa.Length, naa[0] >> 4));
        Assert.Equal("OPENEBS 6f0e6c523d5a4c579d0e1f2a3b4c5d6e", Encoding.ASCII.GetString(designators[(0, 1)]));
        Assert.Equal(portal.TargetName + ",t,0x0001", Encoding.ASCII.GetString(designators[(1, 8)]).TrimEnd('\0'));
        Assert.Equal(portal.TargetName, Encoding.ASCII.GetString(designators[(2, 8)]).TrimEnd('\0'));
        Assert.Equal([0, 0, 0, 1], designators[(1, 4)]);
        Assert.Equal("6f0e6c523d5a4c579d0e1f2a3b4c5d6e", Encoding.ASCII.GetString((await VitalAsync(initiator, 0x80))[4..]));
    }

    [Theory]
    [InlineData(512, 8, 524288, 2048)]
    [InlineData(4096, 1, 65536, 256)]
    public async Task Inquiry_BlockLimits_AreTheLimitsThatAreKept(int blockLength, int granularity, int maxTransfer, int optimalTransfer)
    {
        await using var portal = await TestPortal.StartAsync(blockLength: blockLength);
        await using var initiator = await TestInitiator.LogInAsync(portal);
        var data = await VitalAsync(initiator, 0xb0);
        Assert.Equal((1, 128, granularity), (data[4], data[5], BinaryPrimitives.ReadUInt16BigEndian(data.AsSpan(6))));
        Assert.Equal([maxTransfer, optimalTransfer, 0, 1 << 20, 255, granularity], Enumerable.Range(0, 6).Select(i => BinaryPrimitives.ReadInt32BigEndian(data.AsSpan(8 + (4 * i)))));
        Assert.Equal(0x80, data[32]);
        Assert.Equal((256L << 20) / blockLength, BinaryPrimitives.ReadInt64BigEndian(data.AsSpan(36)));
        Assert.Equal([0xe4, 0x02], (await VitalAsync(initiator, 0xb2))[5..7]);
    }

    [Fact]
    public async Task ReadCapacity_TellsSizeAndProvisioning()
    {
        await using var portal = await TestPortal.StartAsync(sizeBytes: 64 << 20);
        await using var initiator = await TestInitiator.LogInAsync(portal);
        Assert.Equal([0, 1, 0xff, 0xff, 0, 0, 2, 0], (await initiator.ExecuteAsync([0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], 8)).Data);
        var data = (await initiator.ExecuteAsync([0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0], 32)).Data;
        Assert.Equal((131071L, 512, (byte)3, (byte)0xc0), (BinaryPrimitives.ReadInt64BigEndian(data), BinaryPrimitives.ReadInt32BigEndian(data.AsSpan(8)), data[13], data[14]));
        (await initiator.ExecuteAsync([0x25, 0, 0, 0, 0, 1, 0, 0, 0, 0], 8)).AssertSense(5, 0x2400);
    }

    [Fact]
    public async Task ReadCapacity10_OfAHugeUnit_SaysAskTheOther()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        portal.Store.Facts = portal.Store.Facts with { SizeBytes = 4L << 40 };
        (await initiator.ExecuteAsync(TestUnitReady)).AssertSense(6, 0x2a09);
        Assert.Equal([0xff, 0xff, 0xff, 0xff, 0, 0, 2, 0], (await initiator.ExecuteAsync([0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], 8)).Data);
        portal.Store.Facts = portal.Store.Facts with { SizeBytes = 64 << 20 };
    }

    [Fact]
    public async Task ChangedFacts_AreUnitAttentions()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        portal.Store.Facts = portal.Store.Facts with { DataLossCount = 1 };
        (await initiator.ExecuteAsync(TestUnitReady)).AssertSense(6, 0x2901);
        portal.Store.Facts = portal.Store.Facts with { WriteCache = false };
        var sense = (await initiator.ExecuteAsync([0x03, 0, 0, 0, 252, 0], 252)).Data;
        Assert.Equal((6, 0x2a, 0x01), (sense[2], sense[12], sense[13]));
        (await initiator.ExecuteAsync(TestUnitReady)).AssertGood();
        Assert.Equal(0, (await initiator.ExecuteAsync([0x1a, 8, 8, 0, 255, 0], 255)).Data[6] & 4);
    }

    [Fact]
    public async Task WriteProtection_IsAUnitAttentionAndAModeBit()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        Assert.Equal(0x10, (await initiator.ExecuteAsync([0x1a, 0, 0x3f, 0, 255, 0], 255)).Data[2]);
        foreach (var isProtected in new[] { true, false })
        {
            portal.Store.Facts = portal.Store.Facts with { IsWriteProtected = isProtected };
            (await initiator.ExecuteAsync(TestUnitReady)).AssertSense(6, 0x2a01);
            Assert.Equal(isProtected ? 0x90 : 0x10, (await initiator.ExecuteAsync([0x1a, 0, 0x3f, 0, 255, 0], 255)).Data[2]);
            Assert.Equal(isProtected ? 0x90 : 0x10, (await initiator.ExecuteAsync([0x5a, 0, 0x3f, 0, 0, 0, 0, 0, 255, 0], 255)).Data[3]);
        }
    }

    [Fact]
    public async Task ModeSense_ShowsPagesThatTellTheTruth()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        var all = (await initiator.ExecuteAsync([0x1a, 0, 0x3f, 0, 255, 0], 255)).Data;
        Assert.Equal((all.Length - 1, 0x10, 8), (all[0], all[2], all[3]));
        Assert.Equal([0x01, 0x08, 0x0a], PageCodes(all, 12));
        Assert.Equal(4, (await initiator.ExecuteAsync([0x1a, 8, 0x08, 0, 255, 0], 255)).Data[6] & 4);
        Assert.Equal(0, (await initiator.ExecuteAsync([0x1a, 8, 0x48, 0, 255, 0], 255)).Data[6]);
        Assert.Equal(4, (await initiator.ExecuteAsync([0x1a, 8, 0x4a, 0, 255, 0], 255)).Data[6]);
        (await initiator.ExecuteAsync([0x1a, 8, 0xc8, 0, 255, 0], 255)).AssertSense(5, 0x3900);
        (await initiator.ExecuteAsync([0x1a, 8, 0x05, 0, 255, 0], 255)).AssertSense(5, 0x2400);
        var ten = (await initiator.ExecuteAsync([0x5a, 0x10, 0x3f, 0, 0, 0, 0, 1, 0, 0], 256)).Data;
        Assert.Equal((ten.Length - 2, 1, 16), (BinaryPrimitives.ReadUInt16BigEndian(ten), ten[4], ten[7]));
        Assert.Equal(131072, BinaryPrimitives.ReadInt64BigEndian(ten.AsSpan(8)));
        Assert.Equal([0x01, 0x08, 0x0a], PageCodes(ten, 24));
    }

    [Fact]
    public async Task ModeSelect_OfDescriptorSense_TakesEffectAndTellsTheOthers()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        await using var other = await TestInitiator.ConnectAsync(portal.EndPoint);
        other.Isid++;
        await other.LoginAsync(portal.TargetName);
        await other.ExecuteAsync(TestUnitReady);
        var page = (await initiator.ExecuteAsync([0x1a, 8, 0x0a, 0, 255, 0], 255)).Data;
        page[0] = 0;
        page[6] |= 4;
        (await initiator.ExecuteAsync([0x15, 0x10, 0, 0, (byte)page.Length, 0], dataOut: page)).AssertGood();
        var failed = await initiator.ExecuteAsync([0x28, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 1, 0], 512);
        Assert.Equal(0x72, failed.Sense[0]);
        failed.AssertSense(5, 0x2100);
        Assert.Equal(0xffffffff, BinaryPrimitives.ReadInt64BigEndian(failed.Sense.AsSpan(12)));
        (await other.ExecuteAsync(TestUnitReady)).AssertSense(6, 0x2a01);
        (await initiator.ExecuteAsync(TestUnitReady)).AssertGood();
    }

    [Fact]
    public async Task ModeSelect_OfAnythingElse_IsRefusedWithAPointer()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        var caching = (await initiator.ExecuteAsync([0x1a, 8, 8, 0, 255, 0], 255)).Data;
        caching[0] = 0;
        (await initiator.ExecuteAsync([0x15, 0x10, 0, 0, (byte)caching.Length, 0], dataOut: caching)).AssertGood();
        caching[6] ^= 4;
        var refused = await initiator.ExecuteAsync([0x15, 0x10, 0, 0, (byte)caching.Length, 0], dataOut: caching);
        refused.AssertSense(5, 0x2600);
        Assert.Equal((6, 0x8a), (refused.FieldPointer, refused.Sense[15]));
        (await initiator.ExecuteAsync([0x15, 0x10, 0, 0, 10, 0], dataOut: caching[..10])).AssertSense(5, 0x1a00);
        (await initiator.ExecuteAsync([0x15, 0x10, 0, 0, 2, 0], dataOut: caching[..2])).AssertSense(5, 0x1a00);
        (await initiator.ExecuteAsync([0x15, 0x11, 0, 0, 4, 0], dataOut: new byte[4])).AssertSense(5, 0x2400);
        (await initiator.ExecuteAsync([0x15, 0x00, 0, 0, 4, 0], dataOut: new byte[4])).AssertSense(5, 0x2400);
        (await initiator.ExecuteAsync([0x15, 0x10, 0, 0, 0, 0])).AssertGood();
        byte[] wrongBlocks = [0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 16, 0];
        (await initiator.ExecuteAsync([0x55, 0x10, 0, 0, 0, 0, 0, 0, 16, 0], dataOut: wrongBlocks)).AssertSense(5, 0x2600);
    }

    [Fact]
    public async Task ReportLuns_AndWrongLun()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        const ulong WrongLun = 1UL << 48;
        foreach (var lun in new[] { 0UL, WrongLun })
        {
            Assert.Equal([0, 0, 0, 8, .. new byte[12]], (await initiator.ExecuteAsync([0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0], 16, lun: lun)).Data);
        }

        Assert.Equal(8, (await initiator.ExecuteAsync([0xa0, 0, 1, 0, 0, 0, 0, 0, 0, 16, 0, 0], 16)).Data.Length);
        (await initiator.ExecuteAsync([0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 15, 0, 0], 16)).AssertSense(5, 0x2400);
        (await initiator.ExecuteAsync([0xa0, 0, 0x10, 0, 0, 0, 0, 0, 0, 16, 0, 0], 16)).AssertSense(5, 0x2400);
        (await initiator.ExecuteAsync(TestUnitReady, lun: WrongLun)).AssertSense(5, 0x2500);
        Assert.Equal(0x7f, (await initiator.ExecuteAsync([0x12, 0, 0, 0, 96, 0], 96, lun: WrongLun)).Data[0]);
        Assert.Equal(0x25, (await initiator.ExecuteAsync([0x03, 0, 0, 0, 18, 0], 18, lun: WrongLun)).Data[12]);
        (await initiator.ExecuteAsync(TestUnitReady, lun: 0x4000UL << 48)).AssertGood();
    }

    /// <summary>What is reported as supported is exactly what is not answered with INVALID COMMAND OPERATION CODE.</summary>
    [Fact]
    public async Task ReportSupportedOperationCodes_EqualsWhatIsServed()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        var all = (await initiator.ExecuteAsync([0xa3, 0x0c, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0], 4096)).Data;
        var reported = new HashSet<int>();
        for (var at = 4; at < all.Length; at += 8) reported.Add((all[at] << 8) | ((all[at + 5] & 1) != 0 ? all[at + 3] : 0));
        Assert.Equal(BinaryPrimitives.ReadInt32BigEndian(all), all.Length - 4);
        for (var code = 0; code < 256; code++)
        {
            var actions = SupportedCommands.HasServiceActions((byte)code) ? 32 : 1;
            for (var action = 0; action < actions; action++)
            {
                // A reserved LUN bit pattern would be refused; a control byte that is refused shows that the command is known without running it.
                var cdb = new byte[16];
                (cdb[0], cdb[1]) = ((byte)code, (byte)action);
                var length = SupportedCommands.Find((byte)code, action)?.CdbLengthBytes ?? 6;
                cdb[length - 1] = 0x04;
                var result = await initiator.ExecuteAsync(cdb);
                var isKnown = result.SenseCode == 0x2400 && result.FieldPointer == length - 1;
                Assert.True(isKnown == reported.Contains((code << 8) | action), $"Operation {code:x2}/{action:x2}: {Convert.ToHexString(result.Sense)}");
                if (!isKnown) result.AssertSense(5, actions > 1 ? 0x2400 : 0x2000);
            }
        }
    }

    [Fact]
    public async Task ReportSupportedOperationCodes_OneCommand_ShowsItsUsage()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        var read10 = (await initiator.ExecuteAsync([0xa3, 0x0c, 1, 0x28, 0, 0, 0, 0, 1, 0, 0, 0], 256)).Data;
        Assert.Equal([0, 3, 0, 10, 0x28, 0x18, 0xff, 0xff, 0xff, 0xff, 0x1f, 0xff, 0xff, 0], read10);
        var timed = (await initiator.ExecuteAsync([0xa3, 0x0c, 0x82, 0x9e, 0, 0x12, 0, 0, 1, 0, 0, 0], 256)).Data;
        Assert.Equal((0x83, 16, 10), (timed[1], timed[3], timed[4 + 16 + 1]));
        Assert.Equal(1, (await initiator.ExecuteAsync([0xa3, 0x0c, 1, 0x04, 0, 0, 0, 0, 1, 0, 0, 0], 256)).Data[1]);
        Assert.Equal(1, (await initiator.ExecuteAsync([0xa3, 0x0c, 3, 0x9e, 0, 0x13, 0, 0, 1, 0, 0, 0], 256)).Data[1]);
        Assert.Equal(3, (await initiator.ExecuteAsync([0xa3, 0x0c, 3, 0x9e, 0, 0x10, 0, 0, 1, 0, 0, 0], 256)).Data[1]);
        (await initiator.ExecuteAsync([0xa3, 0x0c, 1, 0x9e, 0, 0, 0, 0, 1, 0, 0, 0], 256)).AssertSense(5, 0x2400);
        (await initiator.ExecuteAsync([0xa3, 0x0c, 2, 0x28, 0, 0, 0, 0, 1, 0, 0, 0], 256)).AssertSense(5, 0x2400);
        (await initiator.ExecuteAsync([0xa3, 0x0c, 4, 0x28, 0, 0, 0, 0, 1, 0, 0, 0], 256)).AssertSense(5, 0x2400);
    }

    /// <summary>Every bit that the usage data do not show is refused, with a pointer at it.</summary>
    [Fact]
    public async Task ReservedBits_AreRefusedWhereverTheyAre()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        foreach (var command in SupportedCommands.All)
        {
            for (var at = 1; at < command.CdbLengthBytes; at++)
            {
                var usage = at == 1 && command.ServiceAction is not null ? command.Usage[at] | 0x1f : command.Usage[at];
                for (var bit = 0; bit < 8; bit++)
                {
                    if ((usage & (1 << bit)) != 0) continue;
                    var cdb = new byte[16];
                    (cdb[0], cdb[1]) = ((byte)command.Code, command.ServiceAction ?? 0);
                    cdb[at] |= (byte)(1 << bit);
                    var result = await initiator.ExecuteAsync(cdb);
                    result.AssertSense(5, 0x2400);
                    Assert.Equal((at, 0xc8 | bit), (result.FieldPointer, result.Sense[15]));
                }
            }
        }

        Assert.Empty(portal.Store.Calls);
    }

    [Fact]
    public async Task SmallCommands_DoWhatTheySayOrRefuse()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        (await initiator.ExecuteAsync([0x1b, 1, 0, 0, 1, 0])).AssertGood();
        (await initiator.ExecuteAsync([0x1b, 0, 0, 0, 0, 0])).AssertSense(5, 0x2400);
        (await initiator.ExecuteAsync([0x1e, 0, 0, 0, 1, 0])).AssertGood();
        (await initiator.ExecuteAsync([0x1e, 0, 0, 0, 2, 0])).AssertSense(5, 0x2400);
        (await initiator.ExecuteAsync([0x1d, 4, 0, 0, 0, 0])).AssertGood();
        (await initiator.ExecuteAsync([0x1d, 0, 0, 0, 4, 0])).AssertSense(5, 0x2400);
        Assert.Equal([0, 0, 0, 2, 0, 0x2f], (await initiator.ExecuteAsync([0x4d, 0, 0x40, 0, 0, 0, 0, 1, 0, 0], 256)).Data);
        Assert.Equal(12, (await initiator.ExecuteAsync([0x4d, 0, 0x6f, 0, 0, 0, 0, 1, 0, 0], 256)).Data.Length);
        (await initiator.ExecuteAsync([0x4d, 0, 0x4d, 0, 0, 0, 0, 1, 0, 0], 256)).AssertSense(5, 0x2400);
        var quiet = (await initiator.ExecuteAsync([0x03, 1, 0, 0, 252, 0], 252)).Data;
        Assert.Equal((8, 0x72, 0), (quiet.Length, quiet[0], quiet[1]));
        (await initiator.ExecuteAsync(TestUnitReady, attribute: 4)).AssertSense(5, 0x4900);
    }

    [Theory]
    [InlineData(StoreIoStatus.NoSpace, 0x7, 0x2707)]
    [InlineData(StoreIoStatus.TimedOut, 0xb, 0x2e02)]
    [InlineData(StoreIoStatus.MediumError, 0x3, 0x0c00)]
    [InlineData(StoreIoStatus.Gone, 0x5, 0x2500)]
    [InlineData(StoreIoStatus.OutOfRange, 0x5, 0x2100)]
    public async Task StoreFailure_BecomesSense(StoreIoStatus status, int key, int code)
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        portal.Store.Fail = status;
        (await initiator.ExecuteAsync([0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0], dataOut: new byte[512])).AssertSense(key, code);
        (await initiator.ExecuteAsync([0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], 512)).AssertSense(key, code == 0x0c00 ? 0x1100 : code);
        portal.Store.Fail = StoreIoStatus.Ok;
        (await initiator.ExecuteAsync([0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], 512)).AssertGood();
    }

    [Fact]
    public async Task StoreThrows_IsHardwareErrorAndTheSessionLives()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        portal.Store.Throw = true;
        (await initiator.ExecuteAsync([0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], 512)).AssertSense(4, 0x4400);
        portal.Store.Throw = false;
        (await initiator.ExecuteAsync([0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], 512)).AssertGood();
    }

    private static async Task<byte[]> VitalAsync(TestInitiator initiator, byte page)
    {
        var result = await initiator.ExecuteAsync([0x12, 1, page, 4, 0, 0], 1024);
        result.AssertGood();
        return result.Data;
    }

    private static List<int> PageCodes(byte[] data, int offset)
    {
        var codes = new List<int>();
        for (; offset < data.Length; offset += 2 + data[offset + 1]) codes.Add(data[offset]);
        return codes;
    }
}
