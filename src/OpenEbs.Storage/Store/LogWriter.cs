using System.Buffers.Binary;
using OpenEbs.Storage.Devices;
using OpenEbs.Storage.Formats;
using OpenEbs.Storage.Segments;

namespace OpenEbs.Storage.Store;

/// <summary>Where a record was written.</summary>
internal readonly record struct RecordPlace(Segment Segment, int OffsetBytes, int HeaderBytes)
{
    /// <summary>Of its first data block, in 4 KiB blocks from the start of the segment.</summary>
    public uint DataOffset => (uint)((OffsetBytes + HeaderBytes) / FormatTags.PageBytes);
}

/// <summary>Appends records: one gather write each.</summary>
internal sealed class LogWriter(StoreState state)
{
    private readonly List<ReadOnlyMemory<byte>> _gather = [];
    private byte[] _header = GC.AllocateArray<byte>(FormatTags.PageBytes, pinned: true);

    /// <summary>Whether any of the operations brings data, and so takes more room than its header.</summary>
    public static bool HasData(ReadOnlySpan<StoreOperation> operations)
    {
        foreach (ref readonly var operation in operations)
        {
            if (operation.Kind == OperationKind.Write) return true;
        }

        return false;
    }

    /// <summary>Writes a record to the page cache. Nothing is changed when it throws <see cref="StorageFullException"/>.</summary>
    /// <param name="kind">What it does.</param>
    /// <param name="position">Epoch and first seq.</param>
    /// <param name="argument">Of Truncate and RebuildBegin.</param>
    /// <param name="operations">Their data follows the header.</param>
    /// <param name="origins">Per data block, of Relocate and Repair.</param>
    /// <param name="mayUseReserve">Whether the bytes kept free for housekeeping may be used.</param>
    public RecordPlace Append(RecordKind kind, LogPosition position, long argument, ReadOnlySpan<StoreOperation> operations, ReadOnlySpan<RelocatedBlock> origins, bool mayUseReserve)
    {
        var dataBlocks = 0;
        foreach (ref readonly var operation in operations) dataBlocks += operation.Data.Length / FormatTags.PageBytes;
        var headerBytes = RecordHeader.SizeOf(operations.Length, dataBlocks, RecordHeader.HasOrigins(kind));
        var totalBytes = headerBytes + (dataBlocks * FormatTags.PageBytes);
        var segment = SegmentFor(totalBytes, mayUseReserve, dataBlocks > 0);
        if (_header.Length < headerBytes) _header = GC.AllocateArray<byte>(headerBytes * 2, pinned: true);
        var header = _header.AsSpan(0, headerBytes);
        header.Clear();
        Fill(header, operations, origins, dataBlocks);
        var facts = new RecordFacts(kind, state.NextLsn, state.HomeIn(segment), position, state.CommitSeq, argument, state.DurableLsn);
        RecordHeader.Seal(header, facts, operations.Length, dataBlocks);
        _gather.Clear();
        _gather.Add(_header.AsMemory(0, headerBytes));
        foreach (ref readonly var operation in operations)
        {
            if (!operation.Data.IsEmpty) _gather.Add(operation.Data);
        }

        var place = new RecordPlace(segment, segment.WriteOffset, headerBytes);
        segment.File.Write(segment.WriteOffset, _gather);
        _gather.Clear();
        segment.IsDirty = true;
        segment.WriteOffset += totalBytes;
        state.NextLsn++;
        state.LogBytes += totalBytes;
        return place;
    }

    /// <summary>Room for data without new files, plus what new files may take. What is left of a sparse segment is none: it has yet to be found.</summary>
    public long WritableBytes()
    {
        var segments = state.Segments;
        var current = segments.Current is { File.IsSparse: false } segment ? segments.SegmentBytes - segment.WriteOffset : 0;
        var ahead = (long)segments.FreeCount * (segments.SegmentBytes - FormatTags.PageBytes);
        return current + ahead + Math.Max(0, state.Device.FreeBytes - state.Options.ReserveBytes) / segments.SegmentBytes * segments.SegmentBytes;
    }

    private static void Fill(Span<byte> header, ReadOnlySpan<StoreOperation> operations, ReadOnlySpan<RelocatedBlock> origins, int dataBlocks)
    {
        var checksums = header[(RecordHeader.FixedBytes + (operations.Length * RecordHeader.OperationBytes))..];
        var tail = checksums[(dataBlocks * 4)..];
        for (var i = 0; i < operations.Length; i++)
        {
            ref readonly var operation = ref operations[i];
            RecordHeader.WriteOperation(header, i, operation.Kind, operation.Block, operation.BlockCount);
            foreach (var checksum in operation.Checksums.Span)
            {
                BinaryPrimitives.WriteUInt32LittleEndian(checksums, checksum);
                checksums = checksums[4..];
            }
        }

        for (var i = 0; i < origins.Length; i++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(tail[(i * 12)..], origins[i].Seq);
            BinaryPrimitives.WriteUInt32LittleEndian(tail[((i * 12) + 4)..], origins[i].FromSegment);
            BinaryPrimitives.WriteUInt32LittleEndian(tail[((i * 12) + 8)..], origins[i].FromOffset);
        }
    }

    private Segment SegmentFor(int totalBytes, bool mayUseReserve, bool hasData)
    {
        var segments = state.Segments;
        if (totalBytes > segments.SegmentBytes - FormatTags.PageBytes)
            throw new ArgumentException($"A record of {totalBytes} bytes does not fit into a segment of {segments.SegmentBytes}.", nameof(totalBytes));
        var isRoomy = segments.FreeCount > 0 || state.Device.FreeBytes >= state.Options.ReserveBytes + segments.SegmentBytes;
        var fits = segments.Current is { } current && current.WriteOffset + totalBytes <= segments.SegmentBytes;

        // A sparse segment is for want of room, or holds marks: data that is flushed often is better off in one that has its space.
        if (fits && hasData && isRoomy && segments.Current!.File.IsSparse) fits = false;
        if (fits && (mayUseReserve || !segments.Current!.File.IsSparse)) return segments.Current!;
        var needed = fits ? totalBytes : segments.FreeCount > 0 ? 0 : segments.SegmentBytes;
        var isTight = needed > 0 && state.Device.FreeBytes < state.Options.ReserveBytes + needed;
        if (isTight && !mayUseReserve)
            throw new StorageFullException($"{state.Device.Path}: the pool has {state.Device.FreeBytes} bytes left, {state.Options.ReserveBytes} of them reserved; free space or enlarge the pool.");

        // Of the reserve a segment takes only what is written: all replicas of a full pool may need one, as each does that was opened anew. So does a volume that is opened and not written to: it
        // would occupy a whole segment for a mark, and hundreds of idle volumes the pool.
        return fits ? segments.Current! : segments.Begin(state.NextLsn, state.Superblock.Revision, isTight || (!hasData && segments.FreeCount == 0));
    }
}
