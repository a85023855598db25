using System.Globalization;

namespace OpenEbs.Server.Startup;

/// <summary>Keeps a directory to one process, for as long as that lives: the kernel releases the lock with it, however it ends.</summary>
internal sealed class DirectoryLock : IDisposable
{
    private const string LockName = "openebs.lock";
    private const string PidName = "openebs.pid";

    private readonly FileStream _file;

    private DirectoryLock(FileStream file) => _file = file;

    /// <summary>Creates the directory if need be and claims it.</summary>
    /// <param name="directory">The directory.</param>
    /// <param name="what">What it is, for the message.</param>
    /// <exception cref="CannotStartException">It cannot be written, or another process has it.</exception>
    public static DirectoryLock Claim(string directory, string what)
    {
        var path = Path.GetFullPath(directory);
        try
        {
            Directory.CreateDirectory(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw File.Exists(path)
                ? new CannotStartException(ExitCode.DataDirectory, $"The {what}, {path}, is a file.", "Give a directory.")
                : new CannotStartException(ExitCode.DataDirectory, $"The {what}, {path}, cannot be created: {exception.Message}", "Give a directory that this user may create and write.");
        }

        try
        {
            var file = new FileStream(Path.Combine(path, LockName), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            WritePid(path);
            return new DirectoryLock(file);
        }
        catch (UnauthorizedAccessException exception)
        {
            throw new CannotStartException(ExitCode.DataDirectory, $"The {what}, {path}, cannot be written: {exception.Message}", "Make it writable for this user, or give another one.");
        }
        catch (IOException exception)
        {
            if (!IsHeld(path))
            {
                throw new CannotStartException(
                    ExitCode.DataDirectory, $"The {what}, {path}, cannot be written: {exception.Message}", "Make it writable (is its file system mounted read-only?), or give another one.");
            }

            throw new CannotStartException(ExitCode.DataDirectory, $"The {what}, {path}, is in use by another server{Owner(path)}.", "Stop that one, or give another directory.");
        }
    }

    /// <summary>Whether a process holds the directory's lock now.</summary>
    public static bool IsHeld(string directory, string lockName = LockName)
    {
        var path = Path.Combine(directory, lockName);
        if (!File.Exists(path)) return false;
        try
        {
            using var probe = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.None);
            return false;
        }
        catch (IOException)
        {
            return true;
        }
        catch (UnauthorizedAccessException)
        {
            return false;
        }
    }

    public void Dispose() => _file.Dispose();

    private static void WritePid(string path) => File.WriteAllText(Path.Combine(path, PidName), Environment.ProcessId.ToString(CultureInfo.InvariantCulture) + "\n");

    private static string Owner(string path)
    {
        try
        {
            return $" (process {File.ReadAllText(Path.Combine(path, PidName)).Trim()})";
        }
        catch (IOException)
        {
            return "";
        }
    }
}
