namespace OpenEbs.Storage.Devices;

/// <summary>The files of all replicas in this process that are open at the moment, within a bound: when there are more, those that were not used of late are closed and opened again when
/// somebody needs them. A replica has a file for each segment, so that without it the length of the volumes of a node was bounded by its limit of open files.</summary>
internal sealed class OpenFiles(int capacity)
{
    private const int FewestAllowed = 64;
    private const int MostAllowed = 1 << 16;
    private const int LowLimit = 4096;
    private readonly Lock _gate = new();
    private readonly List<FileHandle> _open = [];
    private int _hand;

    /// <summary>Half of what this process may have open, an eighth where that is little; the rest is for directories, sockets and the runtime.</summary>
    public static OpenFiles Shared { get; } = new(CapacityFor(LinuxFiles.ReadOpenFilesLimit()));

    public int Count
    {
        get
        {
            lock (_gate) return _open.Count;
        }
    }

    /// <summary>Has become open; others may be closed for it. Not to be called under a lock of the file's.</summary>
    public void Add(FileHandle file)
    {
        lock (_gate)
        {
            file.Place = _open.Count;
            _open.Add(file);
            if (_open.Count > capacity) CloseSome(capacity - (capacity / 8));
        }
    }

    public void Remove(FileHandle file)
    {
        lock (_gate)
        {
            if (file.Place >= 0) RemoveAt(file.Place);
        }
    }

    /// <summary>Closes half of them, as the system allows no more; false when none could be.</summary>
    public bool TryMakeRoom()
    {
        lock (_gate)
        {
            var before = _open.Count;
            CloseSome(before / 2);
            return _open.Count < before;
        }
    }

    private static int CapacityFor(ulong limit) => (int)Math.Clamp(limit / (limit < LowLimit ? 8UL : 2UL), FewestAllowed, MostAllowed);

    /// <summary>Passes twice at most: whoever was used since the last pass is left open once. What is in use, or not yet durable, stays open in any case.</summary>
    private void CloseSome(int wanted)
    {
        for (var left = _open.Count * 2; left > 0 && _open.Count > wanted; left--)
        {
            if (_hand >= _open.Count) _hand = 0;
            if (_open[_hand].TryCloseUnused()) RemoveAt(_hand);
            else _hand++;
        }
    }

    private void RemoveAt(int index)
    {
        _open[index].Place = -1;
        if (index < _open.Count - 1) (_open[index] = _open[^1]).Place = index;
        _open.RemoveAt(_open.Count - 1);
    }
}
