using OpenEbs.Storage.Devices;

namespace OpenEbs.Simulation.Disks;

/// <summary>A device whose flushes and reads take longer from time to time.</summary>
internal sealed class SlowStorageDevice(IStorageDevice device, Func<Task?> delay) : IStorageDevice
{
    public string Path => device.Path;

    public long FreeBytes => device.FreeBytes;

    public IReadOnlyList<string> List() => device.List();

    public IStorageFile Open(string name) => new SlowFile(device.Open(name), delay);

    public IStorageFile Create(string name, long lengthBytes) => new SlowFile(device.Create(name, lengthBytes), delay);

    public IStorageFile CreateSparse(string name, long lengthBytes) => new SlowFile(device.CreateSparse(name, lengthBytes), delay);

    public void Delete(string name) => device.Delete(name);

    public async ValueTask SyncDirectoryAsync()
    {
        if (delay() is { } wait) await wait;
        await device.SyncDirectoryAsync();
    }

    private sealed class SlowFile(IStorageFile file, Func<Task?> delay) : IStorageFile
    {
        public string Name => file.Name;

        public long LengthBytes => file.LengthBytes;

        public bool IsSparse => file.IsSparse;

        public void Write(long offsetBytes, ReadOnlySpan<byte> source) => file.Write(offsetBytes, source);

        public void Write(long offsetBytes, IReadOnlyList<ReadOnlyMemory<byte>> sources) => file.Write(offsetBytes, sources);

        public ValueTask ReadAsync(long offsetBytes, Memory<byte> destination) => file.ReadAsync(offsetBytes, destination);

        public ValueTask ReadMediaAsync(long offsetBytes, Memory<byte> destination) => file.ReadMediaAsync(offsetBytes, destination);

        public async ValueTask FlushAsync()
        {
            // What was written until now is what the flush covers; so it starts at once and only its end comes later.
            var flush = file.FlushAsync();
            if (delay() is { } wait) await wait;
            await flush;
        }

        public void DropCached(long offsetBytes, long lengthBytes) => file.DropCached(offsetBytes, lengthBytes);

        public void PunchHole(long offsetBytes, long lengthBytes) => file.PunchHole(offsetBytes, lengthBytes);

        public void Dispose() => file.Dispose();
    }
}
