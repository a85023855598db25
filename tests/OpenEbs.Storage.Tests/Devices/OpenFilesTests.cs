using System.Diagnostics;
using OpenEbs.Storage.Devices;
using Xunit;

namespace OpenEbs.Storage.Tests.Devices;

public sealed class OpenFilesTests : IDisposable
{
    private const int Bytes = 64 << 10;
    private readonly TestDirectory _directory = TestDirectory.New();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task OfManyFiles_FewStayOpen_AndAllCanBeUsed()
    {
        using var device = NewDevice(capacity: 8);
        var files = Enumerable.Range(0, 50).Select(i => device.Create($"f{i}", Bytes)).ToArray();
        for (var i = 0; i < files.Length; i++)
        {
            files[i].Write(4096, Page(i));
            await files[i].FlushAsync();
        }

        var read = new byte[4096];
        for (var i = 0; i < files.Length; i++)
        {
            await files[i].ReadAsync(4096, read);
            Assert.Equal(Page(i), read);
            await files[i].ReadMediaAsync(4096, read);
            Assert.Equal(Page(i), read);
            Assert.InRange(device.Files.Count, 1, 8);
        }

        Assert.InRange(OpenDescriptors(device), 1, 8);
        foreach (var file in files) file.Dispose();
        Assert.Equal(0, device.Files.Count);
        Assert.Equal(0, OpenDescriptors(device));
    }

    [Fact]
    public async Task WhatIsNotDurable_StaysOpen()
    {
        using var device = NewDevice(capacity: 8);
        var files = Enumerable.Range(0, 30).Select(i => device.Create($"f{i}", Bytes)).ToArray();
        for (var i = 0; i < 20; i++) files[i].Write(0, Page(i));
        var read = new byte[4096];
        for (var round = 0; round < 3; round++)
        {
            foreach (var file in files) await file.ReadAsync(0, read);
        }

        // Twenty that were written to, and one of the others that was opened last.
        Assert.InRange(device.Files.Count, 20, 21);
        foreach (var file in files) await file.FlushAsync();
        for (var round = 0; round < 3; round++)
        {
            foreach (var file in files) await file.ReadAsync(0, read);
        }

        Assert.InRange(device.Files.Count, 1, 8);
        foreach (var file in files) file.Dispose();
    }

    [Fact]
    public async Task DisposedFile_StaysDisposed_OpenOrClosed()
    {
        using var device = NewDevice(capacity: 2);
        var files = Enumerable.Range(0, 6).Select(i => device.Create($"f{i}", Bytes)).ToArray();
        foreach (var file in files) file.Dispose();
        foreach (var file in files)
        {
            await Assert.ThrowsAsync<ObjectDisposedException>(async () => await file.ReadAsync(0, new byte[512]));
            Assert.Throws<ObjectDisposedException>(() => file.Write(0, Page(1)));
        }

        Assert.Equal(0, OpenDescriptors(device));
    }

    [Fact]
    public async Task FileThatCannotBeOpenedAgain_FailsThatReadOnly()
    {
        using var device = NewDevice(capacity: 2);
        var files = Enumerable.Range(0, 6).Select(i => device.Create($"f{i}", Bytes)).ToArray();
        Assert.Contains("f0", device.List());
        device.Delete("f0");
        device.Delete("f1");
        device.Delete("f2");
        var failures = 0;
        for (var i = 0; i < 3; i++)
        {
            var failure = await Record.ExceptionAsync(async () => await files[i].ReadAsync(0, new byte[512]));
            if (failure is null) continue;
            Assert.IsAssignableFrom<IOException>(failure);
            failures++;
        }

        Assert.True(failures > 0, "none of them had been closed");
        await files[5].ReadAsync(0, new byte[512]);
        foreach (var file in files) file.Dispose();
    }

    [Fact]
    public async Task ManyUsersAtOnce_FindWhatTheyWrote_WhileFilesAreClosedAndOpened()
    {
        using var device = NewDevice(capacity: 3);
        var files = Enumerable.Range(0, 12).Select(i => device.Create($"f{i}", Bytes)).ToArray();
        var until = Stopwatch.StartNew();
        var rounds = 0;
        await Task.WhenAll(Enumerable.Range(0, 6).Select(user => Task.Run(async () =>
        {
            var random = new Random(user);
            var read = new byte[4096];
            var last = new int[files.Length];
            while (until.ElapsedMilliseconds < 700 || Volatile.Read(ref rounds) < 3000)
            {
                var (file, value) = (random.Next(files.Length), random.Next());
                switch (random.Next(4))
                {
                    case 0:
                        files[file].Write(user * 4096, Page(value));
                        last[file] = value;
                        break;
                    case 1:
                        await files[file].FlushAsync();
                        break;
                    default:
                        await files[file].ReadAsync(user * 4096, read);
                        if (last[file] != 0) Assert.Equal(Page(last[file]), read);
                        break;
                }

                Interlocked.Increment(ref rounds);
            }
        })));
        foreach (var file in files)
        {
            await file.FlushAsync();
            file.Dispose();
        }

        Assert.Equal(0, device.Files.Count);
        Assert.Equal(0, OpenDescriptors(device));
    }

    [Theory]
    [InlineData(900, 1000, false)]
    [InlineData(901, 1000, true)]
    public void Shortage_IsSaid_BeforeTheLimitIsReached(long open, long limit, bool isShort)
    {
        var shortage = ProcessFiles.FindShortage(open, limit);
        Assert.Equal(isShort, shortage is not null);
        if (isShort) Assert.Contains("901 files open for good, of at most 1000", shortage, StringComparison.Ordinal);
        Assert.Null(ProcessFiles.FindShortage());
    }

    private static byte[] Page(int value)
    {
        var page = new byte[4096];
        new Random(value).NextBytes(page);
        return page;
    }

    private FileStorageDevice NewDevice(int capacity)
    {
        var device = FileStorageDevice.Create(Path.Combine(_directory.Path, "replica"));
        device.Files = new OpenFiles(capacity);
        return device;
    }

    /// <summary>Descriptors of files that this process has open in the device's directory, its lock aside.</summary>
    private static int OpenDescriptors(FileStorageDevice device) =>
        Directory.EnumerateFiles("/proc/self/fd").Select(fd => new FileInfo(fd).LinkTarget)
            .Count(target => target is not null && target.StartsWith(device.Path + "/", StringComparison.Ordinal) && !target.EndsWith(FileStorageDevice.LockName, StringComparison.Ordinal));
}
