using Microsoft.Extensions.Logging;
using OpenEbs.Replication.Replicas;
using OpenEbs.Simulation.Histories;
using OpenEbs.Simulation.Scheduling;
using OpenEbs.Storage.Devices;
using OpenEbs.Storage.Store;
using OpenEbs.Testing.Devices;

namespace OpenEbs.Simulation.Disks;

/// <summary>The real replica store on a simulated disk, which loses, reorders and tears what was not flushed when power is lost.</summary>
internal sealed class DeviceReplicaDisk : IReplicaDisk
{
    private const int PageBytes = 4096;
    private const long CapacityBytes = 1L << 30;
    private readonly string _replica;
    private readonly SeededRandom _random;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly ReplicaStoreOptions _options;
    private readonly Func<long, long[]> _stampsOf;
    private readonly Dictionary<long, List<(string File, long Offset, byte[] Rotten)>> _rotten = [];
    private SimulatedStorageDevice _device;

    /// <param name="replica">The replica's id.</param>
    /// <param name="random">Decides sizes, latencies and what a power loss leaves.</param>
    /// <param name="time">The host's clock.</param>
    /// <param name="logger">For the store.</param>
    /// <param name="stampsOf">The stamps that a block holds now on this replica.</param>
    public DeviceReplicaDisk(string replica, SeededRandom random, TimeProvider time, ILogger logger, Func<long, long[]> stampsOf)
    {
        _replica = replica;
        _random = random;
        _time = time;
        _logger = logger;
        _stampsOf = stampsOf;
        _options = new ReplicaStoreOptions
        {
            ReplicaId = replica,
            BootId = "",
            SegmentBytes = random.Pick<int>([3 << 19, 2 << 20, 4 << 20]),
            CheckpointLogBytes = random.Pick<long>([256 << 10, 1 << 20, 8 << 20]),
            MaxDirtyLeaves = random.Pick<int>([1, 2, 8, 2048]),
            MaxCachedLeaves = random.Pick<int>([0, 0, 2, 8192]),
            ReserveBytes = 4 << 20,
            CompactionThreshold = random.Pick<double>([1.2, 1.6]),
            CompactionSlackSegments = random.Pick<int>([1, 4]),
        };
        _device = new SimulatedStorageDevice(new SimulatedStorageOptions
        {
            Seed = random.Next(int.MaxValue),
            Path = $"/{replica}",
            CapacityBytes = CapacityBytes,
            Time = time,
            MaxFlushLatency = TimeSpan.FromMilliseconds(random.Pick<double>([0.2, 2, 20])),
            MaxReadLatency = random.Chance(0.4) ? TimeSpan.FromMilliseconds(random.Pick<double>([0.5, 5, 20])) : TimeSpan.Zero,
        });
    }

    public TimeSpan Slowness { get; set; }

    public bool Exists => _device.List().Count > 0;

    public async ValueTask DiscardAsync()
    {
        _rotten.Clear();
        await ReplicaStore.DeleteAsync(_device);
    }

    public bool Damage()
    {
        var pages = new List<(string File, int Page)>();
        foreach (var file in _device.List().Where(name => !name.StartsWith("segment-", StringComparison.Ordinal)))
        {
            var bytes = _device.ReadAllBytes(file);
            for (var page = 0; page < bytes.Length / PageBytes; page++)
            {
                if (bytes.AsSpan(page * PageBytes, PageBytes).ContainsAnyExcept((byte)0)) pages.Add((file, page));
            }
        }

        if (pages.Count == 0) return false;
        var (name, number) = _random.Pick(pages);

        // One page may be of the past, or be read by nobody; a whole file is not.
        var isWholeFile = _random.Chance(0.5);
        foreach (var (file, page) in pages.Where(p => isWholeFile ? p.File == name : p == (name, number)))
            _device.FlipBit(file, ((long)page * PageBytes) + _random.Next(_random.Chance(0.5) ? 256 : PageBytes), _random.Next(8));
        return true;
    }

    public bool RotAnywhere(bool onMediaOnly, out long? block)
    {
        block = null;
        var file = _random.Pick(_device.List().ToArray());
        var bytes = _device.ReadAllBytes(file);
        var pages = Enumerable.Range(0, bytes.Length / PageBytes).Where(page => bytes.AsSpan(page * PageBytes, PageBytes).ContainsAnyExcept((byte)0)).ToArray();
        if (pages.Length == 0) return false;
        var offset = (long)_random.Pick(pages) * PageBytes;
        var (at, bit) = (_random.Next(_random.Chance(0.5) ? 256 : PageBytes), _random.Next(8));
        if (!onMediaOnly) _device.FlipBit(file, offset + at, bit);
        else if (!_device.FlipMediaBit(file, offset + at, bit)) return false;
        if (!file.StartsWith("segment-", StringComparison.Ordinal) || BlockOf(bytes.AsSpan((int)offset, PageBytes)) is not { } harmed) return true;
        var rotten = bytes.AsSpan((int)offset, PageBytes).ToArray();
        rotten[at] ^= (byte)(1 << bit);
        if (!_rotten.TryGetValue(harmed, out var known)) _rotten.Add(harmed, known = []);
        known.Add((file, offset, rotten));
        block = harmed;
        return true;
    }

    public async ValueTask<IReplicaStore> OpenAsync(StoreOpening opening, string bootId)
    {
        IStorageDevice device = new SlowStorageDevice(_device, () => Slowness > TimeSpan.Zero ? Task.Delay(Slowness * _random.NextDouble(), _time) : null);
        return await ReplicaStore.OpenAsync(device, _options with { BootId = bootId, CreateIfAbsent = opening != StoreOpening.Existing, CreateRebuilding = opening == StoreOpening.CreateRebuilding }, _time, _logger);
    }

    public long RoomBytes => _device.FreeBytes - _options.ReserveBytes;

    public bool Fill(long leftBytes)
    {
        // What is left of the reserve stays: it is space that is held by the pool itself.
        _device.CapacityBytes = _device.UsedBytes + Math.Min(_device.FreeBytes, _options.ReserveBytes + leftBytes);
        return true;
    }

    public void Relieve() => _device.CapacityBytes = CapacityBytes;

    public void Kill() => _device = _device.Crash(CrashKind.ProcessKill);

    public void LosePower() => _device = _device.Crash(CrashKind.PowerLoss);

    public bool Rot(long block)
    {
        var pages = FindPages(block).ToList();
        foreach (var (file, offset, content) in pages)
        {
            var at = _random.Next(PageBytes);
            var bit = _random.Next(8);
            _device.FlipBit(file, offset + at, bit);
            content[at] ^= (byte)(1 << bit);
        }

        if (pages.Count > 0) _rotten[block] = pages;
        return pages.Count > 0;
    }

    public void Unrot(long block)
    {
        if (!_rotten.Remove(block, out var pages)) return;
        var wanted = new byte[PageBytes];
        foreach (var (file, offset, rotten) in pages)
        {
            if (!_device.List().Contains(file)) continue;
            if (!_device.ReadAllBytes(file).AsSpan((int)offset, PageBytes).SequenceEqual(rotten) && !_device.ReadMediaBytes(file).AsSpan((int)offset, PageBytes).SequenceEqual(rotten)) continue;
            SectorStamp.Fill(wanted, block * 8, _stampsOf(block));
            _device.Overwrite(file, offset, wanted);
        }
    }

    /// <summary>Which block's data a page is, going by its stamps; null when it is not any's.</summary>
    private static long? BlockOf(ReadOnlySpan<byte> page)
    {
        for (var i = 0; i < PageBytes; i += SectorStamp.SectorBytes)
        {
            // The second word of a stamped sector is its number (see SectorStamp).
            var sector = BitConverter.ToInt64(page[(i + sizeof(long))..]);
            if (sector > 0 && sector % 8 == i / SectorStamp.SectorBytes && SectorStamp.Decode(page.Slice(i, SectorStamp.SectorBytes), sector) > 0) return sector / 8;
        }

        return null;
    }

    /// <summary>The pages of segment files that hold the block as it is now.</summary>
    private IEnumerable<(string File, long Offset, byte[] Content)> FindPages(long block)
    {
        var stamps = _stampsOf(block);
        if (!stamps.AsSpan().ContainsAnyExcept(0)) yield break;
        var wanted = new byte[PageBytes];
        SectorStamp.Fill(wanted, block * 8, stamps);
        foreach (var file in _device.List())
        {
            var bytes = _device.ReadAllBytes(file);
            for (var offset = 0; offset + PageBytes <= bytes.Length; offset += PageBytes)
            {
                if (bytes.AsSpan(offset, PageBytes).SequenceEqual(wanted)) yield return (file, offset, (byte[])wanted.Clone());
            }
        }
    }
}
