using System.Diagnostics;

namespace OpenEbs.Storage.Tests.Devices;

/// <summary>A directory of one test, optionally a small file system of its own; gone when disposed.</summary>
internal sealed class TestDirectory : IDisposable
{
    private static int s_count;
    private readonly bool _mounted;

    private TestDirectory(string path, bool mounted) => (Path, _mounted) = (path, mounted);

    public string Path { get; }

    public static TestDirectory New()
    {
        var number = Interlocked.Increment(ref s_count);
        var path = System.IO.Path.Combine(System.IO.Path.GetTempPath(), "openebs-tests", $"{Environment.ProcessId}-{number}");
        Directory.CreateDirectory(path);
        return new TestDirectory(path, false);
    }

    /// <summary>A tmpfs of so many bytes, or null where this user may not mount.</summary>
    public static TestDirectory? TryMount(long sizeBytes)
    {
        var directory = New();
        if (Run("mount", "-t", "tmpfs", "-o", $"size={sizeBytes}", "tmpfs", directory.Path)) return new TestDirectory(directory.Path, true);
        directory.Dispose();
        return null;
    }

    public bool TryMakeReadOnly() => Run("mount", "-o", "remount,ro", Path);

    public void Dispose()
    {
        if (_mounted) Run("umount", "-l", Path);
        Directory.Delete(Path, recursive: true);
    }

    private static bool Run(string program, params string[] arguments)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true, RedirectStandardOutput = true })!;
            process.WaitForExit();
            return process.ExitCode == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false;
        }
    }
}
