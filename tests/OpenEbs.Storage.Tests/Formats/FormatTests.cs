using OpenEbs.Storage.Formats;
using OpenEbs.Storage.Maps;
using OpenEbs.Storage.Segments;
using OpenEbs.Storage.Store;
using OpenEbs.Testing.Devices;
using Xunit;

namespace OpenEbs.Storage.Tests.Formats;

/// <summary>The bytes of every structure on disk, as they must stay for version 1. A difference here is a new version of the format, never a test to bring up to date.</summary>
public sealed class FormatTests
{
    private static readonly RecordHome s_home = new(0x11, 0x22, 0x3333333344444444);

    [Fact]
    public void Superblock_HasItsBytes()
    {
        var superblock = new Superblock
        {
            Revision = 0x0102030405060708, Clean = true, Rebuilding = true, FenceEpoch = 9, CheckpointLsn = 10, ReplaySegment = 11, ReplayOffset = 0x1000,
            Position = new LogPosition(12, 13), CommitSeq = 14, RebuildBaseSeq = 15, Root = new PagePointer(16, 0xA1A2A3A4, 17), SegmentTable = new PagePointer(18, 0xB1B2B3B4, 0),
            SegmentBytes = 16 << 20, NextSegmentNumber = 19, LogStart = new LogPosition(20, 21), DurableLsn = 22, ReplicaId = "replica", BootId = "boot",
        };
        var page = new byte[Superblock.SlotBytes];
        superblock.Write(page);

        AssertBytes(
            page,
            (0, "4F45534201000500" + "0807060504030201" + "0900000000000000" + "0A00000000000000" + "0B00000000100000"),
            (40, "0C000000000000000D00000000000000" + "0E00000000000000" + "0F00000000000000"),
            (72, "1000000000000000" + "1100000000000000" + "A4A3A2A1" + "B4B3B2B1" + "1200000000000000" + "00000001" + "13000000"),
            (112, "14000000000000001500000000000000"),
            (128, "077265706C696361"),
            (193, "04626F6F74"),
            (264, "1600000000000000"),
            (4092, Hex(Crc32C.Compute(page.AsSpan(0, 4092)))));
        Assert.Equal(superblock, Superblock.Read(page));
        var doubtful = superblock with { Clean = false, TailInDoubt = true, Rebuilding = false };
        doubtful.Write(page);
        Assert.Equal(2, page[6]);
        Assert.Equal(doubtful, Superblock.Read(page));
    }

    [Fact]
    public void Superblock_OfAnotherVersion_IsRefusedByName()
    {
        var page = new byte[Superblock.SlotBytes];
        new Superblock { ReplicaId = "r", BootId = "b" }.Write(page);
        page[4] = 2;
        BitConverter.TryWriteBytes(page.AsSpan(4092), Crc32C.Compute(page.AsSpan(0, 4092)));
        Assert.Contains("version 2", Assert.Throws<StoreForeignException>(() => Superblock.Read(page)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void SegmentHeader_HasItsBytes()
    {
        var header = new SegmentHeader(0x01020304, 16 << 20, 0x0A0B0C0D, 0x1112131415161718, 0x2122232425262728);
        var page = new byte[FormatTags.PageBytes];
        header.Write(page);

        AssertBytes(page, (0, "4F455347" + "01000000" + "04030201" + "00000001" + "0D0C0B0A00000000" + "1817161514131211" + "2827262524232221"), (40, Hex(Crc32C.Compute(page.AsSpan(0, 40)))));
        Assert.Equal(header, SegmentHeader.Read(page));
        page[33] ^= 1;
        Assert.Null(SegmentHeader.Read(page));
    }

    [Fact]
    public void RecordHeader_OfABatch_HasItsBytes()
    {
        var page = new byte[RecordHeader.SizeOf(2, 1, relocate: false)];
        RecordHeader.WriteOperation(page, 0, OperationKind.Write, 0x55, 1);
        RecordHeader.WriteOperation(page, 1, OperationKind.Unmap, 0x66, 0x77);
        BitConverter.TryWriteBytes(page.AsSpan(136), 0xC1C2C3C4);
        RecordHeader.Seal(page, new RecordFacts(RecordKind.Batch, 5, s_home, new LogPosition(6, 7), 8, 9, 4), 2, 1);

        var zeroed = (byte[])page.Clone();
        zeroed.AsSpan(76, 4).Clear();
        AssertBytes(
            page,
            (0, "4F455243" + "01000100" + "0500000000000000" + "11000000" + "00100000" + "0600000000000000" + "0700000000000000" + "0800000000000000"),
            (48, "02000000" + "01000000" + "4444444433333333" + "0900000000000000" + "22000000" + Hex(Crc32C.Compute(zeroed)) + "0400000000000000"),
            (88, "0100000000000000" + "5500000000000000" + "0100000000000000"),
            (112, "0200000000000000" + "6600000000000000" + "7700000000000000"),
            (136, "C4C3C2C1"));
        Assert.Equal((4096, 5ul), RecordHeader.Peek(page, s_home, 8192));
        Assert.Equal(s_home, RecordHeader.PeekHome(page));
        var read = RecordHeader.Read(page, 8192)!;
        Assert.Equal((RecordKind.Batch, 5ul, 6L, 7L, 8L, 9L, 4ul), (read.Kind, read.Lsn, read.Epoch, read.FirstSeq, read.CommitSeq, read.Argument, read.DurableLsn));
        Assert.Equal([new RecordOperation(OperationKind.Write, 0x55, 1), new RecordOperation(OperationKind.Unmap, 0x66, 0x77)], read.Operations);
        Assert.Equal([0xC1C2C3C4], read.Checksums);
        Assert.Null(RecordHeader.Read(page, 4096));
        Assert.Equal(default, RecordHeader.Peek(page, s_home with { SegmentRevision = 0x23 }, 8192));
        Assert.Equal(default, RecordHeader.Peek(page, s_home with { SegmentNumber = 0x12 }, 8192));
        Assert.Equal(default, RecordHeader.Peek(page, s_home with { ReplicaTag = 1 }, 8192));
    }

    [Fact]
    public void RecordHeader_OfARelocation_HasItsOrigins()
    {
        var page = new byte[RecordHeader.SizeOf(1, 1, relocate: true)];
        RecordHeader.WriteOperation(page, 0, OperationKind.Write, 0x55, 1);
        Convert.FromHexString("C4C3C2C1" + "31000000" + "32000000" + "33000000").CopyTo(page, 112);
        RecordHeader.Seal(page, new RecordFacts(RecordKind.Relocate, 5, s_home, new LogPosition(6, 7), 8, 0, 4), 1, 1);

        var read = RecordHeader.Read(page, 8192)!;
        Assert.Equal([new RelocatedBlock(0x31, 0x32, 0x33)], read.Relocated);
        Assert.Equal(8192, RecordHeader.SizeOf(1, 254, relocate: true));
        Assert.Equal(4096, RecordHeader.SizeOf(1, 248, relocate: true));
    }

    [Fact]
    public void MapPages_HaveTheirBytes()
    {
        var leaf = new MapNode(0, 0) { MaxSeq = 0x100000005 };
        leaf.Entries[0] = new ExtentEntry(0x01020304, 0x00000506, 0x0708090A, 5);
        leaf.Entries[255] = ExtentEntry.Emptied(0x100000004);
        var page = new byte[FormatTags.PageBytes];
        leaf.WriteTo(page);
        AssertBytes(page, (0, "04030201" + "06050000" + "0A090807" + "05000000"), (4080, "00000000" + "00000001" + "00000000" + "04000000"));
        var read = MapNode.ReadFrom(page, 0, new PagePointer(1, 2, 0x100000005), 0);
        Assert.Equal(leaf.Entries, read.Entries);
        Assert.Equal((0x100000005ul, 0x100000004ul), (read.SeqOf(read.Entries[0]), read.SeqOf(read.Entries[255])));

        var interior = new MapNode(2, 0);
        interior.Children[1].Pointer = new PagePointer(0x11, 0x22334455, 0x66);
        interior.WriteTo(page);
        AssertBytes(page, (32, "1100000000000000" + "6600000000000000" + "55443322" + "000000000000000000000000"));
        Assert.Equal(new PagePointer(0x11, 0x22334455, 0x66), MapNode.ReadFrom(page, 2, default, 0).Children[1].Pointer);
    }

    [Fact]
    public async Task SegmentTable_HasItsBytes()
    {
        var device = new SimulatedStorageDevice();
        using var pages = new MapPages(device, 0);
        var written = new List<ulong>();
        var table = Enumerable.Range(1, 340).Select(i => ((uint)i, (uint)(i * 2), i * 3)).ToList();
        var first = SegmentSet.WriteTable(table, pages, written);
        var bytes = device.ReadAllBytes("map-00000000");

        // The chain is written from its end: page 1 holds the last entry, page 2 the first 338.
        Assert.Equal([1ul, 2ul], written);
        AssertBytes(bytes, (0, "4F455442" + "02000000" + "0000000000000000" + "00000000"), (32, "53010000A6020000F9030000" + "54010000A8020000FC030000"));
        AssertBytes(bytes, (4096, "4F455442" + "52010000" + "0100000000000000" + Hex(Crc32C.Compute(bytes.AsSpan(0, 4096)))), (4128, "010000000200000003000000"));
        Assert.Equal(table, await SegmentSet.ReadTableAsync(first, pages, []));
    }

    [Fact]
    public void Values_OnDisk_StayAsTheyAre()
    {
        Assert.Equal(["Write=1", "Unmap=2", "Mark=3"], Enum.GetValues<OperationKind>().Select(v => $"{v}={(byte)v}"));
        Assert.Equal(
            ["Batch=1", "Copy=2", "Repair=3", "RebuildBegin=4", "RebuildEnd=5", "Relocate=6", "Truncate=7"], Enum.GetValues<RecordKind>().Select(v => $"{v}={(ushort)v}"));
        Assert.Equal(["Prefix=1", "Rebuilding=2"], Enum.GetValues<ReplicaConsistency>().Select(v => $"{v}={(byte)v}"));
        Assert.Equal((1, 4096, "superblock", 8192), (FormatTags.Version, FormatTags.PageBytes, Superblock.FileName, Superblock.FileBytes));
        Assert.Equal(0xD44EF121FED1A287ul, StoreState.TagOf("replica-1"));
    }

    /// <summary>The bytes at each offset, and zeros between.</summary>
    private static void AssertBytes(ReadOnlySpan<byte> page, params (int Offset, string Hex)[] expected)
    {
        foreach (var (offset, hex) in expected) Assert.Equal(hex, Convert.ToHexString(page.Slice(offset, hex.Length / 2)));
        for (var i = 0; i + 1 < expected.Length; i++)
        {
            var from = expected[i].Offset + (expected[i].Hex.Length / 2);
            Assert.True(page[from..expected[i + 1].Offset].IndexOfAnyExcept((byte)0) < 0, $"bytes {from} to {expected[i + 1].Offset} are not zero");
        }
    }

    private static string Hex(uint value) => Convert.ToHexString(BitConverter.GetBytes(value));
}
