using System.Globalization;

namespace OpenEbs.Storage.Devices;

/// <summary>How near this process is to its limit of open files. Beyond it connections fail and pools seem to be gone, so nothing is to be begun that comes close.</summary>
public static class ProcessFiles
{
    private const double Reserve = 0.1;

    /// <summary>Why no further replica should begin in this process, and what to do about it; null when it has files enough. What is open and can be closed at any time does not count.</summary>
    public static string? FindShortage() => FindShortage(Directory.EnumerateFileSystemEntries("/proc/self/fd").Count() - OpenFiles.Shared.Count, (long)Math.Min(LinuxFiles.ReadOpenFilesLimit(), int.MaxValue));

    internal static string? FindShortage(long open, long limit) => open <= limit * (1 - Reserve)
        ? null
        : string.Create(CultureInfo.InvariantCulture, $"its node's process has {open} files open for good, of at most {limit}: raise that limit (LimitNOFILE= of the service, ulimit -Hn) and start it again, or add a node");
}
