using OpenEbs.Storage.Formats;
using OpenEbs.Storage.Maps;

namespace OpenEbs.Storage.Store;

/// <summary>Live blocks that are moved to the end of the log together, in one record.</summary>
internal sealed class BlockMoves(StoreState state, LogWriter log, MapUpdates updates)
{
    private const int MostBlocks = 64;
    private readonly List<(long Block, ExtentEntry Entry)> _blocks = [];
    private readonly byte[] _data = GC.AllocateUninitializedArray<byte>(MostBlocks * FormatTags.PageBytes, pinned: true);

    // A record of them, with its header, has to fit into a segment.
    private readonly int _most = Math.Clamp((state.Segments.SegmentBytes / FormatTags.PageBytes) - 4, 1, MostBlocks);

    public bool IsFull => _blocks.Count == _most;

    public void Clear() => _blocks.Clear();

    /// <summary>Takes a block, which is read from its segment. A bad one stays where it is until it is repaired or overwritten: moving it would make it look good. False then.</summary>
    public async ValueTask<bool> TryAddAsync(long block, ExtentEntry entry, Func<long, Memory<byte>, ValueTask> read)
    {
        var data = _data.AsMemory(_blocks.Count * FormatTags.PageBytes, FormatTags.PageBytes);
        try
        {
            await read((long)entry.Offset * FormatTags.PageBytes, data);
        }
        catch (IOException)
        {
            return false;
        }

        if (Crc32C.Compute(data.Span) != entry.Crc) return false;
        _blocks.Add((block, entry));
        return true;
    }

    /// <summary>Writes them and points the map there, unless the store was set back since <paramref name="resets"/> was read.</summary>
    public async ValueTask CarryOutAsync(int resets)
    {
        if (_blocks.Count == 0) return;
        await state.MutationTurn.EnterAsync();
        try
        {
            if (resets != state.Resets) return;
            var operations = new StoreOperation[_blocks.Count];
            var origins = new RelocatedBlock[_blocks.Count];
            for (var i = 0; i < operations.Length; i++)
            {
                var (block, entry) = _blocks[i];
                operations[i] = new StoreOperation(OperationKind.Write, block, 1, _data.AsMemory(i * FormatTags.PageBytes, FormatTags.PageBytes), new[] { entry.Crc });
                origins[i] = new RelocatedBlock(entry.Seq, entry.Segment, entry.Offset);
            }

            var place = log.Append(RecordKind.Relocate, state.Last, 0, operations, origins, mayUseReserve: true);
            for (var i = 0; i < operations.Length; i++) await updates.MoveAsync(operations[i].Block, operations[i].Checksums.Span[0], origins[i], place.Segment.Number, place.DataOffset + (uint)i);
        }
        finally
        {
            state.MutationTurn.Leave();
            Clear();
        }
    }
}
