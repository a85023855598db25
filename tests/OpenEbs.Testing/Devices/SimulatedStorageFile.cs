using OpenEbs.Storage.Devices;

namespace OpenEbs.Testing.Devices;

/// <summary>One handle on one file of a <see cref="SimulatedStorageDevice"/>.</summary>
internal sealed class SimulatedStorageFile(SimulatedStorageDevice device, SimulatedMedia media, string name, SimulatedFileContent content) : IStorageFile
{
    private bool _disposed;

    public string Name => name;

    public long LengthBytes => content.LengthBytes;

    public bool IsSparse => content.AllocatedBytes < content.LengthBytes;

    public void Write(long offsetBytes, ReadOnlySpan<byte> source)
    {
        Check(offsetBytes, source.Length);
        if (media.FailWrites) throw new IOException($"{device.Path}/{name}: simulated write error.");
        var missing = content.MissingBytes(offsetBytes, source.Length);
        if (missing > 0 && missing > device.FreeBytes) throw new StorageFullException($"{device.Path} has {device.FreeBytes} bytes left, {name} needs {missing}.");
        content.Write(media.CountOperation(), offsetBytes, source);
    }

    public void Write(long offsetBytes, IReadOnlyList<ReadOnlyMemory<byte>> sources)
    {
        if (sources.Count == 1)
        {
            Write(offsetBytes, sources[0].Span);
            return;
        }

        var whole = new byte[sources.Sum(source => source.Length)];
        var at = 0;
        foreach (var source in sources)
        {
            source.Span.CopyTo(whole.AsSpan(at));
            at += source.Length;
        }

        Write(offsetBytes, whole);
    }

    public ValueTask ReadAsync(long offsetBytes, Memory<byte> destination)
    {
        Check(offsetBytes, 0);
        media.ReadCount++;
        var latency = media.NextReadLatency();
        if (latency > TimeSpan.Zero) return ReadLaterAsync(latency, offsetBytes, destination);
        ReadNow(offsetBytes, destination);
        return ValueTask.CompletedTask;
    }

    public ValueTask ReadMediaAsync(long offsetBytes, Memory<byte> destination)
    {
        Check(offsetBytes, 0);
        media.ReadCount++;
        var latency = media.NextReadLatency();
        if (latency > TimeSpan.Zero) return ReadLaterAsync(latency, offsetBytes, destination, fromMedia: true);
        ReadNow(offsetBytes, destination, fromMedia: true);
        return ValueTask.CompletedTask;
    }

    public async ValueTask FlushAsync()
    {
        Check(0, 0);
        var (written, flushed) = (media.OrderSoFar, content);
        media.CountOperation();
        media.FlushCount++;
        var covered = flushed.PendingUpTo(written);
        if (media.Options.Time is not null)
        {
            await media.DelayFlushAsync();
            device.ThrowIfDead();
            covered = flushed.PendingUpTo(written);
        }

        if (media.FailFlushes) throw new IOException($"{device.Path}/{name}: simulated failure of a flush.");
        flushed.Flush(covered);
    }

    public void DropCached(long offsetBytes, long lengthBytes)
    {
        Check(offsetBytes, 0);
        media.DroppedBytes += lengthBytes;
    }

    public void PunchHole(long offsetBytes, long lengthBytes)
    {
        Check(offsetBytes, lengthBytes);
        content.PunchHole(media.CountOperation(), offsetBytes, lengthBytes);
    }

    public void Dispose() => _disposed = true;

    private async ValueTask ReadLaterAsync(TimeSpan latency, long offsetBytes, Memory<byte> destination, bool fromMedia = false)
    {
        await Task.Delay(latency, media.Options.Time!);
        device.ThrowIfDead();
        ReadNow(offsetBytes, destination, fromMedia);
    }

    private void ReadNow(long offsetBytes, Memory<byte> destination, bool fromMedia = false)
    {
        if (offsetBytes + destination.Length > LengthBytes)
        {
            throw new EndOfStreamException($"{device.Path}/{name} has {LengthBytes} bytes; read of {destination.Length} at {offsetBytes}.");
        }

        foreach (var error in content.ReadErrors)
        {
            if (error.OffsetBytes < offsetBytes + destination.Length && offsetBytes < error.OffsetBytes + error.LengthBytes)
            {
                throw new IOException($"{device.Path}/{name}: simulated read error at {error.OffsetBytes}.");
            }
        }

        if (fromMedia) content.ReadMedia(offsetBytes, destination.Span);
        else content.Read(offsetBytes, destination.Span);
    }

    private void Check(long offsetBytes, long lengthBytes)
    {
        device.ThrowIfDead();
        ObjectDisposedException.ThrowIf(_disposed, this);
        ArgumentOutOfRangeException.ThrowIfNegative(offsetBytes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offsetBytes + lengthBytes, LengthBytes, nameof(lengthBytes));
    }
}
