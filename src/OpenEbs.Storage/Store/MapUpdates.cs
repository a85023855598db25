using OpenEbs.Storage.Formats;
using OpenEbs.Storage.Maps;

namespace OpenEbs.Storage.Store;

/// <summary>Carries log records over into the extent map. The same code serves when a record has just been written and when it is replayed, so both end alike.</summary>
internal sealed class MapUpdates(StoreState state)
{
    /// <summary>Points the blocks of one operation at their data.</summary>
    public async ValueTask WriteAsync(long block, ReadOnlyMemory<uint> checksums, uint segment, uint offset, long seq)
    {
        for (var done = 0; done < checksums.Length;)
        {
            var leaf = await state.Map.GetWritableLeafAsync((block + done) >> MapNode.LeafBits, (ulong)seq);
            done += Write(leaf, block + done, checksums.Span[done..], segment, offset + (uint)done, (uint)seq);
        }
    }

    /// <summary>Empties blocks; those that never held anything are passed over.</summary>
    public async ValueTask UnmapAsync(long block, long blockCount, long seq)
    {
        var end = block + blockCount;
        for (var leafIndex = state.Map.NextLeaf(block >> MapNode.LeafBits, 0, emptied: false); leafIndex >= 0 && leafIndex << MapNode.LeafBits < end;
             leafIndex = state.Map.NextLeaf(leafIndex + 1, 0, emptied: false))
        {
            var leaf = await state.Map.GetWritableLeafAsync(leafIndex, (ulong)seq);
            var first = leafIndex << MapNode.LeafBits;
            var from = (int)Math.Max(block - first, 0);
            var to = (int)Math.Min(end - first, MapNode.LeafBlocks);
            for (var i = from; i < to; i++)
            {
                if (!leaf.Entries[i].IsMapped) continue;
                state.Segments.CountLive(leaf.Entries[i].Segment, -1);
                leaf.Entries[i] = ExtentEntry.Emptied((ulong)seq);
            }

            if (!leaf.Entries.AsSpan().ContainsMapped()) state.Map.DropLeaf(leafIndex, leaf.MaxSeq);
        }
    }

    /// <summary>Empties blocks for a rebuild. Those that never held anything here count as changed too: on the source they did, and a replica that is later rebuilt from this one may still hold it.</summary>
    public async ValueTask EmptyAsync(long block, long blockCount, long seq)
    {
        var end = block + blockCount;
        while (block < end)
        {
            var leafIndex = block >> MapNode.LeafBits;
            var leaf = await state.Map.GetWritableLeafAsync(leafIndex, (ulong)seq);
            var from = (int)(block & (MapNode.LeafBlocks - 1));
            var to = (int)Math.Min(from + end - block, MapNode.LeafBlocks);
            for (var i = from; i < to; i++)
            {
                if (leaf.Entries[i].IsMapped) state.Segments.CountLive(leaf.Entries[i].Segment, -1);
                leaf.Entries[i] = ExtentEntry.Emptied((ulong)seq);
            }

            if (!leaf.Entries.AsSpan().ContainsMapped()) state.Map.DropLeaf(leafIndex, leaf.MaxSeq);
            block += to - from;
        }
    }

    /// <summary>Lets blocks that hold already what a source holds count as changed at a seq: a replica that is later rebuilt from this one may hold something else there.</summary>
    public async ValueTask TouchAsync(long block, long blockCount, long seq)
    {
        var end = block + blockCount;
        while (block < end)
        {
            var leaf = await state.Map.GetWritableLeafAsync(block >> MapNode.LeafBits, (ulong)seq);
            var from = (int)(block & (MapNode.LeafBlocks - 1));
            var to = (int)Math.Min(from + end - block, MapNode.LeafBlocks);
            for (var i = from; i < to; i++) leaf.Entries[i] = leaf.Entries[i].IsMapped ? leaf.Entries[i] with { Seq = (uint)seq } : ExtentEntry.Emptied((ulong)seq);
            if (!leaf.Entries.AsSpan().ContainsMapped()) state.Map.DropLeaf(block >> MapNode.LeafBits, leaf.MaxSeq);
            block += to - from;
        }
    }

    /// <summary>Points blocks at new copies of their data, where the map still refers to the old ones. Their seq stays: the one that they have now, which may have risen since they were read.</summary>
    public async ValueTask MoveAsync(long block, uint checksum, RelocatedBlock origin, uint segment, uint offset)
    {
        var current = await state.Map.GetLeafAsync(block >> MapNode.LeafBits);
        var index = (int)(block & (MapNode.LeafBlocks - 1));
        if (current is null || !Matches(current.Entries[index], origin)) return;
        var leaf = await state.Map.GetWritableLeafAsync(block >> MapNode.LeafBits, 0);
        state.Segments.CountLive(origin.FromSegment, -1);
        state.Segments.CountLive(segment, 1);
        leaf.Entries[index] = new ExtentEntry(segment, offset, checksum, leaf.Entries[index].Seq);
    }

    public static bool Matches(in ExtentEntry entry, RelocatedBlock origin) => entry.IsMapped && entry.Segment == origin.FromSegment && entry.Offset == origin.FromOffset;

    private int Write(MapNode leaf, long block, ReadOnlySpan<uint> checksums, uint segment, uint offset, uint seq)
    {
        var index = (int)(block & (MapNode.LeafBlocks - 1));
        var count = Math.Min(checksums.Length, MapNode.LeafBlocks - index);
        var entries = leaf.Entries.AsSpan(index, count);
        for (var i = 0; i < count; i++)
        {
            if (entries[i].IsMapped) state.Segments.CountLive(entries[i].Segment, -1);
            entries[i] = new ExtentEntry(segment, offset + (uint)i, checksums[i], seq);
        }

        state.Segments.CountLive(segment, count);
        return count;
    }
}

internal static class ExtentEntries
{
    public static bool ContainsMapped(this Span<ExtentEntry> entries)
    {
        foreach (ref readonly var entry in entries)
        {
            if (entry.IsMapped) return true;
        }

        return false;
    }
}
