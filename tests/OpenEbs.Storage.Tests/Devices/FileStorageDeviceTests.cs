using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using OpenEbs.Storage.Devices;
using OpenEbs.Storage.Store;
using Xunit;

namespace OpenEbs.Storage.Tests.Devices;

public sealed class FileStorageDeviceTests : IDisposable
{
    private readonly TestDirectory _directory = TestDirectory.New();

    private string DevicePath => Path.Combine(_directory.Path, "pool", "replica");

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Files_HoldWhatWasWritten_ByEveryWayOfWriting()
    {
        using var device = FileStorageDevice.Create(DevicePath);
        using var file = device.Create("a", 3_000_000);
        var model = new byte[3_000_000];
        var random = new Random(5);
        for (var i = 0; i < 200; i++)
        {
            var offset = random.Next(model.Length - 5000);
            var sources = new ReadOnlyMemory<byte>[random.Next(1, i % 20 == 0 ? 1500 : 6)];
            var at = offset;
            for (var j = 0; j < sources.Length; j++)
            {
                var source = new byte[Math.Min(model.Length - at, random.Next(0, 5000))];
                random.NextBytes(source);
                source.CopyTo(model, at);
                sources[j] = source;
                at += source.Length;
            }

            if (sources.Length == 1) file.Write(offset, sources[0].Span);
            else file.Write(offset, sources);
            var length = random.Next(0, 100_000);
            var from = random.Next(model.Length - length);
            var read = new byte[length];
            await file.ReadAsync(from, read);
            Assert.True(model.AsSpan(from, length).SequenceEqual(read));
        }

        await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => file.FlushAsync().AsTask()));
        file.DropCached(0, model.Length);
        file.PunchHole(4096, 8192);
        model.AsSpan(4096, 8192).Clear();
        await device.SyncDirectoryAsync();
        using var again = device.Open("a");
        Assert.Equal(model.Length, again.LengthBytes);
        var all = new byte[model.Length];
        await again.ReadAsync(0, all);
        Assert.True(model.AsSpan().SequenceEqual(all));
    }

    [Fact]
    public async Task Read_OfPagesThatAreNotCached_CompletesOnTheCallersContext()
    {
        using var device = FileStorageDevice.Create(DevicePath);
        using var file = device.Create("a", 8 << 20);
        var model = new byte[8 << 20];
        new Random(6).NextBytes(model);
        file.Write(0, model);
        await file.FlushAsync();
        DropCache("a");
        var context = new ConcurrentExclusiveSchedulerPair().ExclusiveScheduler;
        await await Task.Factory.StartNew(
            async () =>
            {
                var reads = new List<(int From, byte[] Bytes, Task Task)>();
                var waited = 0;
                for (var i = 0; i < 200; i++)
                {
                    var read = new byte[i % 50 == 0 ? 700_000 : 5000];
                    var from = i * 7919 % 1000 * 7000;
                    var task = file.ReadAsync(from, read);
                    if (!task.IsCompleted) waited++;
                    reads.Add((from, read, task.AsTask()));
                }

                foreach (var (from, bytes, task) in reads)
                {
                    await task;
                    Assert.Same(context, TaskScheduler.Current);
                    Assert.True(model.AsSpan(from, bytes.Length).SequenceEqual(bytes));
                }

                Assert.True(waited > 0, "no read had to wait for the disk, so this test tested nothing");
                DropCache("a");
                await file.ReadAsync(1000, new byte[10]);
                Assert.Same(context, TaskScheduler.Current);
                await file.FlushAsync();
                Assert.Same(context, TaskScheduler.Current);
            },
            CancellationToken.None,
            TaskCreationOptions.None,
            context);
    }

    [Fact]
    public async Task ReadsAndWritesOfCachedData_AllocateNothing()
    {
        using var device = FileStorageDevice.Create(DevicePath);
        using var file = device.Create("a", 1 << 20);
        var data = new byte[4096];
        ReadOnlyMemory<byte>[] gathered = [new byte[64], data, data, data];
        for (var i = 0; i < 256; i++) file.Write(i * 4096, data);
        for (var i = 0; i < 100; i++) await OnceAsync();
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1000; i++)
        {
            var once = OnceAsync();
            Assert.True(once.IsCompletedSuccessfully);
            await once;
        }

        // The runtime allocates a little now and then (2,048 bytes were seen while it compiled this anew); an object in each of the 3,000 calls would be 72,000 at least.
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 20_000);

        ValueTask OnceAsync()
        {
            file.Write(8192, data);
            file.Write(16384, gathered);
            return file.ReadAsync(8192, data);
        }
    }

    [Fact]
    public void Directory_IsOneProcessesAtATime()
    {
        var device = FileStorageDevice.Create(DevicePath);
        var failure = Assert.Throws<StoreInUseException>(() => FileStorageDevice.Open(DevicePath));
        Assert.Contains(DevicePath, failure.Message, StringComparison.Ordinal);
        Assert.Contains($"process {Environment.ProcessId}", failure.Message, StringComparison.Ordinal);
        Assert.Contains("stop that one first", failure.Message, StringComparison.Ordinal);
        _ = new PoolSpace(_directory.Path, 1 << 20); // Counting the pool's files must not take the lock.
        device.Dispose();
        FileStorageDevice.Open(DevicePath).Dispose();
    }

    [Fact]
    public void FilesAndDirectories_ThatAreNotThere_AreNamed()
    {
        Assert.Contains(DevicePath, Assert.Throws<DirectoryNotFoundException>(() => FileStorageDevice.Open(DevicePath)).Message, StringComparison.Ordinal);
        using var device = FileStorageDevice.Create(DevicePath);
        Assert.Empty(device.List());
        Assert.Throws<FileNotFoundException>(() => device.Open("b"));
        Assert.Throws<FileNotFoundException>(() => device.Delete("b"));
        device.Create("b", 4096).Dispose();
        Assert.Contains("Two stores", Assert.Throws<IOException>(() => device.Create("b", 4096)).Message, StringComparison.Ordinal);
        Assert.Equal(["b"], device.List());
        Assert.Throws<ArgumentException>(() => device.Create("../b", 4096));
        device.Delete("b");
        Assert.Empty(device.List());
        File.WriteAllText(Path.Combine(_directory.Path, "file"), "");
        Assert.Contains("Name a directory", Assert.Throws<IOException>(() => FileStorageDevice.Create(Path.Combine(_directory.Path, "file"))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Directory_ThatVanishes_IsNamedWithACure()
    {
        using var device = FileStorageDevice.Create(DevicePath);
        Directory.Delete(DevicePath, recursive: true);
        Assert.Contains("mount it", Assert.Throws<FileNotFoundException>(() => device.Create("b", 4096)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Requests_OutsideTheFile_AreRefused()
    {
        using var device = FileStorageDevice.Create(DevicePath);
        var file = device.Create("a", 8192);
        Assert.Throws<ArgumentOutOfRangeException>(() => file.Write(8000, new byte[193]));
        Assert.Throws<ArgumentOutOfRangeException>(() => file.Write(8000, [new byte[100], new byte[100]]));
        Assert.Throws<ArgumentOutOfRangeException>(() => file.PunchHole(4096, 4097));
        await Assert.ThrowsAsync<EndOfStreamException>(async () => await file.ReadAsync(8000, new byte[193]));
        File.WriteAllBytes(Path.Combine(DevicePath, "a"), new byte[100]);
        var failure = await Assert.ThrowsAsync<EndOfStreamException>(async () => await file.ReadAsync(0, new byte[200]));
        Assert.Contains("cut short: it ends at 100", failure.Message, StringComparison.Ordinal);
        file.Dispose();
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await file.ReadAsync(0, new byte[1]));
        Assert.Throws<ObjectDisposedException>(() => file.Write(0, new byte[1]));
    }

    [SkippableFact]
    public async Task FullFileSystem_RefusesCreations_AndWritesIntoHoles_AndRecovers()
    {
        using var mounted = TestDirectory.TryMount(2 << 20);
        Skip.If(mounted is null, "needs root to mount a small file system");
        using var device = FileStorageDevice.Create(Path.Combine(mounted!.Path, "replica"));
        var a = device.Create("a", 1 << 20);
        var full = Assert.Throws<StorageFullException>(() => device.Create("b", 2 << 20));
        Assert.Contains("replica/b", full.Message, StringComparison.Ordinal);
        Assert.Equal(["a"], device.List());
        a.PunchHole(0, 1 << 20);
        var free = (int)(device.FreeBytes & ~4095);
        using var c = device.Create("c", free);
        Assert.Throws<StorageFullException>(() => a.Write(0, new byte[4096]));
        Assert.Throws<StorageFullException>(() => a.Write(0, [new byte[4096], new byte[4096]]));
        c.Write(0, new byte[free]);
        c.PunchHole(0, 65536);
        a.Write(0, Enumerable.Repeat((byte)1, 4096).ToArray());
        var read = new byte[8192];
        await a.ReadAsync(0, read); // tmpfs has no RWF_NOWAIT: this is the way over an I/O thread.
        Assert.Equal(4096, read.Count(b => b == 1));
        a.Dispose();
    }

    [SkippableFact]
    public void ReadOnlyFileSystem_IsNamedWithACure()
    {
        using var mounted = TestDirectory.TryMount(1 << 20);
        Skip.If(mounted is null || !mounted.TryMakeReadOnly(), "needs root to mount a file system read-only");
        var failure = Assert.Throws<IOException>(() => FileStorageDevice.Open(mounted!.Path));
        Assert.Contains("Mount it read-write", failure.Message, StringComparison.Ordinal);
        failure = Assert.Throws<IOException>(() => FileStorageDevice.Create(Path.Combine(mounted!.Path, "x")));
        Assert.Contains(mounted.Path, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Failures_OfEveryKind_SayPathSystemTextAndCure()
    {
        foreach (var error in Enum.GetValues<LinuxError>().Except([LinuxError.None]))
        {
            var failure = FileFailures.Describe(error, "write 10 bytes at 20 of", "/pool/a");
            Assert.StartsWith($"Cannot write 10 bytes at 20 of /pool/a: {Marshal.GetPInvokeErrorMessage((int)error)}. ", failure.Message, StringComparison.Ordinal);
            Assert.IsAssignableFrom<IOException>(failure);
        }

        Assert.IsType<StorageFullException>(FileFailures.Describe(LinuxError.NoSpace, "x", "/pool/a"));
        Assert.Contains("The disk failed", FileFailures.Describe(LinuxError.InputOutput, "x", "/pool/a").Message, StringComparison.Ordinal);
    }

    [Fact]
    public void PoolLimit_CountsWhatIsThereAndWhatDevicesDo()
    {
        FileStorageDevice.Create(DevicePath).Dispose();
        File.WriteAllBytes(Path.Combine(DevicePath, "old"), new byte[100 * 1024]);
        var pool = new PoolSpace(Path.Combine(_directory.Path, "pool"), 1 << 20);
        var before = pool.FreeBytes;
        Assert.InRange(before, (1 << 20) - 120 * 1024, (1 << 20) - 100 * 1024);
        using var device = FileStorageDevice.Open(DevicePath, pool);
        using var file = device.Create("a", 512 * 1024);
        Assert.Equal(before - 512 * 1024, pool.FreeBytes);
        Assert.Contains("Raise the pool's capacity", Assert.Throws<StorageFullException>(() => device.Create("b", 512 * 1024)).Message, StringComparison.Ordinal);
        Assert.Equal(["a", "old"], device.List());
        file.Write(0, new byte[256 * 1024]);
        file.PunchHole(0, 256 * 1024);
        Assert.Equal(before - 256 * 1024, pool.FreeBytes);
        file.Write(0, new byte[64 * 1024]);
        Assert.Equal(before - 320 * 1024, pool.FreeBytes);
        device.Delete("a");
        Assert.InRange(pool.FreeBytes, before, before + 8192);
        device.Discard();
        Assert.False(Directory.Exists(DevicePath));
        Assert.InRange(pool.FreeBytes, (1 << 20) - 8192, 1 << 20); // Lock files are not worth counting.
    }

    /// <summary>Drops a clean file's pages from the page cache.</summary>
    private void DropCache(string name)
    {
        const int dontNeed = 4;
        using SafeFileHandle handle = File.OpenHandle(Path.Combine(DevicePath, name), FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        Assert.Equal(0, LinuxFiles.Advise(handle, 0, 0, dontNeed));
    }
}
