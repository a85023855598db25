using System.Runtime.InteropServices;

namespace OpenEbs.Storage.Devices;

/// <summary>Turns an errno into an exception that says what was tried, on which path, what the system answered and what to do.</summary>
internal static class FileFailures
{
    /// <summary>The errno of the call that just failed on this thread.</summary>
    public static LinuxError Last => (LinuxError)Marshal.GetLastPInvokeError();

    /// <param name="error">What the system answered.</param>
    /// <param name="action">What was tried, as "write 4096 bytes at 8192 of".</param>
    /// <param name="path">On what.</param>
    public static Exception Describe(LinuxError error, string action, string path)
    {
        var what = $"Cannot {action} {path}: {Marshal.GetPInvokeErrorMessage((int)error)}. ";
        return error switch
        {
            LinuxError.NoSpace => new StorageFullException(what + "Free space on its file system or give the pool a larger one; nothing that was stored is lost."),
            LinuxError.QuotaExceeded => new StorageFullException(what + "Raise the quota of the user that runs this program, or free space."),
            LinuxError.NoSuchFile => new FileNotFoundException(what + "If the whole directory is gone, its file system may not be mounted: mount it and start again.", path),
            LinuxError.FileExists => new IOException(what + "Two stores must not share a directory."),
            LinuxError.NotADirectory => new IOException(what + "Name a directory for the pool."),
            LinuxError.AccessDenied or LinuxError.NotPermitted =>
                new IOException(what + "Give the user that runs this program read and write permission there (chown, chmod), or name another directory."),
            LinuxError.ReadOnlyFileSystem =>
                new IOException(what + "Mount it read-write; if it became read-only by itself, the kernel log (dmesg) says which error of the disk was the cause."),
            LinuxError.InputOutput or LinuxError.NoSuchDevice =>
                new IOException(what + "The disk failed: see the kernel log (dmesg), and replace it if that repeats. Volumes with further replicas lose nothing."),
            LinuxError.TooManyFilesInProcess =>
                new IOException(what + "Each replica holds two files open and more while it is used: raise the limit of this process (LimitNOFILE= of the service, ulimit -Hn), or have fewer volumes on this node."),
            LinuxError.TooManyFilesInSystem => new IOException(what + "Raise the limit of this host (sysctl fs.file-max)."),
            LinuxError.NoLocks or LinuxError.NotSupported or LinuxError.NotImplemented =>
                new IOException(what + "The file system cannot do that; keep pools on a local one (ext4, XFS)."),
            LinuxError.StaleHandle or LinuxError.NotConnected => new IOException(what + "The file system went away: mount it again and start again."),
            _ => new IOException(what + "See the kernel log (dmesg) for the cause."),
        };
    }
}
