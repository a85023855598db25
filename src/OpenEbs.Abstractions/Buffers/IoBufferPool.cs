using System.Buffers;
using System.Collections.Concurrent;
using System.Numerics;

namespace OpenEbs.Buffers;

/// <summary>Pool of <see cref="IoBuffer"/>s on the pinned object heap, in power-of-two size classes from 4 KiB to 2 MiB. Larger requests
/// are served unpooled. What is kept idle is bounded; what has to go is of the size that nobody has asked for the longest.</summary>
public sealed class IoBufferPool : MemoryPool<byte>
{
    private const int MinClassBits = 12;
    private const int MaxClassBits = 21;

    private readonly SizeClass[] _classes = new SizeClass[MaxClassBits - MinClassBits + 1];
    private readonly long _maxIdleBytes;
    private long _idleBytes;
    private long _rented;
    private long _rents;

    public IoBufferPool(long maxIdleBytes = 64L << 20)
    {
        _maxIdleBytes = maxIdleBytes;
        for (var i = 0; i < _classes.Length; i++) _classes[i] = new SizeClass();
    }

    public static new IoBufferPool Shared { get; } = new();

    /// <summary>Buffers rented and not yet returned (or abandoned to the garbage collector); for tests and diagnostics.</summary>
    internal long Rented => Interlocked.Read(ref _rented);

    /// <summary>Bytes of the buffers that wait to be rented again; for tests and diagnostics.</summary>
    internal long IdleBytes => Interlocked.Read(ref _idleBytes);

    public override int MaxBufferSize => 64 << 20;

    public override IMemoryOwner<byte> Rent(int minBufferSize = -1) => RentBuffer(minBufferSize <= 0 ? 4096 : minBufferSize);

    /// <summary>A buffer whose <see cref="IoBuffer.Length"/> is exactly <paramref name="lengthBytes"/>; its contents are undefined.</summary>
    public IoBuffer RentBuffer(int lengthBytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(lengthBytes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(lengthBytes, MaxBufferSize);
        var bits = ClassBits(lengthBytes);
        IoBuffer? buffer = null;
        if (bits <= MaxClassBits)
        {
            var sizeClass = _classes[bits - MinClassBits];
            Volatile.Write(ref sizeClass.LastRent, Interlocked.Increment(ref _rents));
            if (sizeClass.Idle.TryDequeue(out buffer)) Interlocked.Add(ref _idleBytes, -buffer.Capacity);
        }

        buffer ??= new IoBuffer(this, GC.AllocateUninitializedArray<byte>(bits <= MaxClassBits ? 1 << bits : lengthBytes, pinned: true));
        buffer.Lease(lengthBytes);
        Interlocked.Increment(ref _rented);
        return buffer;
    }

    internal void Return(IoBuffer buffer)
    {
        Interlocked.Decrement(ref _rented);
        var bits = ClassBits(buffer.Capacity);
        if (bits > MaxClassBits || 1 << bits != buffer.Capacity) return;
        _classes[bits - MinClassBits].Idle.Enqueue(buffer);
        if (Interlocked.Add(ref _idleBytes, buffer.Capacity) > _maxIdleBytes) Shrink();
    }

    protected override void Dispose(bool disposing)
    {
    }

    private static int ClassBits(int lengthBytes) => Math.Max(MinClassBits, 32 - BitOperations.LeadingZeroCount((uint)Math.Max(lengthBytes, 1) - 1));

    private void Shrink()
    {
        while (Volatile.Read(ref _idleBytes) > _maxIdleBytes)
        {
            SizeClass? oldest = null;
            foreach (var sizeClass in _classes)
            {
                if (!sizeClass.Idle.IsEmpty && (oldest is null || Volatile.Read(ref sizeClass.LastRent) < Volatile.Read(ref oldest.LastRent))) oldest = sizeClass;
            }

            if (oldest is null || !oldest.Idle.TryDequeue(out var dropped)) return;
            Interlocked.Add(ref _idleBytes, -dropped.Capacity);
        }
    }

    private sealed class SizeClass
    {
        public readonly ConcurrentQueue<IoBuffer> Idle = new();
        public long LastRent;
    }
}
