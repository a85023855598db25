using OpenEbs.Storage.Devices;

namespace OpenEbs.Storage.Store;

/// <summary>Reads a file from front to end in large pieces, and for the last time, for a caller that takes many small ones: a piece that is not in the page cache costs a wait of its own.</summary>
internal sealed class ReadWindow
{
    private const int WindowBytes = 256 << 10;
    private byte[]? _bytes;
    private IStorageFile? _file;
    private long _start;
    private int _length;

    public ReadWindow() => Read = ReadAsync;

    /// <inheritdoc cref="ReadAsync"/>
    public Func<long, Memory<byte>, ValueTask> Read { get; }

    /// <summary>Begins with another file, or with this one anew.</summary>
    public void Open(IStorageFile file)
    {
        _file = file;
        _length = 0;
    }

    /// <exception cref="IOException">What was asked for cannot be read.</exception>
    public async ValueTask ReadAsync(long offsetBytes, Memory<byte> destination)
    {
        if (!Contains(offsetBytes, destination.Length)) await FillAsync(offsetBytes);
        if (Contains(offsetBytes, destination.Length)) _bytes.AsSpan((int)(offsetBytes - _start), destination.Length).CopyTo(destination.Span);
        else await _file!.ReadAsync(offsetBytes, destination);
    }

    private bool Contains(long offsetBytes, int lengthBytes) => offsetBytes >= _start && offsetBytes + lengthBytes <= _start + _length;

    private async ValueTask FillAsync(long offsetBytes)
    {
        _bytes ??= GC.AllocateUninitializedArray<byte>(WindowBytes, pinned: true);
        _length = 0;
        var length = (int)Math.Min(WindowBytes, _file!.LengthBytes - offsetBytes);
        if (length <= 0) return;
        try
        {
            await _file.ReadAsync(offsetBytes, _bytes.AsMemory(0, length));
        }
        catch (IOException)
        {
            // Some part of it is bad, perhaps not the one that is wanted.
            return;
        }

        (_start, _length) = (offsetBytes, length);

        // What is live in it is about to move; nobody reads this place again.
        _file.DropCached(offsetBytes, length);
    }
}
