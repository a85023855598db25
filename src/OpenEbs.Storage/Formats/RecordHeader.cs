using System.Buffers.Binary;
using OpenEbs.Storage.Store;

namespace OpenEbs.Storage.Formats;

/// <summary>What a log record does. Values are on disk: append only.</summary>
internal enum RecordKind : ushort
{
    /// <summary>Operations of the volume, with consecutive seqs.</summary>
    Batch = 1,

    /// <summary>Blocks as they are on a rebuild's source; no seq.</summary>
    Copy = 2,

    /// <summary>Good data for blocks that were bad; no seq.</summary>
    Repair = 3,

    /// <summary>A rebuild begins: the position becomes (Epoch, FirstSeq), Argument is the base.</summary>
    RebuildBegin = 4,

    /// <summary>The rebuild is complete.</summary>
    RebuildEnd = 5,

    /// <summary>Compaction moved blocks here.</summary>
    Relocate = 6,

    /// <summary>Operations with seq above Argument in earlier records do not count.</summary>
    Truncate = 7,
}

/// <summary>
/// A record of the log: header pages, then the data of its Write operations in order. Layout (little-endian; the header is padded with zeros to whole pages):
/// <code>
///  0 u32 tag "OERC"    4 u16 version     6 u16 kind         8 u64 lsn          16 u32 segment number  20 u32 header bytes
/// 24 u64 epoch        32 u64 first seq  40 u64 commit seq  48 u32 operations   52 u32 data blocks     56 u64 replica tag
/// 64 u64 argument     72 u32 segment revision (low half)   76 u32 CRC-32C of the whole header with this field 0
/// 80 u64 durable lsn: all records up to it were on media when this one was written
/// 88 per operation: u8 kind, 7 bytes 0, u64 block, u64 block count
///    then per data block: u32 CRC-32C
///    then, in a Relocate or Repair record, per data block: u32 low half of its seq, u32 segment and u32 block offset that it came from
/// </code>
/// A record whose header or any data block does not check is as if it had never been written: batches are atomic.
/// </summary>
internal sealed class RecordHeader
{
    public const int FixedBytes = 88;
    public const int OperationBytes = 24;
    private const int CrcOffset = 76;

    public RecordKind Kind { get; private init; }
    public ulong Lsn { get; private init; }
    public uint SegmentNumber { get; private init; }
    public int HeaderBytes { get; private init; }
    public long Epoch { get; private init; }
    public long FirstSeq { get; private init; }
    public long CommitSeq { get; private init; }
    public long Argument { get; private init; }
    public ulong DurableLsn { get; private init; }
    public int DataBlocks { get; private init; }
    public required RecordOperation[] Operations { get; init; }
    public required uint[] Checksums { get; init; }

    /// <summary>Of a Relocate or Repair record, per data block; else empty.</summary>
    public RelocatedBlock[] Relocated { get; private init; } = [];

    public int TotalBytes => HeaderBytes + (DataBlocks * FormatTags.PageBytes);

    public long LastSeq => FirstSeq + Operations.Length - 1;

    /// <summary>Records whose blocks count only where the map still refers to what they replace.</summary>
    public static bool HasOrigins(RecordKind kind) => kind is RecordKind.Relocate or RecordKind.Repair;

    public static int SizeOf(int operations, int dataBlocks, bool relocate)
    {
        var bytes = FixedBytes + (operations * OperationBytes) + (dataBlocks * (relocate ? 16 : 4));
        return (bytes + FormatTags.PageBytes - 1) / FormatTags.PageBytes * FormatTags.PageBytes;
    }

    /// <summary>Fills in a header page run; operations, checksums and relocations were put in place by the caller.</summary>
    public static void Seal(Span<byte> header, in RecordFacts facts, int operations, int dataBlocks)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(header, FormatTags.Record);
        BinaryPrimitives.WriteUInt16LittleEndian(header[4..], FormatTags.Version);
        BinaryPrimitives.WriteUInt16LittleEndian(header[6..], (ushort)facts.Kind);
        BinaryPrimitives.WriteUInt64LittleEndian(header[8..], facts.Lsn);
        BinaryPrimitives.WriteUInt32LittleEndian(header[16..], facts.Home.SegmentNumber);
        BinaryPrimitives.WriteUInt32LittleEndian(header[20..], (uint)header.Length);
        BinaryPrimitives.WriteInt64LittleEndian(header[24..], facts.Position.Epoch);
        BinaryPrimitives.WriteInt64LittleEndian(header[32..], facts.Position.Seq);
        BinaryPrimitives.WriteInt64LittleEndian(header[40..], facts.CommitSeq);
        BinaryPrimitives.WriteUInt32LittleEndian(header[48..], (uint)operations);
        BinaryPrimitives.WriteUInt32LittleEndian(header[52..], (uint)dataBlocks);
        BinaryPrimitives.WriteUInt64LittleEndian(header[56..], facts.Home.ReplicaTag);
        BinaryPrimitives.WriteInt64LittleEndian(header[64..], facts.Argument);
        BinaryPrimitives.WriteUInt32LittleEndian(header[72..], facts.Home.SegmentRevision);
        BinaryPrimitives.WriteUInt32LittleEndian(header[CrcOffset..], 0);
        BinaryPrimitives.WriteUInt64LittleEndian(header[80..], facts.DurableLsn);
        BinaryPrimitives.WriteUInt32LittleEndian(header[CrcOffset..], Crc32C.Compute(header));
    }

    public static void WriteOperation(Span<byte> header, int index, OperationKind kind, long block, long blockCount)
    {
        var field = header[(FixedBytes + (index * OperationBytes))..];
        BinaryPrimitives.WriteUInt64LittleEndian(field, (ulong)kind);
        BinaryPrimitives.WriteInt64LittleEndian(field[8..], block);
        BinaryPrimitives.WriteInt64LittleEndian(field[16..], blockCount);
    }

    /// <summary>How many bytes the header has that seems to begin with <paramref name="firstPage"/>, and its lsn; 0 when there is no record of that segment.</summary>
    public static (int HeaderBytes, ulong Lsn) Peek(ReadOnlySpan<byte> firstPage, in RecordHome home, int limitBytes)
    {
        if (BinaryPrimitives.ReadUInt32LittleEndian(firstPage) != FormatTags.Record
            || BinaryPrimitives.ReadUInt16LittleEndian(firstPage[4..]) != FormatTags.Version
            || BinaryPrimitives.ReadUInt32LittleEndian(firstPage[16..]) != home.SegmentNumber
            || BinaryPrimitives.ReadUInt64LittleEndian(firstPage[56..]) != home.ReplicaTag
            || BinaryPrimitives.ReadUInt32LittleEndian(firstPage[72..]) != home.SegmentRevision) return default;
        var bytes = BinaryPrimitives.ReadUInt32LittleEndian(firstPage[20..]);
        var fits = bytes >= FormatTags.PageBytes && bytes <= limitBytes && bytes % FormatTags.PageBytes == 0;
        return fits ? ((int)bytes, BinaryPrimitives.ReadUInt64LittleEndian(firstPage[8..])) : default;
    }

    /// <summary>Whether the page was once the first of that record, though it may be damaged now: most of what names the record is there. What another use of the segment left shares two of the five at most.</summary>
    public static bool Resembles(ReadOnlySpan<byte> firstPage, in RecordHome home, ulong lsn)
    {
        var found = PeekHome(firstPage);
        var alike = (BinaryPrimitives.ReadUInt32LittleEndian(firstPage) == FormatTags.Record ? 1 : 0)
            + (BinaryPrimitives.ReadUInt64LittleEndian(firstPage[8..]) == lsn ? 1 : 0)
            + (found.SegmentNumber == home.SegmentNumber ? 1 : 0)
            + (found.SegmentRevision == home.SegmentRevision ? 1 : 0)
            + (found.ReplicaTag == home.ReplicaTag ? 1 : 0);
        return alike >= 3;
    }

    /// <summary>Which segment the record says that it belongs to, that seems to begin with <paramref name="firstPage"/>.</summary>
    public static RecordHome PeekHome(ReadOnlySpan<byte> firstPage) => new(
        BinaryPrimitives.ReadUInt32LittleEndian(firstPage[16..]), BinaryPrimitives.ReadUInt32LittleEndian(firstPage[72..]), BinaryPrimitives.ReadUInt64LittleEndian(firstPage[56..]));

    /// <summary>Null when the header does not check.</summary>
    public static RecordHeader? Read(Span<byte> header, int limitBytes)
    {
        var crc = BinaryPrimitives.ReadUInt32LittleEndian(header[CrcOffset..]);
        header.Slice(CrcOffset, 4).Clear();
        var actual = Crc32C.Compute(header);
        BinaryPrimitives.WriteUInt32LittleEndian(header[CrcOffset..], crc);
        if (crc != actual) return null;
        var kind = (RecordKind)BinaryPrimitives.ReadUInt16LittleEndian(header[6..]);
        var operations = new RecordOperation[BinaryPrimitives.ReadUInt32LittleEndian(header[48..])];
        var checksums = new uint[BinaryPrimitives.ReadUInt32LittleEndian(header[52..])];
        if (SizeOf(operations.Length, checksums.Length, HasOrigins(kind)) != header.Length) return null;
        if (header.Length + ((long)checksums.Length * FormatTags.PageBytes) > limitBytes) return null;
        for (var i = 0; i < operations.Length; i++)
        {
            var field = header[(FixedBytes + (i * OperationBytes))..];
            operations[i] = new RecordOperation((OperationKind)field[0], BinaryPrimitives.ReadInt64LittleEndian(field[8..]), BinaryPrimitives.ReadInt64LittleEndian(field[16..]));
        }

        var tail = header[(FixedBytes + (operations.Length * OperationBytes))..];
        for (var i = 0; i < checksums.Length; i++) checksums[i] = BinaryPrimitives.ReadUInt32LittleEndian(tail[(i * 4)..]);
        var relocated = HasOrigins(kind) ? new RelocatedBlock[checksums.Length] : [];
        tail = tail[(checksums.Length * 4)..];
        for (var i = 0; i < relocated.Length; i++)
        {
            relocated[i] = new RelocatedBlock(
                BinaryPrimitives.ReadUInt32LittleEndian(tail[(i * 12)..]),
                BinaryPrimitives.ReadUInt32LittleEndian(tail[((i * 12) + 4)..]),
                BinaryPrimitives.ReadUInt32LittleEndian(tail[((i * 12) + 8)..]));
        }

        return new RecordHeader
        {
            Kind = kind,
            Lsn = BinaryPrimitives.ReadUInt64LittleEndian(header[8..]),
            SegmentNumber = BinaryPrimitives.ReadUInt32LittleEndian(header[16..]),
            HeaderBytes = header.Length,
            Epoch = BinaryPrimitives.ReadInt64LittleEndian(header[24..]),
            FirstSeq = BinaryPrimitives.ReadInt64LittleEndian(header[32..]),
            CommitSeq = BinaryPrimitives.ReadInt64LittleEndian(header[40..]),
            Argument = BinaryPrimitives.ReadInt64LittleEndian(header[64..]),
            DurableLsn = BinaryPrimitives.ReadUInt64LittleEndian(header[80..]),
            DataBlocks = checksums.Length,
            Operations = operations,
            Checksums = checksums,
            Relocated = relocated,
        };
    }
}

/// <summary>Which segment's record it is, in which use of its file, of which replica: a record is one only where all three match.</summary>
internal readonly record struct RecordHome(uint SegmentNumber, uint SegmentRevision, ulong ReplicaTag);

/// <summary>The fixed part of a record's header.</summary>
internal readonly record struct RecordFacts(RecordKind Kind, ulong Lsn, RecordHome Home, LogPosition Position, long CommitSeq, long Argument, ulong DurableLsn);

/// <summary>An operation in a record.</summary>
internal readonly record struct RecordOperation(OperationKind Kind, long Block, long BlockCount);

/// <summary>Where a relocated block came from, and the low half of its seq.</summary>
internal readonly record struct RelocatedBlock(uint Seq, uint FromSegment, uint FromOffset);
