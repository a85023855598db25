using System.Buffers.Binary;
using OpenEbs.Iscsi.Access;
using OpenEbs.Iscsi.Host;
using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Iscsi.Tests.Initiators;

namespace OpenEbs.Iscsi.Tests.Scsi;

/// <summary>ORWRITE, WRITE ATOMIC, EXTENDED COPY, SANITIZE, REPORT TARGET PORT GROUPS, READ DEFECT DATA at PDU level.</summary>
public class CopyAndAtomicTests
{
    [Fact]
    public async Task OrWrite_SetsBitsAndKeepsTheRest()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        (await initiator.ExecuteAsync([0x2a, 0, 0, 0, 0, 8, 0, 0, 8, 0], dataOut: Filled(4096, 0x0f))).AssertGood();
        (await initiator.ExecuteAsync(Long(0x8b, 8, 8), dataOut: Filled(4096, 0x31))).AssertGood();
        Assert.Equal(Filled(4096, 0x3f), (await initiator.ExecuteAsync([0x28, 0, 0, 0, 0, 8, 0, 0, 8, 0], 4096)).Data);
        (await initiator.ExecuteAsync(Long(0x8b, 8, 8), dataOut: new byte[2048])).AssertSense(5, 0x0e03);
        (await initiator.ExecuteAsync(Long(0x8b, 1ul << 40, 8), dataOut: new byte[4096])).AssertSense(5, 0x2100);
    }

    [Fact]
    public async Task WriteAtomic_UpToItsLimit_IsOneStoreCall()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        var data = Filled(1 << 20, 0x5a);
        (await initiator.ExecuteAsync([0x9c, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 8, 0, 0, 0], dataOut: data)).AssertGood();
        Assert.Equal([$"write {3 * 512} {1 << 20}"], portal.Store.Calls);
        (await initiator.ExecuteAsync([0x9c, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 8, 1, 0, 0], dataOut: new byte[512])).AssertSense(5, 0x2400);
        (await initiator.ExecuteAsync([0x9c, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 1, 0, 1, 0, 0], dataOut: new byte[512])).AssertSense(5, 0x2400);
        (await initiator.ExecuteAsync([0x9c, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0], dataOut: new byte[512])).AssertSense(5, 0x0e03);
        var limits = (await initiator.ExecuteAsync([0x12, 1, 0xb0, 0, 64, 0], 64)).Data;
        Assert.Equal(2048u, BinaryPrimitives.ReadUInt32BigEndian(limits.AsSpan(44)));
    }

    [Fact]
    public async Task ExtendedCopy_CopiesBlocks_AndItsResultIsHeldOnce()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        var data = new byte[1 << 20];
        new Random(1).NextBytes(data);
        (await initiator.ExecuteAsync([0x2a, 0, 0, 0, 0, 0, 0, 8, 0, 0], dataOut: data)).AssertGood();
        var list = CopyList(portal.Store.Facts.Uid, blocks: 2048, destination: 10000);
        (await initiator.ExecuteAsync(CopyCdb(list), dataOut: list)).AssertGood();
        Assert.Equal(data, (await initiator.ExecuteAsync([0x28, 0, 0, 0, 0x27, 0x10, 0, 8, 0, 0], 1 << 20)).Data);
        byte[] status = [0x84, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0];
        Assert.Equal([0, 0, 0, 8, 1, 0, 1, 1, 0, 0, 4, 0], (await initiator.ExecuteAsync(status, 64)).Data);
        (await initiator.ExecuteAsync(status, 64)).AssertSense(5, 0x2400);
    }

    [Fact]
    public async Task ExtendedCopy_ThatCannotBeDone_SaysWhy()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        var unknown = CopyList(Guid.NewGuid(), 8, 100);
        (await initiator.ExecuteAsync(CopyCdb(unknown), dataOut: unknown)).AssertSense(0xa, 0x0d02);
        var beyond = CopyList(portal.Store.Facts.Uid, 8, 131071);
        (await initiator.ExecuteAsync(CopyCdb(beyond), dataOut: beyond)).AssertSense(0xa, 0x0000);
        byte[] failed = [0x84, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0];
        Assert.Equal(2, (await initiator.ExecuteAsync(failed, 64)).Data[4]);
        var type = CopyList(portal.Store.Facts.Uid, 8, 100);
        type[16] = 0xe0;
        (await initiator.ExecuteAsync(CopyCdb(type), dataOut: type)).AssertSense(5, 0x2607);
        var segment = CopyList(portal.Store.Facts.Uid, 8, 100);
        segment[48] = 3;
        (await initiator.ExecuteAsync(CopyCdb(segment), dataOut: segment)).AssertSense(5, 0x2609);
        (await initiator.ExecuteAsync(CopyCdb(new byte[8]), dataOut: new byte[8])).AssertSense(5, 0x1a00);
        (await initiator.ExecuteAsync([0x83, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])).AssertSense(5, 0x2400);
        Assert.DoesNotContain(portal.Store.Calls, call => call.StartsWith("write", StringComparison.Ordinal));
    }

    /// <summary>A volume that the initiator may not log in to is to its copies as one that there is not.</summary>
    [Fact]
    public async Task ExtendedCopy_FromAForbiddenVolume_FindsNone()
    {
        await using var portal = await TestPortal.StartAsync();
        using var secret = new MemoryStore(1 << 20, 512, portal.Pool);
        secret.Facts = secret.Facts with { Uid = Guid.Parse("11111111-2222-3333-4444-555555555555") };
        portal.Catalog.Add("iqn.2016-09.com.openebs.orleans:secret", secret);
        await using var initiator = await TestInitiator.LogInAsync(portal);
        var list = CopyList(secret.Facts.Uid, 8, 100);
        (await initiator.ExecuteAsync(CopyCdb(list), dataOut: list)).AssertGood();
        portal.Catalog.Decide = login => new LoginDecision(login.TargetName.EndsWith("secret", StringComparison.Ordinal) ? LoginDemand.Forbidden : LoginDemand.Open);
        (await initiator.ExecuteAsync(CopyCdb(list), dataOut: list)).AssertSense(0xa, 0x0d02);
    }

    [Fact]
    public async Task Sanitize_BlockErase_LeavesZeroes_AndOtherKindsAreRefused()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        (await initiator.ExecuteAsync([0x2a, 0, 0, 0, 0, 8, 0, 0, 8, 0], dataOut: Filled(4096, 0x77))).AssertGood();
        (await initiator.ExecuteAsync([0x48, 2, 0, 0, 0, 0, 0, 0, 0, 0])).AssertGood();
        Assert.Equal(new byte[4096], (await initiator.ExecuteAsync([0x28, 0, 0, 0, 0, 8, 0, 0, 8, 0], 4096)).Data);
        Assert.Contains("flush", portal.Store.Calls);
        (await initiator.ExecuteAsync([0x48, 0x1f, 0, 0, 0, 0, 0, 0, 0, 0])).AssertGood();
        (await initiator.ExecuteAsync([0x48, 1, 0, 0, 0, 0, 0, 0, 8, 0], dataOut: new byte[8])).AssertSense(5, 0x2400);
        (await initiator.ExecuteAsync([0x48, 3, 0, 0, 0, 0, 0, 0, 0, 0])).AssertSense(5, 0x2400);
        (await initiator.ExecuteAsync([0x48, 2, 0, 0, 0, 0, 0, 0, 8, 0], dataOut: new byte[8])).AssertSense(5, 0x2400);
    }

    [Fact]
    public async Task TargetPortGroups_FollowTheUnit()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        byte[] cdb = [0xa3, 0x0a, 0, 0, 0, 0, 0, 0, 64, 0, 0, 0];
        Assert.Equal([0, 0, 0, 12, 0, 3, 0, 1, 0, 2, 0, 1, 0, 0, 0, 1], (await initiator.ExecuteAsync(cdb, 64)).Data);
        portal.Store.Facts = portal.Store.Facts with { OptimizedPort = 2 };
        (await initiator.ExecuteAsync([0, 0, 0, 0, 0, 0])).AssertSense(6, 0x2a06);
        Assert.Equal(1, (await initiator.ExecuteAsync(cdb, 64)).Data[4]);
        cdb[1] = 0x2a;
        Assert.Equal([0, 0, 0, 16, 0x10, 0, 0, 0, 1], (await initiator.ExecuteAsync(cdb, 64)).Data[..9]);
        (await initiator.ExecuteAsync([0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0], dataOut: new byte[8])).AssertSense(5, 0x2000);
        Assert.Equal(0x18, (await initiator.ExecuteAsync([0x12, 0, 0, 0, 96, 0], 96)).Data[5]);
    }

    [Fact]
    public async Task DefectData_IsEmpty()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        Assert.Equal([0, 0x1d, 0, 0], (await initiator.ExecuteAsync([0x37, 0, 0x1d, 0, 0, 0, 0, 0, 64, 0], 64)).Data);
        Assert.Equal([0, 0x1b, 0, 0, 0, 0, 0, 0], (await initiator.ExecuteAsync([0xb7, 0x1b, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0], 64)).Data);
    }

    private static byte[] Filled(int length, byte value)
    {
        var bytes = new byte[length];
        Array.Fill(bytes, value);
        return bytes;
    }

    private static byte[] Long(byte code, ulong lba, uint blocks)
    {
        var cdb = new byte[16];
        cdb[0] = code;
        BinaryPrimitives.WriteUInt64BigEndian(cdb.AsSpan(2), lba);
        BinaryPrimitives.WriteUInt32BigEndian(cdb.AsSpan(10), blocks);
        return cdb;
    }

    private static byte[] CopyCdb(byte[] list)
    {
        var cdb = new byte[16];
        cdb[0] = 0x83;
        BinaryPrimitives.WriteUInt32BigEndian(cdb.AsSpan(10), (uint)list.Length);
        return cdb;
    }

    /// <summary>List identifier 7, one target, one segment from LBA 0.</summary>
    private static byte[] CopyList(Guid uid, ushort blocks, ulong destination)
    {
        var list = new byte[16 + 32 + 28];
        list[0] = 7;
        list[3] = 32;
        list[11] = 28;
        var target = list.AsSpan(16);
        (target[0], target[4], target[5], target[7]) = (0xe4, 1, 3, 8);
        UnitDesignator.NaaOf(uid).CopyTo(target[8..]);
        var segment = list.AsSpan(48);
        (segment[0], segment[3]) = (2, 0x18);
        BinaryPrimitives.WriteUInt16BigEndian(segment[10..], blocks);
        BinaryPrimitives.WriteUInt64BigEndian(segment[20..], destination);
        return list;
    }
}
