using Microsoft.Win32.SafeHandles;

namespace OpenEbs.Storage.Devices;

/// <summary>The file that holds a pool's reserve: space that nobody else on the file system can take, and that is given back piece by piece to writes that must not fail.</summary>
/// <remarks>Not thread-safe; <see cref="PoolSpace"/> takes turns.</remarks>
internal sealed class PoolReserve
{
    public const string FileName = ".reserve";
    private const uint PrivateFile = 0x180;
    private const long StepBytes = 1 << 20;

    /// <summary>Left to others, so that growing the reserve does not itself fill the file system.</summary>
    private const long LeftBytes = 1 << 20;
    private readonly string _path;

    public PoolReserve(string poolPath)
    {
        _path = Path.Combine(poolPath, FileName);
        using var handle = Open(create: false);
        if (!handle.IsInvalid && LinuxFiles.Measure(handle, out _, out var allocated) == 0) HeldBytes = allocated;
    }

    public long HeldBytes { get; private set; }

    /// <summary>Holds up to <paramref name="wantedBytes"/>, as far as <paramref name="freeBytes"/> of the file system allow.</summary>
    public void Grow(long wantedBytes, long freeBytes)
    {
        var target = Math.Min(wantedBytes, (HeldBytes + freeBytes - LeftBytes) / StepBytes * StepBytes);
        if (target <= HeldBytes) return;
        using var handle = Open(create: true);
        if (handle.IsInvalid) return;

        // What cannot be held now is tried again at the next look.
        _ = LinuxFiles.Allocate(handle, 0, 0, target);
        if (LinuxFiles.Measure(handle, out _, out var allocated) == 0) HeldBytes = allocated;
    }

    /// <summary>Cuts the file by at least <paramref name="bytes"/>, or by all that there is; false when there was nothing.</summary>
    public bool TryRelease(long bytes)
    {
        if (HeldBytes == 0) return false;
        using var handle = Open(create: false);
        if (handle.IsInvalid)
        {
            HeldBytes = 0;
            return false;
        }

        var left = Math.Max(0, HeldBytes - Math.Max(StepBytes, (bytes + StepBytes - 1) / StepBytes * StepBytes));
        if (LinuxFiles.SetLength(handle, left) != 0) return false;
        HeldBytes = left;
        return true;
    }

    private SafeFileHandle Open(bool create) =>
        new(LinuxFiles.Open(_path, LinuxFiles.ReadWrite | (create ? LinuxFiles.CreateOrOpen : 0) | LinuxFiles.CloseOnExec, PrivateFile), ownsHandle: true);
}
