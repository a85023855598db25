using OpenEbs.Storage.Formats;
using OpenEbs.Storage.Store;

namespace OpenEbs.Storage.Maps;

/// <summary>Which block of the volume is where: a copy-on-write radix tree of pages. Leaves come in from the map files when they are needed and leave a bounded cache when they are not;
/// interior pages (32 bytes per MiB of mapped volume) stay.</summary>
internal sealed class ExtentMap(MapPages pages, int maxCachedLeaves)
{
    private const int TrimmedAtOnce = 64;

    /// <summary>The leaves in memory, in the order in which they may leave it: by their place, as a leaf that is changed is replaced.</summary>
    private readonly Queue<long> _cached = new();
    private readonly HashSet<long> _isCached = [];
    private MapNode _root = new(MapNode.RootLevel, 0);

    /// <summary>Pages that no later root refers to; their places are free once the next checkpoint is installed.</summary>
    private List<ObsoletePage> _obsolete = [];

    public int Generation { get; private set; }

    /// <summary>Leaves changed since the last capture.</summary>
    public int DirtyLeaves { get; private set; }

    /// <summary>Leaves in memory.</summary>
    public int CachedLeaves => _cached.Count;

    public MapNode Root => _root;

    /// <summary>Starts from a stored root, or empty.</summary>
    public async ValueTask LoadAsync(PagePointer root)
    {
        Generation++;
        _cached.Clear();
        _isCached.Clear();
        _obsolete = [];
        DirtyLeaves = 0;
        pages.ForgetUse();
        if (root.Page == 0)
        {
            _root = new MapNode(MapNode.RootLevel, Generation) { MaxSeq = root.MaxSeq };
            return;
        }

        _root = await pages.ReadAsync(root, MapNode.RootLevel, Generation - 1);
        pages.MarkUsed(root.Page);
        await LoadInteriorAsync(_root);
    }

    /// <summary>The leaf that covers a block if it is in memory. Absent ones: <paramref name="leaf"/> is null and the result true. False: it must be loaded first.</summary>
    public bool TryGetLeaf(long leafIndex, out MapNode? leaf)
    {
        var node = _root;
        for (var level = MapNode.RootLevel; level > 0; level--)
        {
            ref var child = ref node.Children[ChildIndex(leafIndex, level)];
            if (child.Node is null)
            {
                leaf = null;
                return child.Pointer.Page == 0;
            }

            node = child.Node;
        }

        node.Referenced = true;
        leaf = node;
        return true;
    }

    /// <summary>What memory has in the place of a page of the tree: the node (null when it is not in memory), and where that is on media.</summary>
    public (MapNode? Node, PagePointer Pointer) Find(int level, long firstLeaf)
    {
        var node = _root;
        for (var above = MapNode.RootLevel; above > level; above--)
        {
            ref var child = ref node.Children[ChildIndex(firstLeaf, above)];
            if (child.Node is null) return (null, child.Pointer);
            node = child.Node;
        }

        return (node, node.Pointer);
    }

    public async ValueTask<MapNode?> GetLeafAsync(long leafIndex)
    {
        MapNode? leaf;
        while (!TryGetLeaf(leafIndex, out leaf))
        {
            var parent = Parent(leafIndex);
            var index = ChildIndex(leafIndex, 1);
            var pointer = parent.Children[index].Pointer;
            MapNode loaded;
            try
            {
                loaded = await pages.ReadAsync(pointer, 0, -1);
            }
            catch (StoreCorruptException) when (Parent(leafIndex).Children[index] is var now && (now.Node is not null || now.Pointer != pointer))
            {
                // The leaf was changed while its page was read, two checkpoints were installed, and the page holds something else by now: nothing is damaged.
                continue;
            }

            // Meanwhile somebody else may have loaded it, or changed the path to it.
            var current = Parent(leafIndex);
            if (current.Children[index].Node is not null || current.Children[index].Pointer != pointer) continue;
            current.Children[index].Node = loaded;
            loaded.Referenced = true;
            Cache(leafIndex);
        }

        return leaf;
    }

    /// <summary>The leaf, made changeable, with everything above it; <paramref name="seq"/> is the change's.</summary>
    public async ValueTask<MapNode> GetWritableLeafAsync(long leafIndex, ulong seq)
    {
        while (!TryGetLeaf(leafIndex, out _)) await GetLeafAsync(leafIndex);
        _root = Writable(_root, seq);
        var node = _root;
        for (var level = MapNode.RootLevel; level > 0; level--)
        {
            ref var child = ref node.Children[ChildIndex(leafIndex, level)];
            if (child.Node is null)
            {
                var emptiedAt = child.Pointer.MaxSeq;
                child.Node = new MapNode(level - 1, Generation) { MaxSeq = Math.Max(seq, emptiedAt) };
                child.Pointer = default;
                if (level == 1)
                {
                    // A leaf that was emptied as a whole leaves the seq of that to each of its blocks.
                    if (emptiedAt > 0) Array.Fill(child.Node.Entries, ExtentEntry.Emptied(emptiedAt));
                    DirtyLeaves++;
                    Cache(leafIndex);
                }
            }
            else
            {
                var copy = Writable(child.Node, seq);
                if (copy != child.Node && level == 1) DirtyLeaves++;
                child.Node = copy;
            }

            node = child.Node;
        }

        return node;
    }

    /// <summary>Forgets a leaf all of whose blocks were emptied at or below <paramref name="seq"/>.</summary>
    public void DropLeaf(long leafIndex, ulong seq)
    {
        var parent = Parent(leafIndex);
        ref var child = ref parent.Children[ChildIndex(leafIndex, 1)];
        if (child.Node is { } leaf && (leaf.Generation != Generation || leaf.Page != 0)) _obsolete.Add(new ObsoletePage(leaf));
        child.Node = null;
        child.Pointer = new PagePointer(0, 0, seq);
    }

    /// <summary>The smallest leaf index at or above <paramref name="fromLeaf"/> whose subtree is present and was changed after <paramref name="sinceSeq"/>, or -1. Emptied leaves count when <paramref name="emptied"/>.</summary>
    public long NextLeaf(long fromLeaf, ulong sinceSeq, bool emptied) => NextLeaf(_root, 0, fromLeaf, sinceSeq, emptied);

    /// <summary>The seq at which the whole leaf was emptied, if it is absent.</summary>
    public ulong AbsentSeq(long leafIndex)
    {
        var node = _root;
        for (var level = MapNode.RootLevel; level > 0; level--)
        {
            ref var child = ref node.Children[ChildIndex(leafIndex, level)];
            if (child.Node is null) return child.Pointer.MaxSeq;
            node = child.Node;
        }

        return 0;
    }

    /// <summary>Ends the current generation: what the result refers to never changes.</summary>
    public (MapNode Root, List<ObsoletePage> Obsolete) Capture()
    {
        var captured = (_root, _obsolete);
        Generation++;
        DirtyLeaves = 0;
        _obsolete = [];
        return captured;
    }

    /// <summary>Pages of a captured tree that are not written yet, children before parents.</summary>
    public static IEnumerable<MapNode> Unwritten(MapNode node)
    {
        if (node.Page != 0) yield break;
        foreach (var child in node.Children)
        {
            if (child.Node is not { Page: 0 } unwritten) continue;
            foreach (var below in Unwritten(unwritten)) yield return below;
        }

        yield return node;
    }

    /// <summary>Lets go of leaves that were not used lately, when there are too many.</summary>
    public void Trim() => Trim(TrimmedAtOnce);

    private static long NextLeaf(MapNode node, long firstLeaf, long fromLeaf, ulong sinceSeq, bool emptied)
    {
        var step = 1L << ((node.Level - 1) * MapNode.FanoutBits);
        for (var i = fromLeaf <= firstLeaf ? 0 : (int)((fromLeaf - firstLeaf) / step); i < MapNode.Fanout; i++)
        {
            ref var child = ref node.Children[i];
            var first = firstLeaf + (i * step);
            if (child.MaxSeq <= sinceSeq && !(sinceSeq == 0 && !child.IsAbsent)) continue;
            if (child.IsAbsent && !emptied) continue;
            if (node.Level == 1) return first;
            if (child.IsAbsent) return Math.Max(first, fromLeaf);
            var found = NextLeaf(child.Node!, first, fromLeaf, sinceSeq, emptied);
            if (found >= 0) return found;
        }

        return -1;
    }

    private static int ChildIndex(long leafIndex, int level) => (int)(leafIndex >> ((level - 1) * MapNode.FanoutBits)) & (MapNode.Fanout - 1);

    private MapNode Writable(MapNode node, ulong seq)
    {
        if (node.Generation != Generation || node.Page != 0)
        {
            _obsolete.Add(new ObsoletePage(node));
            node = node.Copy(Generation);
        }

        node.MaxSeq = Math.Max(node.MaxSeq, seq);
        node.Referenced = true;
        return node;
    }

    private MapNode Parent(long leafIndex)
    {
        var node = _root;
        for (var level = MapNode.RootLevel; level > 1; level--) node = node.Children[ChildIndex(leafIndex, level)].Node!;
        return node;
    }

    private MapChild[] Parent(long leafIndex, out bool present)
    {
        var node = _root;
        for (var level = MapNode.RootLevel; level > 1 && node is not null; level--) node = node.Children[ChildIndex(leafIndex, level)].Node;
        present = node is not null;
        return node?.Children ?? _root.Children;
    }

    private void Cache(long leafIndex)
    {
        // However fast leaves come in, what can leave does: most of those that are looked at were used since, and stay for one more turn.
        Trim(8);
        if (_isCached.Add(leafIndex)) _cached.Enqueue(leafIndex);
    }

    private void Trim(int most)
    {
        for (var tries = 0; _cached.Count > maxCachedLeaves && tries < most; tries++)
        {
            var leafIndex = _cached.Dequeue();
            ref var child = ref Parent(leafIndex, out var present)[ChildIndex(leafIndex, 1)];
            if (!present || child.Node is not { } leaf)
            {
                _isCached.Remove(leafIndex);
                continue;
            }

            if (leaf.Page == 0 || leaf.Referenced)
            {
                leaf.Referenced = false;
                _cached.Enqueue(leafIndex);
                continue;
            }

            child.Pointer = leaf.Pointer;
            child.Node = null;
            _isCached.Remove(leafIndex);
        }
    }

    /// <summary>Interior pages stay in memory, and the pages they refer to are not free.</summary>
    private async ValueTask LoadInteriorAsync(MapNode node)
    {
        for (var i = 0; i < MapNode.Fanout; i++)
        {
            var pointer = node.Children[i].Pointer;
            if (pointer.Page == 0) continue;
            pages.MarkUsed(pointer.Page);
            if (node.Level == 1) continue;
            var child = await pages.ReadAsync(pointer, node.Level - 1, Generation - 1);
            node.Children[i].Node = child;
            await LoadInteriorAsync(child);
        }
    }
}

/// <summary>A page that a newer root does without. One that a capture has yet to write is known by its node until then.</summary>
internal readonly struct ObsoletePage(MapNode node)
{
    private readonly ulong _page = node.Page;
    private readonly MapNode? _unwritten = node.Page == 0 ? node : null;

    public ulong Page => _unwritten?.Page ?? _page;
}
