using System.Buffers;
using System.Collections.Concurrent;
using System.Numerics;

namespace OpenEbs.Iscsi.Host;

/// <summary>A pool of pinned buffers in power-of-two classes, as the server's own: renting allocates nothing once it is warm.</summary>
public sealed class BufferPool : MemoryPool<byte>
{
    private const int MinClassBits = 12;
    private readonly ConcurrentQueue<Block>[] _idle = [.. Enumerable.Range(0, 16).Select(_ => new ConcurrentQueue<Block>())];
    private long _rented;

    public override int MaxBufferSize => 64 << 20;

    /// <summary>Bytes rented and not returned.</summary>
    public long RentedBytes => Volatile.Read(ref _rented);

    public override IMemoryOwner<byte> Rent(int minBufferSize = -1)
    {
        var bits = Math.Max(MinClassBits, 32 - BitOperations.LeadingZeroCount((uint)Math.Max(minBufferSize, 1) - 1));
        if (!_idle[bits - MinClassBits].TryDequeue(out var block)) block = new Block(this, bits);
        block.Lease();
        Interlocked.Add(ref _rented, 1L << bits);
        return block;
    }

    protected override void Dispose(bool disposing)
    {
    }

    private void Return(Block block)
    {
        Interlocked.Add(ref _rented, -(1L << block.Bits));
        _idle[block.Bits - MinClassBits].Enqueue(block);
    }

    private sealed class Block(BufferPool pool, int bits) : IMemoryOwner<byte>
    {
        private readonly byte[] _array = GC.AllocateUninitializedArray<byte>(1 << bits, pinned: true);
        private int _leased;

        public int Bits { get; } = bits;

        public Memory<byte> Memory => _leased == 1 ? _array : throw new ObjectDisposedException(nameof(Block));

        public void Lease()
        {
            if (Interlocked.Exchange(ref _leased, 1) != 0) throw new InvalidOperationException("A buffer was rented twice.");
        }

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _leased, 0) != 1) throw new ObjectDisposedException(nameof(Block), "A buffer was returned twice.");
            pool.Return(this);
        }
    }
}
