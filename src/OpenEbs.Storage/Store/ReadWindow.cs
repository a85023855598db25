using System.Runtime.CompilerServices;
using OpenEbs.Storage.Devices;
using OpenEbs.Storage.Formats;
using OpenEbs.Storage.Segments;

namespace OpenEbs.Storage.Store;

/// <summary>Reads a segment from front to end in large pieces, and for the last time, for a caller that takes many small ones: a piece that is not in the page cache costs a wait of its own.</summary>
/// <remarks>
/// What is not cached is read from media, past the page cache: its pages would be used once, and taking memory for them, copying and giving it back cost more than the read did (measured under random writes). An
/// attempt without waiting is no cheaper: the kernel begins to read ahead in it, on the thread that must not wait.
/// </remarks>
internal sealed class ReadWindow
{
    private const int WindowBytes = 256 << 10;

    // Direct reads go to where they are wanted when that begins at a page's boundary, else by way of another buffer.
    private Memory<byte> _bytes;
    private Segment? _segment;
    private long _start;
    private int _length;

    public ReadWindow() => Read = ReadAsync;

    /// <inheritdoc cref="ReadAsync"/>
    public Func<long, Memory<byte>, ValueTask> Read { get; }

    /// <summary>Begins with another segment, or with this one anew.</summary>
    public void Open(Segment segment)
    {
        _segment = segment;
        _length = 0;
    }

    /// <exception cref="IOException">What was asked for cannot be read.</exception>
    public async ValueTask ReadAsync(long offsetBytes, Memory<byte> destination)
    {
        if (!Contains(offsetBytes, destination.Length)) await FillAsync(offsetBytes);
        if (Contains(offsetBytes, destination.Length)) _bytes.Slice((int)(offsetBytes - _start), destination.Length).CopyTo(destination);
        else await _segment!.File.ReadAsync(offsetBytes, destination);
    }

    private bool Contains(long offsetBytes, int lengthBytes) => offsetBytes >= _start && offsetBytes + lengthBytes <= _start + _length;

    private async ValueTask FillAsync(long offsetBytes)
    {
        if (_bytes.IsEmpty) _bytes = AllocateAligned();
        _length = 0;
        var file = _segment!.File;
        var length = (int)Math.Min(WindowBytes, file.LengthBytes - offsetBytes);
        if (length <= 0) return;
        try
        {
            var bytes = _bytes[..length];
            await (_segment.IsCached ? file.ReadAsync(offsetBytes, bytes) : file.ReadMediaAsync(offsetBytes, bytes));
        }
        catch (IOException)
        {
            // Some part of it is bad, perhaps not the one that is wanted.
            return;
        }

        (_start, _length) = (offsetBytes, length);
    }

    private static unsafe Memory<byte> AllocateAligned()
    {
        var bytes = GC.AllocateUninitializedArray<byte>(WindowBytes + FormatTags.PageBytes, pinned: true);
        var misaligned = (int)((nuint)Unsafe.AsPointer(ref bytes[0]) % FormatTags.PageBytes);
        return bytes.AsMemory((FormatTags.PageBytes - misaligned) % FormatTags.PageBytes, WindowBytes);
    }
}
