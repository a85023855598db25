using OpenEbs.Storage.Devices;

namespace OpenEbs.Testing.Devices;

/// <summary>A disk in memory that keeps exactly what <see cref="IStorageDevice"/> promises and, under a seed, no more. This object is one process's handle
/// on it: <see cref="Crash"/> kills the handle and gives a fresh one over what survived.</summary>
public sealed class SimulatedStorageDevice : IStorageDevice
{
    private readonly SimulatedMedia _media;
    private bool _dead;

    public SimulatedStorageDevice(SimulatedStorageOptions? options = null)
        : this(new SimulatedMedia(options ?? new SimulatedStorageOptions()))
    {
    }

    private SimulatedStorageDevice(SimulatedMedia media) => _media = media;

    public string Path => _media.Options.Path;

    public long FreeBytes => Math.Max(0, CapacityBytes - UsedBytes);

    /// <summary>May be changed at any time, also below what is in use.</summary>
    public long CapacityBytes { get => _media.CapacityBytes; set => _media.CapacityBytes = value; }

    /// <summary>Bytes that all files together have allocated.</summary>
    public long UsedBytes => _media.Files.Values.Sum(file => file.AllocatedBytes);

    /// <summary>Another after each power loss, as /proc/sys/kernel/random/boot_id.</summary>
    public string BootId => _media.BootId;

    /// <summary>Device operations so far that change something (writes, flushes, creations, deletions, directory syncs, holes), over all handles.</summary>
    public long OperationCount => _media.OperationCount;

    /// <summary>Reads so far, over all handles.</summary>
    public long ReadCount => _media.ReadCount;

    /// <summary>Flushes so far (of files), over all handles.</summary>
    public long FlushCount => _media.FlushCount;

    /// <summary>Bytes that need not be cached any longer, so far.</summary>
    public long DroppedBytes => _media.DroppedBytes;

    /// <summary>When <see cref="OperationCount"/> reaches this the power fails: that operation is the last that is carried out, all later calls throw
    /// <see cref="DeviceDeadException"/>. Call <see cref="Crash"/> with <see cref="CrashKind.PowerLoss"/> then. Null: never.</summary>
    public long? CutPowerAfterOperation { get => _media.CutPowerAfterOperation; set => _media.CutPowerAfterOperation = value; }

    /// <summary>The handle was killed, or the power cut.</summary>
    public bool IsDead => _dead || _media.PowerIsCut;

    /// <summary>While set, flushes fail with an IOException and leave open what reached media.</summary>
    public bool FailFlushes { get => _media.FailFlushes; set => _media.FailFlushes = value; }

    /// <summary>While set, writes fail with an IOException before they change anything.</summary>
    public bool FailWrites { get => _media.FailWrites; set => _media.FailWrites = value; }

    public IReadOnlyList<string> List()
    {
        ThrowIfDead();
        return [.. _media.Files.Keys.Order(StringComparer.Ordinal)];
    }

    public IStorageFile Open(string name)
    {
        ThrowIfDead();
        return _media.Files.TryGetValue(name, out var content)
            ? new SimulatedStorageFile(this, _media, name, content)
            : throw new FileNotFoundException($"{Path}/{name} does not exist.", name);
    }

    public IStorageFile Create(string name, long lengthBytes)
    {
        ThrowIfDead();
        if (_media.Files.ContainsKey(name)) throw new IOException($"{Path}/{name} exists already.");
        var content = new SimulatedFileContent(lengthBytes);
        if (content.AllocatedBytes > FreeBytes) throw new StorageFullException($"{Path} has {FreeBytes} bytes left, {name} needs {content.AllocatedBytes}.");
        _media.Files.Add(name, content);
        _media.Directory.Add(new DirectoryChange(_media.CountOperation(), name, content));
        return new SimulatedStorageFile(this, _media, name, content);
    }

    public IStorageFile CreateSparse(string name, long lengthBytes)
    {
        ThrowIfDead();
        if (_media.Files.ContainsKey(name)) throw new IOException($"{Path}/{name} exists already.");
        var content = new SimulatedFileContent(lengthBytes, isSparse: true);
        _media.Files.Add(name, content);
        _media.Directory.Add(new DirectoryChange(_media.CountOperation(), name, content));
        return new SimulatedStorageFile(this, _media, name, content);
    }

    public void Delete(string name)
    {
        ThrowIfDead();
        if (!_media.Files.Remove(name)) throw new FileNotFoundException($"{Path}/{name} does not exist.", name);
        _media.Directory.Add(new DirectoryChange(_media.CountOperation(), name, null));
    }

    public async ValueTask SyncDirectoryAsync()
    {
        ThrowIfDead();
        var covered = _media.Directory.Count;
        var first = _media.DirectorySyncedCount;
        _media.CountOperation();
        await _media.DelayFlushAsync();
        ThrowIfKilled();
        if (_media.FailFlushes) throw new IOException($"{Path}: simulated failure of a directory sync.");
        _media.SyncDirectory(first + covered);
    }

    /// <summary>Kills this handle, and for a power loss decides what survives; returns a handle for the next process.</summary>
    public SimulatedStorageDevice Crash(CrashKind kind)
    {
        _dead = true;
        _media.KillCount++;
        if (kind == CrashKind.PowerLoss) _media.LosePower();
        _media.PowerIsCut = false;
        _media.CutPowerAfterOperation = null;
        return new SimulatedStorageDevice(_media);
    }

    /// <summary>Flips one bit on media and not in what the host has cached of it; false when that page has yet to be written to media.</summary>
    public bool FlipMediaBit(string name, long offsetBytes, int bit) => _media.Files[name].FlipMediaBit(offsetBytes, bit);

    /// <summary>A copy of a file's bytes as they are on media, and of pages that are not there yet as they will be.</summary>
    public byte[] ReadMediaBytes(string name)
    {
        var bytes = new byte[_media.Files[name].LengthBytes];
        _media.Files[name].ReadMedia(0, bytes);
        return bytes;
    }

    /// <summary>Flips one bit on media.</summary>
    public void FlipBit(string name, long offsetBytes, int bit) => _media.Files[name].FlipBit(offsetBytes, bit);

    /// <summary>Flips one bit at a random place of a random file whose name <paramref name="accept"/> accepts; says where, or null when there is no such file.</summary>
    public (string Name, long OffsetBytes, int Bit)? FlipRandomBit(Func<string, bool>? accept = null)
    {
        var names = _media.Files.Keys.Where(name => accept?.Invoke(name) ?? true).Order(StringComparer.Ordinal).ToArray();
        if (names.Length == 0) return null;
        var name = names[_media.Random.Next(names.Length)];
        var (offset, bit) = (_media.Random.NextInt64(_media.Files[name].LengthBytes), _media.Random.Next(8));
        FlipBit(name, offset, bit);
        return (name, offset, bit);
    }

    /// <summary>Makes reads that touch the range fail with an IOException until the whole of it is written again.</summary>
    public void FailReads(string name, long offsetBytes, long lengthBytes) => _media.Files[name].ReadErrors.Add((offsetBytes, lengthBytes));

    /// <summary>A copy of a file's bytes as reads see them now.</summary>
    public byte[] ReadAllBytes(string name)
    {
        var bytes = new byte[_media.Files[name].LengthBytes];
        _media.Files[name].Read(0, bytes);
        return bytes;
    }

    /// <summary>Writes bytes on media behind everybody's back, as a test of damaged files needs.</summary>
    public void Overwrite(string name, long offsetBytes, ReadOnlySpan<byte> source)
    {
        _media.Files[name].Write(_media.NextOrder(), offsetBytes, source);
        _media.Files[name].Flush(int.MaxValue);
    }

    /// <summary>Removes a file behind everybody's back.</summary>
    public void Lose(string name)
    {
        _media.Files.Remove(name);
        _media.ForgetFile(name);
    }

    internal void ThrowIfKilled()
    {
        if (_dead) throw new DeviceDeadException($"{Path}: the process that used this handle was killed.");
    }

    internal void ThrowIfDead()
    {
        ThrowIfKilled();
        if (_media.PowerIsCut) throw new DeviceDeadException($"{Path}: power is cut after operation {_media.OperationCount}.");
    }
}
