using OpenEbs.Storage.Devices;
using OpenEbs.Storage.Maps;
using OpenEbs.Storage.Segments;

namespace OpenEbs.Storage.Store;

/// <summary>Moves what lives in segments whose records can no longer all be found (compaction goes by the records, and would leave it there for ever): goes through the map instead. The emptied segment is
/// freed by the next checkpoint.</summary>
internal sealed class Evacuation(StoreState state, BlockMoves moves)
{
    private const int LeavesPerStep = 64;
    private readonly HashSet<uint> _segments = [];
    private readonly List<(long Block, ExtentEntry Entry)> _found = [];
    private long _leaf;
    private int _resets;

    public bool IsNeeded => _segments.Count > 0;

    /// <summary>Has a segment emptied, soon.</summary>
    public void Add(Segment segment)
    {
        segment.IsCompacted = true;
        if (_segments.Add(segment.Number)) _leaf = 0;
    }

    /// <summary>One bounded step; false when there is no room for it now. The caller holds the maintenance turn.</summary>
    public async ValueTask<bool> StepAsync()
    {
        try
        {
            await MoveSomeAsync();
            return true;
        }
        catch (StorageFullException)
        {
            return false;
        }
    }

    private async ValueTask MoveSomeAsync()
    {
        if (_resets != state.Resets) (_leaf, _resets) = (0, state.Resets);
        await SealAsync();
        for (var leaves = 0; leaves < LeavesPerStep; leaves++)
        {
            var leafIndex = state.Map.NextLeaf(_leaf, 0, emptied: false);
            if (leafIndex < 0)
            {
                // What is left there is bad, or was written meanwhile and is gone soon: the next scrub looks again.
                _segments.Clear();
                return;
            }

            if (!await MoveAsync(leafIndex)) return;
            _leaf = leafIndex + 1;
        }
    }

    /// <summary>Nothing more is appended behind what is damaged.</summary>
    private async ValueTask SealAsync()
    {
        if (state.Segments.Current is not { } current || !_segments.Contains(current.Number)) return;
        await state.MutationTurn.EnterAsync();
        state.Segments.SealCurrent();
        state.MutationTurn.Leave();
    }

    /// <summary>False when there is more in the leaf than one record takes.</summary>
    private async ValueTask<bool> MoveAsync(long leafIndex)
    {
        var leaf = await state.Map.GetLeafAsync(leafIndex);
        if (leaf is null) return true;
        _found.Clear();
        for (var i = 0; i < MapNode.LeafBlocks; i++)
        {
            if (leaf.Entries[i] is { IsMapped: true } entry && _segments.Contains(entry.Segment)) _found.Add(((leafIndex << MapNode.LeafBits) + i, entry));
        }

        if (_found.Count == 0) return true;
        moves.Clear();
        var isWhole = true;
        foreach (var (block, entry) in _found)
        {
            if (moves.IsFull)
            {
                isWhole = false;
                break;
            }

            if (!state.Segments.TryGet(entry.Segment, out var segment)) continue;
            segment!.Readers++;
            try
            {
                await moves.TryAddAsync(block, entry, segment.File.ReadAsync);
            }
            finally
            {
                segment.Readers--;
            }
        }

        await moves.CarryOutAsync(_resets);
        return isWhole;
    }
}
