using Microsoft.Win32.SafeHandles;

namespace OpenEbs.Storage.Devices;

/// <summary>One file as it is open, closed and open again: closed when many others are in use and it is not (see <see cref="OpenFiles"/>).</summary>
/// <remarks>
/// Never closed while it is in use, nor while it has been written to and not made durable since: Linux reports a failed writeback to those who had the file open then, and whoever opens it
/// later may find pages that pass for written. A file whose flush failed stays open for good.
/// </remarks>
internal sealed class FileHandle : IDisposable
{
    private const int Closed = -1;
    private readonly OpenFiles _files;
    private readonly Func<SafeFileHandle> _open;
    private readonly Lock _gate = new();
    private SafeFileHandle _handle;

    /// <summary>How many calls use it just now; or that it is closed.</summary>
    private int _users;
    private bool _wasUsed = true;
    private bool _isDirty;
    private bool _isDisposed;

    /// <param name="files">Bounds how many are open.</param>
    /// <param name="handle">The file, open; owned from now on.</param>
    /// <param name="open">Opens it anew.</param>
    public FileHandle(OpenFiles files, SafeFileHandle handle, Func<SafeFileHandle> open)
    {
        _files = files;
        _handle = handle;
        _open = open;
        Advise(handle);
        files.Add(this);
    }

    /// <summary>Where it stands among those that are open; negative for one that does not. Belongs to <see cref="OpenFiles"/>.</summary>
    public int Place { get; set; } = -1;

    public bool IsDisposed => Volatile.Read(ref _isDisposed);

    /// <summary>False while using it means to open it first, which may wait for the disk.</summary>
    public bool IsOpen => Volatile.Read(ref _users) != Closed;

    /// <summary>Keeps it open until the result is disposed of.</summary>
    /// <exception cref="ObjectDisposedException">It was disposed of.</exception>
    /// <exception cref="IOException">It cannot be opened again.</exception>
    public Use Begin() => Begin(writes: false);

    /// <summary>As the other; it then stays open until it was flushed.</summary>
    public Use BeginWrite() => Begin(writes: true);

    /// <summary>Has to be said when a flush failed, within its use.</summary>
    public void MarkDirty() => Volatile.Write(ref _isDirty, true);

    /// <summary>Has to be said before a flush begins, within a use; what is written during it marks the file again.</summary>
    public void MarkClean() => Volatile.Write(ref _isDirty, false);

    /// <summary>False when it is in use, was used since it was last asked, or has to stay open.</summary>
    public bool TryCloseUnused()
    {
        if (_wasUsed)
        {
            _wasUsed = false;
            return false;
        }

        // Somebody may be opening it who waits for the lock of those that are open.
        if (!_gate.TryEnter()) return false;
        try
        {
            if (_isDisposed) return true;
            if (Volatile.Read(ref _isDirty) || Interlocked.CompareExchange(ref _users, Closed, 0) != 0) return false;
            if (Volatile.Read(ref _isDirty))
            {
                // Written and left between the two looks.
                Volatile.Write(ref _users, 0);
                return false;
            }

            _handle.Dispose();
            return true;
        }
        finally
        {
            _gate.Exit();
        }
    }

    /// <summary>Calls that are under way end as they would have; later ones find it disposed of.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            if (_isDisposed) return;
            Volatile.Write(ref _isDisposed, true);
            _handle.Dispose();
        }

        _files.Remove(this);
    }

    private Use Begin(bool writes)
    {
        if (!_wasUsed) _wasUsed = true;
        while (Volatile.Read(ref _users) is var users and >= 0)
        {
            if (Interlocked.CompareExchange(ref _users, users + 1, users) == users) return new Use(this, writes);
        }

        Reopen();
        return new Use(this, writes);
    }

    private static void Advise(SafeFileHandle handle) =>
        // Blocks are read at random: readahead would read much for little, and pages that it brings in as large folios are dear to overwrite (ext4).
        _ = LinuxFiles.Advise(handle, 0, 0, LinuxFiles.AdviseRandom);

    private void Reopen()
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            if (_users != Closed)
            {
                Interlocked.Increment(ref _users);
                return;
            }

            _handle = _open();
            Advise(_handle);
            Volatile.Write(ref _users, 1);
        }

        _files.Add(this);
    }

    /// <summary>A time during which the file stays open.</summary>
    public readonly struct Use(FileHandle file, bool writes) : IDisposable
    {
        public SafeFileHandle Handle => file._handle;

        public void Dispose()
        {
            // After the write: a flush that began before it and ends after it has not made it durable.
            if (writes) file.MarkDirty();
            Interlocked.Decrement(ref file._users);
        }
    }
}
