using System.Buffers;
using System.Security.Cryptography;
using OpenEbs.Storage.Store;

namespace OpenEbs.Replication.Replicas;

/// <summary>What blocks hold, in a few bytes each, so that a rebuild need not move what is there already. A digest says that data is equal and it is believed: 32 bits, as the checksums of
/// blocks have, would be wrong once in some billions of blocks, which large volumes come to; hence the first 128 bits of SHA-256.</summary>
internal static class BlockDigests
{
    public const int DigestBytes = 16;

    /// <summary>A digest of each block, all zeros for a block that holds nothing.</summary>
    /// <exception cref="BadBlockException">A block is bad.</exception>
    public static async ValueTask<byte[]> OfAsync(IReplicaStore store, long block, int blockCount, MemoryPool<byte> pool)
    {
        var digests = new byte[blockCount * DigestBytes];
        foreach (var run in await store.ListAllocatedAsync(block, blockCount, blockCount))
        {
            if (!run.Mapped) continue;
            var lengthBytes = (int)run.BlockCount * VolumeBlocks.BlockBytes;
            using var data = pool.Rent(lengthBytes);
            await store.ReadAsync(run.Block, (int)run.BlockCount, data.Memory[..lengthBytes]);
            for (var i = 0; i < run.BlockCount; i++) Write(data.Memory.Span.Slice(i * VolumeBlocks.BlockBytes, VolumeBlocks.BlockBytes), digests.AsSpan(((int)(run.Block - block) + i) * DigestBytes, DigestBytes));
        }

        return digests;
    }

    /// <summary>A digest of each block as it is on media, all zeros for a block that reads as zeros.</summary>
    /// <exception cref="BadBlockException">A block is bad.</exception>
    public static async ValueTask<byte[]> OfMediaAsync(IReplicaStore store, long block, int blockCount, MemoryPool<byte> pool)
    {
        var digests = new byte[blockCount * DigestBytes];
        using var data = pool.Rent(blockCount * VolumeBlocks.BlockBytes);
        await store.ReadMediaAsync(block, blockCount, data.Memory[..(blockCount * VolumeBlocks.BlockBytes)]);
        for (var i = 0; i < blockCount; i++) Of(data.Memory.Span.Slice(i * VolumeBlocks.BlockBytes, VolumeBlocks.BlockBytes)).CopyTo(digests, i * DigestBytes);
        return digests;
    }

    /// <summary>The digest of one block, all zeros if it reads as zeros.</summary>
    public static byte[] Of(ReadOnlySpan<byte> data)
    {
        var digest = new byte[DigestBytes];
        if (data.ContainsAnyExcept((byte)0)) Write(data, digest);
        return digest;
    }

    /// <summary>Whether both have data in a block, and the same.</summary>
    public static bool AreEqual(ReadOnlySpan<byte> mine, ReadOnlySpan<byte> theirs, int index)
    {
        var digest = mine.Slice(index * DigestBytes, DigestBytes);
        return digest.SequenceEqual(theirs.Slice(index * DigestBytes, DigestBytes)) && digest.ContainsAnyExcept((byte)0);
    }

    private static void Write(ReadOnlySpan<byte> data, Span<byte> digest)
    {
        Span<byte> whole = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(data, whole);
        whole[..DigestBytes].CopyTo(digest);
    }
}
