namespace OpenEbs.Testing.Devices;

/// <summary>The bytes of one simulated file: what reads see (the page cache), what is on media, and the writes between the two. Pages that hold only
/// zeros take no memory; a page is shared by cache and media until it is written again.</summary>
internal sealed class SimulatedFileContent
{
    private const int PageBytes = 4096;
    private readonly byte[]?[] _cached;
    private readonly byte[]?[] _durable;
    private readonly bool[] _allocated;
    private readonly List<PendingWrite> _pending = [];

    public SimulatedFileContent(long lengthBytes, bool isSparse = false)
    {
        LengthBytes = lengthBytes;
        var pages = checked((int)((lengthBytes + PageBytes - 1) / PageBytes));
        _cached = new byte[pages][];
        _durable = new byte[pages][];
        _allocated = new bool[pages];
        if (isSparse) return;
        Array.Fill(_allocated, true);
        AllocatedBytes = (long)pages * PageBytes;
    }

    public long LengthBytes { get; }

    public long AllocatedBytes { get; private set; }

    /// <summary>Number of writes that are not on media yet.</summary>
    public int PendingCount => _pending.Count;

    /// <summary>Ranges that cannot be read.</summary>
    public List<(long OffsetBytes, long LengthBytes)> ReadErrors { get; } = [];

    /// <summary>Bytes that a write to this range would have to allocate (it was punched before).</summary>
    public long MissingBytes(long offsetBytes, long lengthBytes)
    {
        long missing = 0;
        for (var page = offsetBytes / PageBytes; page * PageBytes < offsetBytes + lengthBytes; page++)
        {
            if (!_allocated[page]) missing += PageBytes;
        }

        return missing;
    }

    public void Read(long offsetBytes, Span<byte> destination)
    {
        while (destination.Length > 0)
        {
            var (page, start, count) = Locate(offsetBytes, destination.Length);
            if (_cached[page] is { } bytes) bytes.AsSpan(start, count).CopyTo(destination);
            else destination[..count].Clear();
            destination = destination[count..];
            offsetBytes += count;
        }
    }

    /// <summary>What is on media, and of pages that are not there yet what will be.</summary>
    public void ReadMedia(long offsetBytes, Span<byte> destination)
    {
        while (destination.Length > 0)
        {
            var (page, start, count) = Locate(offsetBytes, destination.Length);
            if ((IsDirty(page) ? _cached[page] : _durable[page]) is { } bytes) bytes.AsSpan(start, count).CopyTo(destination);
            else destination[..count].Clear();
            destination = destination[count..];
            offsetBytes += count;
        }
    }

    public void Write(long order, long offsetBytes, ReadOnlySpan<byte> source)
    {
        for (var page = offsetBytes / PageBytes; page * PageBytes < offsetBytes + source.Length; page++)
        {
            if (_allocated[page]) continue;
            _allocated[page] = true;
            AllocatedBytes += PageBytes;
        }

        var pending = new PendingWrite(order, offsetBytes, source.Length, source.IndexOfAnyExcept((byte)0) < 0 ? null : source.ToArray());
        ClearReadErrors(offsetBytes, source.Length);
        Apply(_cached, _durable, pending, 0, source.Length);
        _pending.Add(pending);
    }

    public void PunchHole(long order, long offsetBytes, long lengthBytes)
    {
        for (var page = (offsetBytes + PageBytes - 1) / PageBytes; (page + 1) * PageBytes <= offsetBytes + lengthBytes; page++)
        {
            if (!_allocated[page]) continue;
            _allocated[page] = false;
            AllocatedBytes -= PageBytes;
        }

        var pending = new PendingWrite(order, offsetBytes, lengthBytes, null);
        Apply(_cached, _durable, pending, 0, lengthBytes);
        _pending.Add(pending);
    }

    /// <summary>How many of the pending writes are not younger than <paramref name="order"/>.</summary>
    public int PendingUpTo(long order)
    {
        var count = 0;
        while (count < _pending.Count && _pending[count].Order <= order) count++;
        return count;
    }

    /// <summary>Puts the first <paramref name="count"/> pending writes on media.</summary>
    public void Flush(int count)
    {
        count = Math.Min(count, _pending.Count);
        var all = count == _pending.Count;
        for (var i = 0; i < count; i++)
        {
            var write = _pending[i];
            if (!all)
            {
                Apply(_durable, _cached, write, 0, write.LengthBytes);
                continue;
            }

            for (var page = write.OffsetBytes / PageBytes; page * PageBytes < write.OffsetBytes + write.LengthBytes; page++) _durable[page] = _cached[page];
        }

        _pending.RemoveRange(0, count);
    }

    /// <summary>Power loss: each unit of 512 bytes of each pending write reaches media if <paramref name="survives"/> says so, in order.</summary>
    public void LosePower(Func<long, long, bool> survives, int unitBytes)
    {
        foreach (var write in _pending)
        {
            for (long at = 0; at < write.LengthBytes;)
            {
                var count = Math.Min(unitBytes - (write.OffsetBytes + at) % unitBytes, write.LengthBytes - at);
                if (survives(write.Order, (write.OffsetBytes + at) / unitBytes)) Apply(_durable, _cached, write, at, count);
                at += count;
            }
        }

        _pending.Clear();
        _durable.CopyTo(_cached, 0);
    }

    /// <summary>Changes a bit on media and in the cache, behind everybody's back.</summary>
    public void FlipBit(long offsetBytes, int bit)
    {
        var (page, start, _) = Locate(offsetBytes, 1);
        var shared = ReferenceEquals(_cached[page], _durable[page]);
        Flip(ref _cached[page]);
        if (shared) _durable[page] = _cached[page];
        else Flip(ref _durable[page]);

        // What has yet to be written back is that page of the cache: a power loss after it may not bring the good bit back.
        foreach (var write in _pending.Where(w => w.Data is not null && offsetBytes >= w.OffsetBytes && offsetBytes < w.OffsetBytes + w.LengthBytes)) write.Data![offsetBytes - write.OffsetBytes] ^= (byte)(1 << bit);

        void Flip(ref byte[]? bytes)
        {
            bytes = bytes is null ? new byte[PageBytes] : (byte[])bytes.Clone();
            bytes[start] ^= (byte)(1 << bit);
        }
    }

    /// <summary>Changes a bit on media under a page of the cache, which stays as it is; false when the page has yet to be written to media.</summary>
    public bool FlipMediaBit(long offsetBytes, int bit)
    {
        var (page, start, _) = Locate(offsetBytes, 1);
        if (IsDirty(page)) return false;
        var bytes = _durable[page] is { } old ? (byte[])old.Clone() : new byte[PageBytes];
        bytes[start] ^= (byte)(1 << bit);
        _durable[page] = bytes;
        return true;
    }

    private bool IsDirty(long page) => _pending.Exists(write => write.OffsetBytes < (page + 1) * PageBytes && page * PageBytes < write.OffsetBytes + write.LengthBytes);

    private void ClearReadErrors(long offsetBytes, long lengthBytes) =>
        ReadErrors.RemoveAll(error => error.OffsetBytes >= offsetBytes && error.OffsetBytes + error.LengthBytes <= offsetBytes + lengthBytes);

    /// <summary>Writes a part of a pending write into <paramref name="target"/>, copying pages that <paramref name="other"/> shares.</summary>
    private static void Apply(byte[]?[] target, byte[]?[] other, PendingWrite write, long from, long lengthBytes)
    {
        var offset = write.OffsetBytes + from;
        while (lengthBytes > 0)
        {
            var (page, start, count) = Locate(offset, lengthBytes);
            if (write.Data is null && (target[page] is null || count == PageBytes)) target[page] = null;
            else
            {
                if (target[page] is null) target[page] = new byte[PageBytes];
                else if (ReferenceEquals(target[page], other[page])) target[page] = (byte[])target[page]!.Clone();
                if (write.Data is null) target[page].AsSpan(start, count).Clear();
                else write.Data.AsSpan((int)from, count).CopyTo(target[page].AsSpan(start));
            }

            from += count;
            offset += count;
            lengthBytes -= count;
        }
    }

    private static (long Page, int Start, int Count) Locate(long offsetBytes, long lengthBytes)
    {
        var start = (int)(offsetBytes % PageBytes);
        return (offsetBytes / PageBytes, start, (int)Math.Min(lengthBytes, PageBytes - start));
    }

    /// <summary>A write that is not on media yet; null data are zeros.</summary>
    private sealed record PendingWrite(long Order, long OffsetBytes, long LengthBytes, byte[]? Data);
}
