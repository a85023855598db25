using System.Buffers;
using Microsoft.Win32.SafeHandles;

namespace OpenEbs.Storage.Devices;

/// <summary>One file of a <see cref="FileStorageDevice"/>. Reads and writes that the page cache answers run on the caller and allocate nothing; what waits
/// for the disk runs on <see cref="IoThreads"/>.</summary>
internal sealed unsafe class FileStorageFile : IStorageFile
{
    private static bool s_cannotReadWithoutWaiting;
    private readonly PoolSpace _space;
    private readonly FileHandle _file;
    private readonly string _path;
    private readonly FlushTurns _flushes;
    private long _allocatedBytes;
    private bool _hasHoles;

    public FileStorageFile(PoolSpace space, FileHandle file, string name, string path, long lengthBytes, long allocatedBytes)
    {
        _space = space;
        _file = file;
        _path = path;
        _flushes = new FlushTurns(file, path);
        _allocatedBytes = allocatedBytes;
        _hasHoles = allocatedBytes < lengthBytes;
        Name = name;
        LengthBytes = lengthBytes;
    }

    public string Name { get; }

    public long LengthBytes { get; }

    public bool IsSparse => _hasHoles;

    public void Write(long offsetBytes, ReadOnlySpan<byte> source)
    {
        Check(offsetBytes, source.Length);
        using var use = _file.BeginWrite();
        fixed (byte* start = source)
        {
            for (var done = 0; done < source.Length;)
            {
                var count = LinuxFiles.Write(use.Handle, start + done, (nuint)(source.Length - done), offsetBytes + done);
                if (count > 0) done += (int)count;
                else ThrowUnlessInterrupted("write", source.Length, offsetBytes);
            }
        }

        CountHolesFilled(use.Handle);
    }

    public void Write(long offsetBytes, IReadOnlyList<ReadOnlyMemory<byte>> sources)
    {
        long total = 0;
        for (var i = 0; i < sources.Count; i++) total += sources[i].Length;
        Check(offsetBytes, total);
        using var use = _file.BeginWrite();
        for (var first = 0; first < sources.Count; first += LinuxFiles.MaxVectors)
        {
            offsetBytes += WriteGathered(use.Handle, offsetBytes, sources, first, Math.Min(LinuxFiles.MaxVectors, sources.Count - first));
        }

        CountHolesFilled(use.Handle);
    }

    public ValueTask ReadMediaAsync(long offsetBytes, Memory<byte> destination)
    {
        CheckRead(offsetBytes, destination.Length);
        var request = IoRequest.Rent(this, static request => ((FileStorageFile)request.Target).ReadMediaNow(request), offsetBytes, memory: destination);
        var completion = request.Completion;
        IoThreads.Reads.Enqueue(request);
        return completion;
    }

    public ValueTask ReadAsync(long offsetBytes, Memory<byte> destination)
    {
        CheckRead(offsetBytes, destination.Length);
        var done = ReadCached(offsetBytes, destination.Span);
        if (done == destination.Length) return default;
        var request = IoRequest.Rent(this, static request => ((FileStorageFile)request.Target).ReadNow(request), offsetBytes + done, memory: destination[done..]);
        var completion = request.Completion;
        IoThreads.Reads.Enqueue(request);
        return completion;
    }

    public ValueTask FlushAsync()
    {
        ObjectDisposedException.ThrowIf(_file.IsDisposed, this);
        return _flushes.FlushAsync();
    }

    public void DropCached(long offsetBytes, long lengthBytes)
    {
        Check(offsetBytes, lengthBytes);
        if (lengthBytes == 0) return;
        IoThreads.Flushes.Enqueue(IoRequest.Rent(this, static request => ((FileStorageFile)request.Target).DropCachedNow(request), offsetBytes, lengthBytes));
    }

    public void PunchHole(long offsetBytes, long lengthBytes)
    {
        Check(offsetBytes, lengthBytes);
        if (lengthBytes == 0) return;
        using var use = _file.BeginWrite();
        while (LinuxFiles.Allocate(use.Handle, LinuxFiles.PunchHole | LinuxFiles.KeepSize, offsetBytes, lengthBytes) != 0)
        {
            var error = FileFailures.Last;
            if (error == LinuxError.Interrupted) continue;
            if (error != LinuxError.NotSupported) throw FileFailures.Describe(error, $"free {lengthBytes} bytes at {offsetBytes} of", _path);
            WriteZeros(offsetBytes, lengthBytes);
            return;
        }

        _hasHoles = true;
        CountHolesFilled(use.Handle);
    }

    public void Dispose() => _file.Dispose();

    /// <summary>Reads what is in the page cache, without waiting; returns how much that was.</summary>
    private int ReadCached(long offsetBytes, Span<byte> destination)
    {
        if (destination.IsEmpty || !_file.IsOpen || Volatile.Read(ref s_cannotReadWithoutWaiting)) return 0;
        using var use = _file.Begin();
        fixed (byte* start = destination)
        {
            var vector = new IoVector { Start = start, LengthBytes = (nuint)destination.Length };
            try
            {
                var count = LinuxFiles.ReadScatter(use.Handle, &vector, 1, offsetBytes, LinuxFiles.NoWait);

                // Whatever the failure was (mostly EAGAIN), the blocking read meets and reports it.
                return count > 0 ? (int)count : 0;
            }
            catch (EntryPointNotFoundException)
            {
                // A C library from before 2017.
                Volatile.Write(ref s_cannotReadWithoutWaiting, true);
                return 0;
            }
        }
    }

    private void ReadNow(IoRequest request)
    {
        Exception? failure = null;
        try
        {
            using var use = _file.Begin();
            var destination = request.Memory.Span;
            fixed (byte* start = destination)
            {
                for (var done = 0; done < destination.Length && failure is null;)
                {
                    var count = LinuxFiles.Read(use.Handle, start + done, (nuint)(destination.Length - done), request.OffsetBytes + done);
                    if (count > 0) done += (int)count;
                    else if (count == 0) failure = new EndOfStreamException($"{_path} was cut short: it ends at {request.OffsetBytes + done} and had {LengthBytes} bytes.");
                    else if (FileFailures.Last is var error and not LinuxError.Interrupted)
                    {
                        failure = FileFailures.Describe(error, $"read {destination.Length} bytes at {request.OffsetBytes} of", _path);
                    }
                }
            }
        }
        catch (Exception cannotOpen) when (cannotOpen is ObjectDisposedException or IOException)
        {
            failure = cannotOpen;
        }

        request.Complete(failure);
    }

    private void ReadMediaNow(IoRequest request)
    {
        Exception? failure = null;
        try
        {
            using var use = _file.Begin();
            DirectReads.Read(use.Handle, _path, request.OffsetBytes, request.Memory.Span);
        }
        catch (Exception e)
        {
            failure = e;
        }

        request.Complete(failure);
    }

    private void DropCachedNow(IoRequest request)
    {
        try
        {
            using var use = _file.Begin();
            _ = LinuxFiles.Advise(use.Handle, request.OffsetBytes, request.LengthBytes, LinuxFiles.AdviseDontNeed);
        }
        catch (Exception failure) when (failure is ObjectDisposedException or IOException)
        {
            // A hint: the file was disposed of while it waited, or cannot be opened.
        }

        request.Return();
    }

    private long WriteGathered(SafeFileHandle handle, long offsetBytes, IReadOnlyList<ReadOnlyMemory<byte>> sources, int first, int count)
    {
        var vectors = stackalloc IoVector[count];
        var pins = ArrayPool<MemoryHandle>.Shared.Rent(count);
        long total = 0;
        var pinned = 0;
        try
        {
            for (; pinned < count; pinned++)
            {
                var source = sources[first + pinned];
                pins[pinned] = source.Pin();
                vectors[pinned] = new IoVector { Start = (byte*)pins[pinned].Pointer, LengthBytes = (nuint)source.Length };
                total += source.Length;
            }

            WriteVectors(handle, offsetBytes, vectors, count, total);
            return total;
        }
        finally
        {
            for (var i = 0; i < pinned; i++) pins[i].Dispose();
            ArrayPool<MemoryHandle>.Shared.Return(pins);
        }
    }

    private void WriteVectors(SafeFileHandle handle, long offsetBytes, IoVector* vectors, int count, long total)
    {
        for (long done = 0; done < total;)
        {
            var written = LinuxFiles.WriteGather(handle, vectors, count, offsetBytes + done);
            if (written <= 0)
            {
                ThrowUnlessInterrupted("write", total, offsetBytes);
                continue;
            }

            done += written;

            // Rarely less than all (a signal, a file system that fills up): go on behind what was taken.
            for (; count > 0 && (nuint)written >= vectors->LengthBytes; vectors++, count--) written -= (nint)vectors->LengthBytes;
            if (count > 0 && written > 0) *vectors = new IoVector { Start = vectors->Start + written, LengthBytes = vectors->LengthBytes - (nuint)written };
        }
    }

    private void WriteZeros(long offsetBytes, long lengthBytes)
    {
        var zeros = new byte[(int)Math.Min(lengthBytes, 64 * 1024)];
        for (long done = 0; done < lengthBytes; done += zeros.Length)
        {
            Write(offsetBytes + done, zeros.AsSpan(0, (int)Math.Min(zeros.Length, lengthBytes - done)));
        }
    }

    /// <summary>Only a file with holes changes its size on disk, so only then is it asked for after a write.</summary>
    private void CountHolesFilled(SafeFileHandle handle)
    {
        if (!_hasHoles || LinuxFiles.Measure(handle, out _, out var allocatedBytes) != 0) return;
        _space.Add(allocatedBytes - _allocatedBytes);
        _allocatedBytes = allocatedBytes;
        _hasHoles = allocatedBytes < LengthBytes;
    }

    private void ThrowUnlessInterrupted(string action, long lengthBytes, long offsetBytes)
    {
        var error = FileFailures.Last;
        if (error == LinuxError.NoSpace && _space.TryReleaseReserve(lengthBytes)) return;
        if (error != LinuxError.Interrupted) throw FileFailures.Describe(error, $"{action} {lengthBytes} bytes at {offsetBytes} of", _path);
    }

    private void CheckRead(long offsetBytes, int lengthBytes)
    {
        ObjectDisposedException.ThrowIf(_file.IsDisposed, this);
        ArgumentOutOfRangeException.ThrowIfNegative(offsetBytes);
        if (offsetBytes > LengthBytes - lengthBytes) throw new EndOfStreamException($"{_path} has {LengthBytes} bytes; {lengthBytes} at {offsetBytes} do not lie within.");
    }

    private void Check(long offsetBytes, long lengthBytes)
    {
        ObjectDisposedException.ThrowIf(_file.IsDisposed, this);
        ArgumentOutOfRangeException.ThrowIfNegative(offsetBytes);
        ArgumentOutOfRangeException.ThrowIfNegative(lengthBytes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offsetBytes, LengthBytes - lengthBytes);
    }
}
