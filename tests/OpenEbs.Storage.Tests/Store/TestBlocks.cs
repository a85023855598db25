using System.Runtime.InteropServices;
using OpenEbs.Storage.Store;
using Xunit;

namespace OpenEbs.Storage.Tests.Store;

/// <summary>The blocks that generated histories touch, some hundred in places that lie well apart, and what is in them: the data of a block follow from a
/// stamp, one number per write; stamp 0 is a block that reads as zeros.</summary>
internal static class TestBlocks
{
    public const int BlockBytes = 4096;
    public const long EndOfVolume = 1L << 34;

    /// <summary>Across a leaf of the map, alone in distant ones, at the very end.</summary>
    public static readonly (long First, int Count)[] Clusters = [(0, 96), (200, 112), (5000, 8), (9000, 8), (1L << 20, 16), (1L << 26, 8), (EndOfVolume - 16, 16)];

    private static readonly long[] s_blocks = [.. Clusters.SelectMany(cluster => Enumerable.Range(0, cluster.Count).Select(i => cluster.First + i))];
    private static readonly Dictionary<long, int> s_indexes = s_blocks.Select((block, index) => (block, index)).ToDictionary();

    public static int Count => s_blocks.Length;

    public static long BlockAt(int index) => s_blocks[index];

    public static bool TryIndexOf(long block, out int index) => s_indexes.TryGetValue(block, out index);

    public static int IndexOf(long block) => s_indexes[block];

    public static void Fill(Span<byte> block, long stamp)
    {
        var words = MemoryMarshal.Cast<byte, ulong>(block);
        if (stamp == 0) words.Clear();
        else
        {
            for (var i = 0; i < words.Length; i++) words[i] = Word(stamp, i);
        }
    }

    /// <summary>What the stamp of a block is; -1 when its data follow from none.</summary>
    public static long StampOf(ReadOnlySpan<byte> block)
    {
        var words = MemoryMarshal.Cast<byte, ulong>(block);
        var stamp = (long)words[0];
        if (stamp == 0) return words.IndexOfAnyExcept(0ul) < 0 ? 0 : -1;
        for (var i = 1; i < words.Length; i++)
        {
            if (words[i] != Word(stamp, i)) return -1;
        }

        return stamp;
    }

    public static StoreOperation Write(long block, ReadOnlySpan<long> stamps)
    {
        var data = new byte[stamps.Length * BlockBytes];
        var checksums = new uint[stamps.Length];
        for (var i = 0; i < stamps.Length; i++)
        {
            var target = data.AsSpan(i * BlockBytes, BlockBytes);
            Fill(target, stamps[i]);
            checksums[i] = Crc32C.Compute(target);
        }

        return new StoreOperation(OperationKind.Write, block, stamps.Length, data, checksums);
    }

    public static StoreOperation Unmap(long block, long blockCount) => new(OperationKind.Unmap, block, blockCount, default, default);

    public static StoreOperation Mark() => new(OperationKind.Mark, 0, 0, default, default);

    /// <summary>The stamps of all test blocks as the store reads them, and a check that what lies between them reads as zeros.</summary>
    public static async Task<long[]> ReadAllAsync(IReplicaStore store)
    {
        var stamps = new long[Count];
        var at = 0;
        foreach (var (first, count) in Clusters)
        {
            var data = new byte[count * BlockBytes];
            await store.ReadAsync(first, count, data);
            for (var i = 0; i < count; i++) stamps[at++] = StampOf(data.AsSpan(i * BlockBytes, BlockBytes));
        }

        var gap = new byte[8 * BlockBytes];
        await store.ReadAsync(4990, 8, gap);
        if (gap.AsSpan().IndexOfAnyExcept((byte)0) >= 0) throw new InvalidOperationException("Blocks that were never written hold data.");
        return stamps;
    }

    private static ulong Word(long stamp, int index) => (ulong)stamp ^ ((ulong)index * 0x9E3779B97F4A7C15ul);

    /// <summary>Reads block by block what must be there: it is, or it is bad, or nothing can be read.</summary>
    public static async Task<string> CheckAllAsync(IReplicaStore store, IReadOnlyList<long> stamps)
    {
        var outcome = "whole";
        var data = new byte[BlockBytes];
        for (var i = 0; i < Count; i++)
        {
            try
            {
                await store.ReadAsync(BlockAt(i), 1, data);
                Assert.Equal(stamps[i], StampOf(data));
            }
            catch (BadBlockException failure)
            {
                Assert.Equal(BlockAt(i), failure.Block);
                outcome = "bad block";
            }
            catch (StoreCorruptException)
            {
                return "refused";
            }
        }

        return outcome;
    }
}
