using OpenEbs.Storage.Formats;
using OpenEbs.Storage.Maps;
using OpenEbs.Storage.Segments;

namespace OpenEbs.Storage.Store;

/// <summary>Checks the pages of the installed checkpoint on media: the map from its root to its leaves, and the segment table.</summary>
/// <remarks>A damaged page is written once more where it is, if memory (as a node, or in the page cache) still has what it held. Else a new checkpoint is taken, when memory has something newer in its
/// place. What neither has is lost: where the blocks below are is known to nobody here.</remarks>
internal sealed class MapScrub(StoreState state, Maintenance maintenance)
{
    private const int PagesPerStep = 32;
    private readonly byte[] _page = new byte[FormatTags.PageBytes];
    private long _leaf;
    private int _left;

    /// <summary>By segment, the highest block offset in it that a leaf refers to.</summary>
    public Dictionary<uint, uint> HighestLive { get; private set; } = [];

    public void Restart()
    {
        _leaf = 0;
        HighestLive = [];
    }

    /// <summary>True when all has been checked.</summary>
    public async ValueTask<bool> StepAsync(ScrubFindings findings)
    {
        _left = PagesPerStep;
        if (state.Superblock.Root is { Page: not 0 } root && !await WalkAsync(root, MapNode.RootLevel, 0, findings)) return false;
        await CheckTableAsync(findings);
        return true;
    }

    /// <summary>Checks a page and what is below it, from the leaf on where the last step ended. False when this step is used up.</summary>
    private async ValueTask<bool> WalkAsync(PagePointer pointer, int level, long firstLeaf, ScrubFindings findings)
    {
        if (_left-- <= 0)
        {
            _leaf = Math.Max(_leaf, firstLeaf);
            return false;
        }

        if (await ReadAsync(pointer, level, firstLeaf, findings) is not { } node) return true;
        if (level == 0)
        {
            Note(node);
            return true;
        }

        var step = 1L << ((level - 1) * MapNode.FanoutBits);
        for (var i = (int)Math.Clamp((_leaf - firstLeaf) / step, 0, MapNode.Fanout); i < MapNode.Fanout; i++)
        {
            if (node.Children[i].Pointer is { Page: not 0 } child && !await WalkAsync(child, level - 1, firstLeaf + (i * step), findings)) return false;
        }

        return true;
    }

    /// <summary>The page as it must be; null when that is not known any more.</summary>
    private async ValueTask<MapNode?> ReadAsync(PagePointer pointer, int level, long firstLeaf, ScrubFindings findings)
    {
        findings.CheckedBytes += FormatTags.PageBytes;
        if (await state.Pages.TryReadAsync(pointer, _page, fromMedia: true)) return MapNode.ReadFrom(_page, level, pointer, -1);
        var where = $"the map page in {MapPages.Describe(pointer.Page)}";
        var (node, current) = state.Map.Find(level, firstLeaf);
        var isKnown = await state.Pages.TryReadAsync(pointer, _page, fromMedia: false);
        if (!isKnown && node is not null && node.Page == pointer.Page)
        {
            node.WriteTo(_page);
            isKnown = Crc32C.Compute(_page) == pointer.Crc;
        }

        if (isKnown)
        {
            findings.Repaired.Add($"{where} was damaged: written anew");
            await state.Pages.RewriteAsync(pointer.Page, _page);
            return MapNode.ReadFrom(_page, level, pointer, -1);
        }

        if (current.Page != pointer.Page)
        {
            // Memory has something newer there: only a crash before the next checkpoint would bring this one back.
            findings.Repaired.Add($"{where} is damaged: a new checkpoint does without it");
            maintenance.RequestCheckpoint();
        }
        else
        {
            findings.Damage.Add($"{where} is damaged, and where the blocks are that it lists is not known otherwise");
        }

        return null;
    }

    private async ValueTask CheckTableAsync(ScrubFindings findings)
    {
        for (var pointer = state.Superblock.SegmentTable; pointer.Page != 0; pointer = SegmentSet.NextTablePage(_page))
        {
            findings.CheckedBytes += FormatTags.PageBytes;
            if (await state.Pages.TryReadAsync(pointer, _page, fromMedia: true)) continue;
            var where = $"the page of the segment table in {MapPages.Describe(pointer.Page)}";
            if (!await state.Pages.TryReadAsync(pointer, _page, fromMedia: false))
            {
                findings.Repaired.Add($"{where} is damaged: a new checkpoint writes it anew");
                maintenance.RequestCheckpoint();
                return;
            }

            findings.Repaired.Add($"{where} was damaged: written anew");
            await state.Pages.RewriteAsync(pointer.Page, _page);
        }
    }

    private void Note(MapNode leaf)
    {
        foreach (ref readonly var entry in leaf.Entries.AsSpan())
        {
            if (entry.IsMapped) HighestLive[entry.Segment] = Math.Max(HighestLive.GetValueOrDefault(entry.Segment), entry.Offset);
        }
    }
}
