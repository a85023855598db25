using OpenEbs.Storage.Devices;
using OpenEbs.Storage.Formats;

namespace OpenEbs.Storage.Store;

/// <summary>Writes a segment with zeros before it is needed: flushing into a file that was only allocated costs five to ten times as much. Done only while the store is flushed often; streams gain nothing from it.</summary>
internal sealed class SegmentsAhead(StoreState state)
{
    private const int FlushesThatMatter = 32;
    private static readonly byte[] Zeros = GC.AllocateArray<byte>(1 << 20, pinned: true);
    private (uint Slot, IStorageFile File)? _next;
    private long _written;
    private int _flushes;
    private int _resets;

    public void NoteFlush() => _flushes++;

    public async ValueTask<bool> StepAsync()
    {
        // A reset looked at all files and offered this one already.
        if (_resets != state.Resets) _next = null;
        if (_next is null)
        {
            if (_flushes < FlushesThatMatter || state.Segments.FreeCount > 0 || state.IsPressed || state.Device.FreeBytes < (2 * state.Options.ReserveBytes) + (2L * state.Segments.SegmentBytes)) return false;
            _next = state.Segments.CreateUnused();
            _written = FormatTags.PageBytes;
            _flushes = 0;
            _resets = state.Resets;
        }

        var (slot, file) = _next.Value;
        var count = (int)Math.Min(Zeros.Length, state.Segments.SegmentBytes - _written);
        if (count > 0)
        {
            file.Write(_written, Zeros.AsSpan(0, count));
            _written += count;
            return true;
        }

        await file.FlushAsync();
        _next = null;
        state.Segments.AddFree(slot);
        return true;
    }
}
