using System.Globalization;
using OpenEbs.Storage.Devices;
using Xunit;

namespace OpenEbs.Storage.Tests.Devices;

public sealed class DirectReadsTests : IDisposable
{
    private const int Bytes = 1 << 20;
    private readonly TestDirectory _directory = TestDirectory.New();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task ReadMedia_GivesWhatWasWritten_AlsoBeforeItWasFlushed_AtAnyOffset()
    {
        using var device = FileStorageDevice.Create(Path.Combine(_directory.Path, "replica"));
        using var file = device.Create("a", Bytes);
        var model = new byte[Bytes];
        var random = new Random(1);
        for (var i = 0; i < 50; i++)
        {
            var (offset, length) = (random.Next(Bytes - 9000), random.Next(1, 9000));
            random.NextBytes(model.AsSpan(offset, length));
            file.Write(offset, model.AsSpan(offset, length));
            if (i % 3 == 0) await file.FlushAsync();
            var from = random.Next(Bytes - 5000);
            var read = new byte[random.Next(1, 5000)];
            await file.ReadMediaAsync(from, read);
            Assert.True(read.AsSpan().SequenceEqual(model.AsSpan(from, read.Length)), $"round {i}: {read.Length} bytes at {from}");
        }

        var whole = new byte[Bytes];
        await file.ReadMediaAsync(0, whole);
        Assert.True(whole.AsSpan().SequenceEqual(model));
        await Assert.ThrowsAsync<EndOfStreamException>(async () => await file.ReadMediaAsync(Bytes - 10, new byte[11]));
    }

    [Fact]
    public async Task ReadMedia_GoesToTheDisk_ThoughEverythingIsCached()
    {
        using var device = FileStorageDevice.Create(Path.Combine(_directory.Path, "replica"));
        using var file = device.Create("a", Bytes);
        var data = new byte[Bytes];
        new Random(2).NextBytes(data);
        file.Write(0, data);
        await file.FlushAsync();
        var read = new byte[Bytes];
        await file.ReadAsync(0, read);

        // What this process had storage devices read (proc(5)): nothing for what is in the page cache.
        var before = ReadBytes();
        await file.ReadAsync(0, read);
        var cached = ReadBytes();
        await file.ReadMediaAsync(0, read);
        var direct = ReadBytes();

        Assert.True(read.AsSpan().SequenceEqual(data));
        if (!IsOnDisk()) return;
        Assert.True(cached - before < Bytes, $"{cached - before} bytes came from the disk for a cached read");
        Assert.True(direct - cached >= Bytes, $"only {direct - cached} of {Bytes} bytes came from the disk");
    }

    [Fact]
    public void ReadAllBytes_OfASmallFile_GivesAllOfIt()
    {
        var file = Path.Combine(_directory.Path, "volume.json");
        File.WriteAllText(file, new string('x', 5001));
        Assert.Equal(5001, DirectReads.ReadAllBytes(file).Length);
        Assert.All(DirectReads.ReadAllBytes(file), value => Assert.Equal((byte)'x', value));
    }

    private static long ReadBytes() => long.Parse(File.ReadLines("/proc/self/io").First(line => line.StartsWith("read_bytes:", StringComparison.Ordinal))[11..], CultureInfo.InvariantCulture);

    /// <summary>A file system in memory has no disk to read from.</summary>
    private bool IsOnDisk() => new DriveInfo(_directory.Path).DriveFormat is "ext4" or "ext2" or "xfs" or "btrfs";
}
