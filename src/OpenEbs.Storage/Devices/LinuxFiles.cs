using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace OpenEbs.Storage.Devices;

/// <summary>The calls of Linux that .NET does not offer or offers only with other promises (RandomAccess.FlushToDisk is fsync, not fdatasync). Constants
/// that differ between x64 and arm64 are avoided.</summary>
internal static unsafe partial class LinuxFiles
{
    public const int ReadOnly = 0;
    public const int ReadWrite = 2;
    public const int CreateNew = 0x40 | 0x80;
    public const int CreateOrOpen = 0x40;
    public const int CloseOnExec = 0x80000;

    /// <summary>O_DIRECT: past the page cache. Differs between architectures.</summary>
    public static readonly int Direct = RuntimeInformation.ProcessArchitecture is Architecture.Arm or Architecture.Arm64 ? 0x10000 : 0x4000;

    public const int AtEmptyPath = 0x1000;
    public const uint StatxSizeAndBlocks = 0x200 | 0x400;

    /// <summary>RWF_NOWAIT of preadv2(2): only what is in the page cache.</summary>
    public const int NoWait = 0x8;

    public const int KeepSize = 1;
    public const int PunchHole = 2;

    /// <summary>POSIX_FADV_RANDOM: no readahead.</summary>
    public const int AdviseRandom = 1;

    /// <summary>POSIX_FADV_DONTNEED: pages that are on media leave the page cache.</summary>
    public const int AdviseDontNeed = 4;

    /// <summary>RLIMIT_NOFILE of getrlimit(2).</summary>
    private const int OpenFilesLimit = 7;

    /// <summary>LOCK_EX | LOCK_NB of flock(2).</summary>
    public const int LockExclusiveNow = 2 | 4;

    /// <summary>IOV_MAX: most buffers of one pwritev(2).</summary>
    public const int MaxVectors = 1024;

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Open(string path, int flags, uint mode);

    [LibraryImport("libc", EntryPoint = "openat", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int OpenAt(SafeFileHandle directory, string name, int flags, uint mode);

    [LibraryImport("libc", EntryPoint = "unlinkat", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int UnlinkAt(SafeFileHandle directory, string name, int flags);

    [LibraryImport("libc", EntryPoint = "pwrite", SetLastError = true)]
    public static partial nint Write(SafeFileHandle file, byte* source, nuint count, long offset);

    [LibraryImport("libc", EntryPoint = "pwritev", SetLastError = true)]
    public static partial nint WriteGather(SafeFileHandle file, IoVector* vectors, int count, long offset);

    [LibraryImport("libc", EntryPoint = "pread", SetLastError = true)]
    public static partial nint Read(SafeFileHandle file, byte* destination, nuint count, long offset);

    [LibraryImport("libc", EntryPoint = "preadv2", SetLastError = true)]
    public static partial nint ReadScatter(SafeFileHandle file, IoVector* vectors, int count, long offset, int flags);

    [LibraryImport("libc", EntryPoint = "fdatasync", SetLastError = true)]
    public static partial int SyncData(SafeFileHandle file);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    public static partial int Sync(SafeFileHandle file);

    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    public static partial int Allocate(SafeFileHandle file, int mode, long offset, long length);

    [LibraryImport("libc", EntryPoint = "ftruncate", SetLastError = true)]
    public static partial int SetLength(SafeFileHandle file, long length);

    [LibraryImport("libc", EntryPoint = "posix_fadvise")]
    public static partial int Advise(SafeFileHandle file, long offset, long length, int advice);

    [LibraryImport("libc", EntryPoint = "flock", SetLastError = true)]
    public static partial int Lock(SafeFileHandle file, int operation);

    [LibraryImport("libc", EntryPoint = "getrlimit", SetLastError = true)]
    private static partial int ReadLimit(int resource, ulong* limit);

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Statx(SafeFileHandle file, string path, int flags, uint mask, byte* buffer);

    /// <summary>RLIMIT_NOFILE: how many files this process may have open. The runtime has raised it to what is allowed.</summary>
    public static ulong ReadOpenFilesLimit()
    {
        // struct rlimit: the present limit, then the highest that may be set.
        var limit = stackalloc ulong[2];
        return ReadLimit(OpenFilesLimit, limit) == 0 ? limit[0] : 1024;
    }

    /// <summary>Length, and bytes allocated, of an open file; or the errno.</summary>
    public static int Measure(SafeFileHandle file, out long lengthBytes, out long allocatedBytes)
    {
        // struct statx: stx_size at 40, stx_blocks (512 bytes each) at 48, on every architecture.
        var buffer = stackalloc byte[256];
        var error = Statx(file, "", AtEmptyPath, StatxSizeAndBlocks, buffer) == 0 ? 0 : Marshal.GetLastPInvokeError();
        lengthBytes = error == 0 ? *(long*)(buffer + 40) : 0;
        allocatedBytes = error == 0 ? *(long*)(buffer + 48) * 512 : 0;
        return error;
    }
}

/// <summary>struct iovec.</summary>
internal unsafe struct IoVector
{
    public byte* Start;
    public nuint LengthBytes;
}

/// <summary>The errno values that get an answer of their own; the same on x64 and arm64.</summary>
internal enum LinuxError
{
    None = 0,
    NotPermitted = 1,
    NoSuchFile = 2,
    Interrupted = 4,
    InputOutput = 5,
    NoSuchDevice = 6,
    TryAgain = 11,
    AccessDenied = 13,
    FileExists = 17,
    NotADirectory = 20,
    InvalidArgument = 22,
    TooManyFilesInSystem = 23,
    TooManyFilesInProcess = 24,
    NoSpace = 28,
    ReadOnlyFileSystem = 30,
    NoLocks = 37,
    NotImplemented = 38,
    NotSupported = 95,
    NotConnected = 107,
    StaleHandle = 116,
    QuotaExceeded = 122,
}
