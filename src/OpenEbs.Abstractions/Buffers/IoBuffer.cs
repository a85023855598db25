using System.Buffers;

namespace OpenEbs.Buffers;

/// <summary>A pooled, reference-counted block of memory that carries the data of one I/O. As the argument of a grain call it is shared,
/// never copied: the call's copier takes a reference, the receiving method releases it; the sender keeps and releases its own.</summary>
/// <remarks>A buffer whose last reference is never released is simply garbage collected; the pool then allocates another.</remarks>
[Alias("openebs.IoBuffer")]
public sealed class IoBuffer : IMemoryOwner<byte>
{
    private readonly IoBufferPool? _pool;
    private readonly byte[] _array;
    private int _references;

    internal IoBuffer(IoBufferPool pool, byte[] array)
    {
        _pool = pool;
        _array = array;
    }

    private IoBuffer(byte[] array)
    {
        _array = array;
        Length = array.Length;
        _references = 1;
    }

    /// <summary>Bytes in use; at most <see cref="Capacity"/>.</summary>
    public int Length { get; private set; }

    public int Capacity => _array.Length;

    public Memory<byte> Memory => new(_array, 0, Length);

    public Span<byte> Span => new(_array, 0, Length);

    /// <summary>Takes another reference.</summary>
    public IoBuffer AddReference()
    {
        if (Interlocked.Increment(ref _references) <= 1) throw new ObjectDisposedException(nameof(IoBuffer), "The buffer was already returned to its pool.");
        return this;
    }

    /// <summary>Releases one reference; the last one returns the block to its pool.</summary>
    public void Dispose()
    {
        if (_pool is null) return;
        var left = Interlocked.Decrement(ref _references);
        if (left == 0) _pool.Return(this);
        else if (left < 0) throw new ObjectDisposedException(nameof(IoBuffer), "The buffer was released more often than it was referenced.");
    }

    /// <summary>Shortens or lengthens the part in use, within the capacity.</summary>
    public void SetLength(int lengthBytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(lengthBytes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(lengthBytes, _array.Length);
        Length = lengthBytes;
    }

    /// <summary>References not yet released; for tests and diagnostics.</summary>
    internal int References => Volatile.Read(ref _references);

    /// <summary>A copy that belongs to no pool: releasing it does nothing, so that it stays intact however often it is serialised.</summary>
    internal IoBuffer CopyUnpooled() => new(Span.ToArray());

    internal void Lease(int lengthBytes)
    {
        SetLength(lengthBytes);
        Volatile.Write(ref _references, 1);
    }
}
