using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace OpenEbs.Storage.Devices;

/// <summary>Reads of what is on media and not of what the page cache has: a bit that flips on the disk under a cached page is seen by nobody else until the page leaves the cache, perhaps after the
/// last good copy elsewhere is gone.</summary>
/// <remarks>
/// By O_DIRECT, and not by dropping pages before an ordinary read (POSIX_FADV_DONTNEED): a direct read leaves the cache to those whose data is in it, is certain (DONTNEED passes over pages that somebody
/// holds, and over parts of large folios), and has the kernel write what is still dirty in the range first, so that what was just appended is neither missed nor taken for damaged. Where the file system
/// refuses O_DIRECT (older tmpfs, some network and overlay ones), pages are dropped as far as they go, and an ordinary read follows.
/// </remarks>
public static unsafe class DirectReads
{
    /// <summary>Offset, length and memory of a direct read are multiples of the logical block length of any disk.</summary>
    private const int Alignment = 4096;
    private const int MostAtOnce = 256 << 10;

    /// <summary>All bytes of a small file, from media.</summary>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static byte[] ReadAllBytes(string path)
    {
        using var handle = File.OpenHandle(path);
        var bytes = new byte[RandomAccess.GetLength(handle)];
        Read(handle, path, 0, bytes);
        return bytes;
    }

    /// <summary>Fills <paramref name="destination"/> from an open file.</summary>
    /// <exception cref="IOException">It cannot be read, or ends before.</exception>
    internal static void Read(SafeFileHandle file, string path, long offsetBytes, Span<byte> destination)
    {
        var isHeld = false;
        try
        {
            file.DangerousAddRef(ref isHeld);
            using var direct = Reopen(file);
            if (direct is not null && TryRead(direct, path, offsetBytes, destination)) return;
            _ = LinuxFiles.Advise(file, offsetBytes / Alignment * Alignment, (destination.Length + (2L * Alignment)) / Alignment * Alignment, LinuxFiles.AdviseDontNeed);
            Fill(file, path, offsetBytes, destination);
        }
        finally
        {
            if (isHeld) file.DangerousRelease();
        }
    }

    /// <summary>The same file, whatever its name is by now; null when its file system has no direct reads.</summary>
    private static SafeFileHandle? Reopen(SafeFileHandle file)
    {
        var name = string.Create(CultureInfo.InvariantCulture, $"/proc/self/fd/{file.DangerousGetHandle()}");
        var handle = new SafeFileHandle(LinuxFiles.Open(name, LinuxFiles.ReadOnly | LinuxFiles.CloseOnExec | LinuxFiles.Direct, 0), ownsHandle: true);
        if (!handle.IsInvalid) return handle;
        handle.Dispose();
        return null;
    }

    /// <summary>False when the file system takes no direct read after all, or not with this alignment.</summary>
    private static bool TryRead(SafeFileHandle direct, string path, long offsetBytes, Span<byte> destination)
    {
        fixed (byte* start = destination)
        {
            if (((nuint)start | (nuint)offsetBytes | (nuint)destination.Length) % Alignment == 0) return TryReadInto(direct, path, offsetBytes, start, destination.Length);
        }

        var first = offsetBytes / Alignment * Alignment;
        var lengthBytes = (int)Math.Min(MostAtOnce, (offsetBytes + destination.Length - first + Alignment - 1) / Alignment * Alignment);
        var buffer = (byte*)NativeMemory.AlignedAlloc((nuint)lengthBytes, Alignment);
        try
        {
            for (var done = 0; done < destination.Length;)
            {
                var at = (offsetBytes + done) / Alignment * Alignment;
                var skip = (int)(offsetBytes + done - at);
                var wanted = Math.Min(lengthBytes, (skip + destination.Length - done + Alignment - 1) / Alignment * Alignment);
                var count = LinuxFiles.Read(direct, buffer, (nuint)wanted, at);
                if (count < 0)
                {
                    var error = FileFailures.Last;
                    if (error == LinuxError.Interrupted) continue;
                    if (error == LinuxError.InvalidArgument) return false;
                    throw FileFailures.Describe(error, $"read {destination.Length} bytes at {offsetBytes} of", path);
                }

                var part = (int)Math.Min(count - skip, destination.Length - done);
                if (part <= 0) throw new EndOfStreamException($"{path} was cut short: it ends at {at + count}.");
                new ReadOnlySpan<byte>(buffer + skip, part).CopyTo(destination[done..]);
                done += part;
            }

            return true;
        }
        finally
        {
            NativeMemory.AlignedFree(buffer);
        }
    }

    /// <summary>The same without another buffer between: everything is aligned.</summary>
    private static bool TryReadInto(SafeFileHandle direct, string path, long offsetBytes, byte* destination, int lengthBytes)
    {
        for (var done = 0; done < lengthBytes;)
        {
            var count = LinuxFiles.Read(direct, destination + done, (nuint)(lengthBytes - done), offsetBytes + done);
            if (count == 0) throw new EndOfStreamException($"{path} was cut short: it ends at {offsetBytes + done}.");
            if (count > 0) done += (int)count;
            else if (FileFailures.Last is var error and not LinuxError.Interrupted)
            {
                if (error == LinuxError.InvalidArgument) return false;
                throw FileFailures.Describe(error, $"read {lengthBytes} bytes at {offsetBytes} of", path);
            }
        }

        return true;
    }

    private static void Fill(SafeFileHandle file, string path, long offsetBytes, Span<byte> destination)
    {
        fixed (byte* start = destination)
        {
            for (var done = 0; done < destination.Length;)
            {
                var count = LinuxFiles.Read(file, start + done, (nuint)(destination.Length - done), offsetBytes + done);
                if (count > 0) done += (int)count;
                else if (count == 0) throw new EndOfStreamException($"{path} was cut short: it ends at {offsetBytes + done}.");
                else if (FileFailures.Last is var error and not LinuxError.Interrupted) throw FileFailures.Describe(error, $"read {destination.Length} bytes at {offsetBytes} of", path);
            }
        }
    }
}
