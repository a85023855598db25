using Microsoft.Win32.SafeHandles;

namespace OpenEbs.Storage.Devices;

/// <summary>How much a pool's directory may still take: what its file system has for this user, and no more than the pool's own limit leaves. One object
/// for a pool, shared by the devices of all its replicas; thread-safe.</summary>
/// <remarks>A reserve keeps housekeeping going when others have filled the file system (promise P8): while that runs short, the pool holds a file of that length, which is cut when a write of
/// a replica finds no space. It counts as free: who leaves the reserve alone is the business of the stores, which know what each write is for. The limit counts allocated bytes: all files found below the directory at the start, and from then on what the devices allocate and give back.</remarks>
public sealed class PoolSpace
{
    /// <summary>With so much free nobody fills a file system between two looks.</summary>
    private const long PlentyBytes = 4L << 30;
    private static readonly TimeSpan KeepMeasured = TimeSpan.FromMilliseconds(100);
    private readonly TimeProvider _time;
    private readonly DriveInfo _fileSystem;
    private readonly Lock _gate = new();
    private readonly long? _capacityBytes;
    private long _usedBytes;
    private long _measuredFreeBytes;
    private long? _measuredAt;
    private PoolReserve? _reserve;

    /// <param name="path">An existing directory.</param>
    /// <param name="capacityBytes">Most that the files below it may occupy; null for all that the file system has.</param>
    /// <param name="time">Clock; free space is asked for at most every 100 ms.</param>
    public PoolSpace(string path, long? capacityBytes = null, TimeProvider? time = null)
    {
        Path = System.IO.Path.GetFullPath(path);
        if (!Directory.Exists(Path)) throw new DirectoryNotFoundException($"The pool's directory {Path} does not exist: mount its file system, or create it.");
        if (capacityBytes is <= 0) throw new ArgumentOutOfRangeException(nameof(capacityBytes), capacityBytes, $"The capacity of the pool {Path} must be above zero.");
        _capacityBytes = capacityBytes;
        _time = time ?? TimeProvider.System;
        _fileSystem = new DriveInfo(Path);
        if (capacityBytes is not null) _usedBytes = MeasureFiles(Path);
    }

    public string Path { get; }

    /// <summary>Bytes that may still be allocated.</summary>
    public long FreeBytes
    {
        get
        {
            lock (_gate)
            {
                var left = (_capacityBytes ?? long.MaxValue) - _usedBytes;
                return Math.Max(0, Math.Min(left, MeasureFreeBytes() + (_reserve?.HeldBytes ?? 0)));
            }
        }
    }

    /// <summary>Called after space was taken for a new file, on the thread that did it.</summary>
    public Action? Grew { get; set; }

    /// <summary>Bytes that the pool may hold in all: its limit, or the size of its file system.</summary>
    public long CapacityBytes => Math.Min(_capacityBytes ?? long.MaxValue, _fileSystem.TotalSize);

    /// <summary>Sees to the reserve: to be called at intervals. Nothing is held while the file system has plenty.</summary>
    public void KeepReserve(long bytes)
    {
        lock (_gate)
        {
            _reserve ??= new PoolReserve(Path);
            _measuredAt = null;
            var free = MeasureFreeBytes();
            if (free < Math.Max(PlentyBytes, CapacityBytes / 10)) _reserve.Grow(bytes, free);
            _measuredAt = null;
        }
    }

    /// <summary>Gives back part of the reserve for a write that found no space; false when there is none left.</summary>
    internal bool TryReleaseReserve(long bytes)
    {
        lock (_gate)
        {
            _measuredAt = null;
            return _reserve?.TryRelease(bytes) ?? false;
        }
    }

    /// <summary>Throws <see cref="StorageFullException"/> when the pool's own limit has no room for <paramref name="lengthBytes"/>; else counts them as used.</summary>
    internal void Take(string forPath, long lengthBytes)
    {
        lock (_gate)
        {
            if (_capacityBytes is { } capacity && lengthBytes > capacity - _usedBytes)
            {
                throw new StorageFullException($"{forPath} needs {lengthBytes} bytes, but the pool {Path} is limited to {capacity} and {_usedBytes} are in use. " +
                    "Raise the pool's capacity, or delete or unmap what is not needed.");
            }

            _usedBytes += lengthBytes;
            _measuredAt = null;
        }
    }

    /// <summary>Corrects the bytes in use, down or up, after the fact.</summary>
    internal void Add(long bytes)
    {
        if (bytes == 0) return;
        lock (_gate)
        {
            _usedBytes = Math.Max(0, _usedBytes + bytes);
            _measuredAt = null;
        }
    }

    private static long MeasureFiles(string path)
    {
        long sum = 0;
        foreach (var file in Directory.EnumerateFiles(path, "*", new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.ReparsePoint }))
        {
            if (System.IO.Path.GetFileName(file) == PoolReserve.FileName) continue;

            // Not File.OpenHandle: it would take the file's lock for a moment, and a device that opens just then would believe itself in use.
            using var handle = new SafeFileHandle(LinuxFiles.Open(file, LinuxFiles.ReadOnly | LinuxFiles.CloseOnExec, 0), ownsHandle: true);

            // One that was deleted since it was listed does not count.
            if (!handle.IsInvalid && LinuxFiles.Measure(handle, out _, out var allocated) == 0) sum += allocated;
        }

        return sum;
    }

    private long MeasureFreeBytes()
    {
        if (_measuredAt is { } at && _time.GetElapsedTime(at) < KeepMeasured) return _measuredFreeBytes;
        try
        {
            _measuredFreeBytes = _fileSystem.AvailableFreeSpace;
        }
        catch (IOException)
        {
            // The directory is unreachable: the next write says so far better than this number can.
        }

        _measuredAt = _time.GetTimestamp();
        return _measuredFreeBytes;
    }
}
