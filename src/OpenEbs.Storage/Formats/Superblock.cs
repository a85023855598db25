using System.Buffers.Binary;
using System.Text;
using OpenEbs.Storage.Store;

namespace OpenEbs.Storage.Formats;

/// <summary>Where a map page is, and what must be found there.</summary>
/// <param name="Page">Page number, from 1; 0 for none.</param>
/// <param name="Crc">CRC-32C of the page.</param>
/// <param name="MaxSeq">Highest seq of a change below it.</param>
internal readonly record struct PagePointer(ulong Page, uint Crc, ulong MaxSeq);

/// <summary>
/// The root of a replica. File "superblock" holds it twice, at 0 and 4,096; both are written and flushed one after the other, so that a torn or rotten one leaves the other. The valid one with the
/// higher revision counts. Layout (little-endian, 4,096 bytes):
/// <code>
///    0 u32 tag "OESB"      4 u16 version         6 u16 flags (1 clean close, 2 tail in doubt, 4 rebuilding)
///    8 u64 revision       16 u64 fence epoch    24 u64 checkpoint lsn       32 u32 replay segment   36 u32 replay offset
///   40 u64 position epoch 48 u64 position seq   56 u64 commit seq           64 u64 rebuild base seq
///   72 u64 root page      80 u64 root max seq   88 u32 root page CRC        92 u32 segment table page CRC
///   96 u64 table page    104 u32 segment bytes 108 u32 next segment number
///  112 u64 log start epoch 120 u64 log start seq
///  128 u8 replica id length, 64 bytes          193 u8 boot id length, 64 bytes     264 u64 durable lsn
/// 4092 u32 CRC-32C of bytes 0..4091
/// </code>
/// </summary>
internal sealed record Superblock
{
    public const string FileName = "superblock";
    public const int SlotBytes = FormatTags.PageBytes;
    public const int FileBytes = 2 * SlotBytes;

    public ulong Revision { get; init; }
    public bool Clean { get; init; }
    public bool TailInDoubt { get; init; }

    /// <summary>Something of it was found damaged that cannot be repaired block by block.</summary>
    public bool Damaged { get; init; }
    public bool Rebuilding { get; init; }
    public long FenceEpoch { get; init; }

    /// <summary>Lsn of the last record that the checkpoint includes.</summary>
    public ulong CheckpointLsn { get; init; }

    /// <summary>Where the record after it begins, if there is one.</summary>
    public uint ReplaySegment { get; init; }
    public uint ReplayOffset { get; init; }
    public LogPosition Position { get; init; }
    public LogPosition LogStart { get; init; }
    public long CommitSeq { get; init; }
    public long RebuildBaseSeq { get; init; }
    public PagePointer Root { get; init; }
    public PagePointer SegmentTable { get; init; }

    /// <summary>All records up to it were on media when this was written: one of them that is missing was not torn by a crash, it is damaged.</summary>
    public ulong DurableLsn { get; init; }
    public int SegmentBytes { get; init; }
    public uint NextSegmentNumber { get; init; }
    public required string ReplicaId { get; init; }
    public required string BootId { get; init; }

    public void Write(Span<byte> slot)
    {
        slot.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(slot, FormatTags.Superblock);
        BinaryPrimitives.WriteUInt16LittleEndian(slot[4..], FormatTags.Version);
        BinaryPrimitives.WriteUInt16LittleEndian(slot[6..], (ushort)((Clean ? 1 : 0) | (TailInDoubt ? 2 : 0) | (Rebuilding ? 4 : 0) | (Damaged ? 8 : 0)));
        BinaryPrimitives.WriteUInt64LittleEndian(slot[8..], Revision);
        BinaryPrimitives.WriteInt64LittleEndian(slot[16..], FenceEpoch);
        BinaryPrimitives.WriteUInt64LittleEndian(slot[24..], CheckpointLsn);
        BinaryPrimitives.WriteUInt32LittleEndian(slot[32..], ReplaySegment);
        BinaryPrimitives.WriteUInt32LittleEndian(slot[36..], ReplayOffset);
        BinaryPrimitives.WriteInt64LittleEndian(slot[40..], Position.Epoch);
        BinaryPrimitives.WriteInt64LittleEndian(slot[48..], Position.Seq);
        BinaryPrimitives.WriteInt64LittleEndian(slot[56..], CommitSeq);
        BinaryPrimitives.WriteInt64LittleEndian(slot[64..], RebuildBaseSeq);
        BinaryPrimitives.WriteUInt64LittleEndian(slot[72..], Root.Page);
        BinaryPrimitives.WriteUInt64LittleEndian(slot[80..], Root.MaxSeq);
        BinaryPrimitives.WriteUInt32LittleEndian(slot[88..], Root.Crc);
        BinaryPrimitives.WriteUInt32LittleEndian(slot[92..], SegmentTable.Crc);
        BinaryPrimitives.WriteUInt64LittleEndian(slot[96..], SegmentTable.Page);
        BinaryPrimitives.WriteUInt32LittleEndian(slot[104..], (uint)SegmentBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(slot[108..], NextSegmentNumber);
        BinaryPrimitives.WriteInt64LittleEndian(slot[112..], LogStart.Epoch);
        BinaryPrimitives.WriteInt64LittleEndian(slot[120..], LogStart.Seq);
        WriteText(slot[128..], ReplicaId);
        WriteText(slot[193..], BootId);
        BinaryPrimitives.WriteUInt64LittleEndian(slot[264..], DurableLsn);
        BinaryPrimitives.WriteUInt32LittleEndian(slot[(SlotBytes - 4)..], Crc32C.Compute(slot[..(SlotBytes - 4)]));
    }

    /// <summary>Null when the slot does not hold a superblock of this version.</summary>
    public static Superblock? Read(ReadOnlySpan<byte> slot)
    {
        if (BinaryPrimitives.ReadUInt32LittleEndian(slot) != FormatTags.Superblock) return null;
        if (BinaryPrimitives.ReadUInt32LittleEndian(slot[(SlotBytes - 4)..]) != Crc32C.Compute(slot[..(SlotBytes - 4)])) return null;
        var version = BinaryPrimitives.ReadUInt16LittleEndian(slot[4..]);
        if (version != FormatTags.Version)
            throw new StoreForeignException($"The superblock is of format version {version}; this program reads version {FormatTags.Version}. Use the release that wrote it, or let the replica be rebuilt from another.");
        var flags = BinaryPrimitives.ReadUInt16LittleEndian(slot[6..]);
        return new Superblock
        {
            Clean = (flags & 1) != 0,
            TailInDoubt = (flags & 2) != 0,
            Rebuilding = (flags & 4) != 0,
            Damaged = (flags & 8) != 0,
            Revision = BinaryPrimitives.ReadUInt64LittleEndian(slot[8..]),
            FenceEpoch = BinaryPrimitives.ReadInt64LittleEndian(slot[16..]),
            CheckpointLsn = BinaryPrimitives.ReadUInt64LittleEndian(slot[24..]),
            ReplaySegment = BinaryPrimitives.ReadUInt32LittleEndian(slot[32..]),
            ReplayOffset = BinaryPrimitives.ReadUInt32LittleEndian(slot[36..]),
            Position = new LogPosition(BinaryPrimitives.ReadInt64LittleEndian(slot[40..]), BinaryPrimitives.ReadInt64LittleEndian(slot[48..])),
            CommitSeq = BinaryPrimitives.ReadInt64LittleEndian(slot[56..]),
            RebuildBaseSeq = BinaryPrimitives.ReadInt64LittleEndian(slot[64..]),
            Root = new PagePointer(BinaryPrimitives.ReadUInt64LittleEndian(slot[72..]), BinaryPrimitives.ReadUInt32LittleEndian(slot[88..]), BinaryPrimitives.ReadUInt64LittleEndian(slot[80..])),
            SegmentTable = new PagePointer(BinaryPrimitives.ReadUInt64LittleEndian(slot[96..]), BinaryPrimitives.ReadUInt32LittleEndian(slot[92..]), 0),
            SegmentBytes = (int)BinaryPrimitives.ReadUInt32LittleEndian(slot[104..]),
            NextSegmentNumber = BinaryPrimitives.ReadUInt32LittleEndian(slot[108..]),
            LogStart = new LogPosition(BinaryPrimitives.ReadInt64LittleEndian(slot[112..]), BinaryPrimitives.ReadInt64LittleEndian(slot[120..])),
            DurableLsn = BinaryPrimitives.ReadUInt64LittleEndian(slot[264..]),
            ReplicaId = ReadText(slot[128..]),
            BootId = ReadText(slot[193..]),
        };
    }

    private static void WriteText(Span<byte> field, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        if (bytes.Length > 64) throw new ArgumentException($"'{text}' is longer than 64 bytes.", nameof(text));
        field[0] = (byte)bytes.Length;
        bytes.CopyTo(field[1..]);
    }

    private static string ReadText(ReadOnlySpan<byte> field) => Encoding.UTF8.GetString(field.Slice(1, Math.Min(field[0], (byte)64)));
}
