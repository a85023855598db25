using System.Buffers.Binary;

namespace OpenEbs.Storage.Formats;

/// <summary>
/// First page of a segment file ("segment-" and its slot in hexadecimal). Records follow from 4,096 on. Layout (little-endian, 4,096 bytes):
/// <code>
///  0 u32 tag "OESG"   4 u16 version   6 u16 0   8 u32 segment number   12 u32 segment bytes   16 u64 lsn of its first record   24 u64 replica tag
/// 32 u64 superblock revision when it was begun   40 u32 CRC-32C of bytes 0..39
/// </code>
/// </summary>
/// <param name="Number">Rises with every segment begun; a recycled file gets a new number, and records bear it, so that what an earlier use left never matches.</param>
/// <param name="SegmentBytes">Length of the file.</param>
/// <param name="StartLsn">Lsn of the first record; it also ends the log of all earlier segments at that lsn.</param>
/// <param name="ReplicaTag">Hash of the replica's id.</param>
/// <param name="Revision">Of the superblock when the segment was begun; its records bear the low half. Every opening raises it, so that a number which is used again, because power was lost before
/// its header was on media, does not bring back the records of then.</param>
internal readonly record struct SegmentHeader(uint Number, int SegmentBytes, ulong StartLsn, ulong ReplicaTag, ulong Revision)
{
    private const int CrcOffset = 40;

    public void Write(Span<byte> page)
    {
        page.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(page, FormatTags.Segment);
        BinaryPrimitives.WriteUInt16LittleEndian(page[4..], FormatTags.Version);
        BinaryPrimitives.WriteUInt32LittleEndian(page[8..], Number);
        BinaryPrimitives.WriteUInt32LittleEndian(page[12..], (uint)SegmentBytes);
        BinaryPrimitives.WriteUInt64LittleEndian(page[16..], StartLsn);
        BinaryPrimitives.WriteUInt64LittleEndian(page[24..], ReplicaTag);
        BinaryPrimitives.WriteUInt64LittleEndian(page[32..], Revision);
        BinaryPrimitives.WriteUInt32LittleEndian(page[CrcOffset..], Crc32C.Compute(page[..CrcOffset]));
    }

    /// <summary>Null when the page does not hold a segment header.</summary>
    public static SegmentHeader? Read(ReadOnlySpan<byte> page) =>
        BinaryPrimitives.ReadUInt32LittleEndian(page) != FormatTags.Segment
        || BinaryPrimitives.ReadUInt16LittleEndian(page[4..]) != FormatTags.Version
        || BinaryPrimitives.ReadUInt32LittleEndian(page[CrcOffset..]) != Crc32C.Compute(page[..CrcOffset])
            ? null
            : new SegmentHeader(
                BinaryPrimitives.ReadUInt32LittleEndian(page[8..]),
                (int)BinaryPrimitives.ReadUInt32LittleEndian(page[12..]),
                BinaryPrimitives.ReadUInt64LittleEndian(page[16..]),
                BinaryPrimitives.ReadUInt64LittleEndian(page[24..]),
                BinaryPrimitives.ReadUInt64LittleEndian(page[32..]));
}
