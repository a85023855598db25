using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using OpenEbs.Storage.Store;

namespace OpenEbs.Storage.Devices;

/// <summary>A directory of a Linux file system as the device of one replica. Holds the directory's lock, and stays in the same directory whatever is
/// renamed or mounted over its path. Its files are open within the bound of <see cref="OpenFiles"/>.</summary>
public sealed class FileStorageDevice : IStorageDevice, IDisposable
{
    /// <summary>Its lock says which process uses the directory. Not a file of the replica: <see cref="List"/> leaves it out.</summary>
    public const string LockName = ".lock";

    private const uint PrivateFile = 0x180; // rw-------: these are other people's disks.
    private readonly PoolSpace _space;
    private readonly SafeFileHandle _directory;
    private readonly SafeFileHandle _lock;

    private FileStorageDevice(string path, PoolSpace space, SafeFileHandle directory, SafeFileHandle @lock)
    {
        Path = path;
        _space = space;
        _directory = directory;
        _lock = @lock;
    }

    public string Path { get; }

    public long FreeBytes => _space.FreeBytes;

    /// <summary>Bounds how many of its files, and of all others', are open.</summary>
    internal OpenFiles Files { get; set; } = OpenFiles.Shared;

    /// <summary>Differs from what it was exactly if the host was started anew since.</summary>
    public static string ReadBootId() => File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim();

    /// <summary>Opens an existing directory.</summary>
    /// <param name="path">The directory; the user that runs the program may read and write it.</param>
    /// <param name="space">The pool that it lies in; null for one without a limit of its own.</param>
    /// <exception cref="DirectoryNotFoundException">It does not exist.</exception>
    /// <exception cref="StoreInUseException">Another device, of this process or another, has it open.</exception>
    public static FileStorageDevice Open(string path, PoolSpace? space = null)
    {
        path = System.IO.Path.GetFullPath(path);
        if (File.Exists(path)) throw FileFailures.Describe(LinuxError.NotADirectory, "open", path);
        if (!Directory.Exists(path))
        {
            throw new DirectoryNotFoundException($"The directory {path} does not exist: mount its file system, or correct the path if it was moved.");
        }

        var directory = OpenHandle(LinuxFiles.Open(path, LinuxFiles.ReadOnly | LinuxFiles.CloseOnExec, 0), "open", path);
        try
        {
            return new FileStorageDevice(path, space ?? new PoolSpace(path), directory, TakeLock(directory, path));
        }
        catch
        {
            directory.Dispose();
            throw;
        }
    }

    /// <summary>Opens a directory, which it creates durably, with its parents, if it does not exist.</summary>
    /// <inheritdoc cref="Open(string, PoolSpace?)"/>
    public static FileStorageDevice Create(string path, PoolSpace? space = null)
    {
        path = System.IO.Path.GetFullPath(path);
        if (!Directory.Exists(path) && !File.Exists(path)) CreateDirectory(path);
        return Open(path, space);
    }

    public IReadOnlyList<string> List()
    {
        ObjectDisposedException.ThrowIf(_directory.IsClosed, this);
        var names = new List<string>();

        // Through the handle, since another file system may have been mounted over the path.
        foreach (var file in Directory.EnumerateFiles(string.Create(CultureInfo.InvariantCulture, $"/proc/self/fd/{_directory.DangerousGetHandle()}")))
        {
            var name = System.IO.Path.GetFileName(file);
            if (name != LockName) names.Add(name);
        }

        names.Sort(StringComparer.Ordinal);
        return names;
    }

    public IStorageFile Open(string name)
    {
        var path = PathOf(name);
        var handle = OpenAgain(name, path);
        var error = (LinuxError)LinuxFiles.Measure(handle, out var lengthBytes, out var allocatedBytes);
        if (error == LinuxError.None) return Wrap(handle, name, path, lengthBytes, allocatedBytes);
        handle.Dispose();
        throw FileFailures.Describe(error, "open", path);
    }

    public IStorageFile Create(string name, long lengthBytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(lengthBytes);
        var path = PathOf(name);
        _space.Take(path, lengthBytes);
        SafeFileHandle? handle = null;
        try
        {
            const int flags = LinuxFiles.ReadWrite | LinuxFiles.CreateNew | LinuxFiles.CloseOnExec;
            handle = OpenHandle(OpenAt(name, flags), "create", path);
            Allocate(_space, handle, path, lengthBytes);
            _space.Grew?.Invoke();
            return Wrap(handle, name, path, lengthBytes, lengthBytes);
        }
        catch
        {
            _space.Add(-lengthBytes);
            if (handle is not null)
            {
                _ = LinuxFiles.UnlinkAt(_directory, name, 0);
                handle.Dispose();
            }

            throw;
        }
    }

    public IStorageFile CreateSparse(string name, long lengthBytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(lengthBytes);
        var path = PathOf(name);
        const int flags = LinuxFiles.ReadWrite | LinuxFiles.CreateNew | LinuxFiles.CloseOnExec;
        SafeFileHandle handle;
        while ((handle = new SafeFileHandle(OpenAt(name, flags), ownsHandle: true)).IsInvalid)
        {
            // The directory itself may have to grow.
            var error = FileFailures.Last;
            if (error != LinuxError.NoSpace || !_space.TryReleaseReserve(4096)) throw FileFailures.Describe(error, "create", path);
        }

        if (LinuxFiles.SetLength(handle, lengthBytes) == 0) return Wrap(handle, name, path, lengthBytes, 0);
        var failure = FileFailures.Describe(FileFailures.Last, $"set the length of {lengthBytes} bytes of", path);
        _ = LinuxFiles.UnlinkAt(_directory, name, 0);
        handle.Dispose();
        throw failure;
    }

    public void Delete(string name)
    {
        var path = PathOf(name);
        using var handle = OpenHandle(OpenAt(name, LinuxFiles.ReadOnly | LinuxFiles.CloseOnExec), "delete", path);
        var measured = LinuxFiles.Measure(handle, out _, out var allocatedBytes) == 0;
        if (LinuxFiles.UnlinkAt(_directory, name, 0) != 0) throw FileFailures.Describe(FileFailures.Last, "delete", path);
        if (measured) _space.Add(-allocatedBytes);
    }

    public ValueTask SyncDirectoryAsync()
    {
        ObjectDisposedException.ThrowIf(_directory.IsClosed, this);
        var request = IoRequest.Rent(this, static request => request.Complete(((FileStorageDevice)request.Target).SyncNow()));
        var completion = request.Completion;
        IoThreads.Flushes.Enqueue(request);
        return completion;
    }

    /// <summary>Deletes the directory with all that is in it, and ends this device. Its files are closed before.</summary>
    /// <remarks>The directory is first renamed to end in ".deleted", so that a crash halfway leaves no half of a replica under its name.</remarks>
    public void Discard()
    {
        ObjectDisposedException.ThrowIf(_directory.IsClosed, this);
        foreach (var name in List()) _space.Add(-AllocatedBytesOf(name));
        var doomed = Path + ".deleted";
        if (Directory.Exists(doomed)) Directory.Delete(doomed, recursive: true);
        Directory.Move(Path, doomed);
        SyncDirectoryAt(System.IO.Path.GetDirectoryName(Path)!);
        Directory.Delete(doomed, recursive: true);
        Dispose();
    }

    /// <summary>Gives up the lock. Open files stay usable; dispose them before.</summary>
    public void Dispose()
    {
        _lock.Dispose();
        _directory.Dispose();
    }

    private static void CreateDirectory(string path)
    {
        var made = new Stack<string>();
        for (var at = path; at is not null && !Directory.Exists(at); at = System.IO.Path.GetDirectoryName(at)) made.Push(at);
        try
        {
            Directory.CreateDirectory(path);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"Cannot create the directory {path}: {failure.Message} Give the user that runs this program write permission in " +
                $"{System.IO.Path.GetDirectoryName(made.Peek())}, mount it read-write, or name another directory.", failure);
        }

        foreach (var directory in made) SyncDirectoryAt(System.IO.Path.GetDirectoryName(directory)!);
    }

    private static void SyncDirectoryAt(string path)
    {
        using var handle = OpenHandle(LinuxFiles.Open(path, LinuxFiles.ReadOnly | LinuxFiles.CloseOnExec, 0), "open", path);
        if (LinuxFiles.Sync(handle) != 0) throw FileFailures.Describe(FileFailures.Last, "make durable", path);
    }

    private static SafeFileHandle TakeLock(SafeFileHandle directory, string path)
    {
        const int flags = LinuxFiles.ReadWrite | LinuxFiles.CreateOrOpen | LinuxFiles.CloseOnExec;
        var handle = OpenHandle(LinuxFiles.OpenAt(directory, LockName, flags, PrivateFile), "open the lock file in", path);
        try
        {
            if (LinuxFiles.Lock(handle, LinuxFiles.LockExclusiveNow) == 0)
            {
                // For the message below, in another process; the lock itself is the kernel's and ends with this process.
                var holder = Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{Environment.ProcessId}\n"));
                _ = LinuxFiles.SetLength(handle, 0);
                RandomAccess.Write(handle, holder, 0);
                return handle;
            }

            var error = FileFailures.Last;
            if (error != LinuxError.TryAgain) throw FileFailures.Describe(error, "lock", path);
            Span<byte> found = stackalloc byte[20];
            var count = RandomAccess.Read(handle, found, 0);
            var who = Encoding.ASCII.GetString(found[..count]).Trim();
            throw new StoreInUseException($"The directory {path} is in use by {(who.Length == 0 ? "another process" : "process " + who)}: " +
                "stop that one first, or give this one another data directory.");
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    private static void Allocate(PoolSpace space, SafeFileHandle handle, string path, long lengthBytes)
    {
        if (lengthBytes == 0) return;
        while (LinuxFiles.Allocate(handle, 0, 0, lengthBytes) != 0)
        {
            var error = FileFailures.Last;
            if (error == LinuxError.Interrupted || (error == LinuxError.NoSpace && space.TryReleaseReserve(lengthBytes))) continue;

            // A file system that cannot reserve space gives it when it is written.
            if (error == LinuxError.NotSupported && LinuxFiles.SetLength(handle, lengthBytes) == 0) return;
            throw FileFailures.Describe(error, $"reserve {lengthBytes} bytes for", path);
        }
    }

    private static SafeFileHandle OpenHandle(int descriptor, string action, string path) =>
        descriptor >= 0 ? new SafeFileHandle(descriptor, ownsHandle: true) : throw FileFailures.Describe(FileFailures.Last, action, path);

    /// <summary>A descriptor, or -1. Where the system allows no more of them, some that nobody uses are given back first.</summary>
    private int OpenAt(string name, int flags)
    {
        while (true)
        {
            var descriptor = LinuxFiles.OpenAt(_directory, name, flags, PrivateFile);
            if (descriptor >= 0 || FileFailures.Last is not (LinuxError.TooManyFilesInProcess or LinuxError.TooManyFilesInSystem)) return descriptor;
            var error = (int)FileFailures.Last;
            if (Files.TryMakeRoom()) continue;
            Marshal.SetLastPInvokeError(error);
            return descriptor;
        }
    }

    private SafeFileHandle OpenAgain(string name, string path) => OpenHandle(OpenAt(name, LinuxFiles.ReadWrite | LinuxFiles.CloseOnExec), "open", path);

    private FileStorageFile Wrap(SafeFileHandle handle, string name, string path, long lengthBytes, long allocatedBytes) =>
        new(_space, new FileHandle(Files, handle, () => OpenAgain(name, path)), name, path, lengthBytes, allocatedBytes);

    private Exception? SyncNow()
    {
        while (LinuxFiles.Sync(_directory) != 0)
        {
            var error = FileFailures.Last;
            if (error != LinuxError.Interrupted) return FileFailures.Describe(error, "make durable the list of files in", Path);
        }

        return null;
    }

    private long AllocatedBytesOf(string name)
    {
        using var handle = OpenHandle(OpenAt(name, LinuxFiles.ReadOnly | LinuxFiles.CloseOnExec), "open", PathOf(name));
        return LinuxFiles.Measure(handle, out _, out var allocatedBytes) == 0 ? allocatedBytes : 0;
    }

    private string PathOf(string name)
    {
        ObjectDisposedException.ThrowIf(_directory.IsClosed, this);
        ArgumentException.ThrowIfNullOrEmpty(name);
        if (name == LockName || name.Contains('/', StringComparison.Ordinal)) throw new ArgumentException($"'{name}' is not a name for a file of a replica.", nameof(name));
        return $"{Path}/{name}";
    }
}
