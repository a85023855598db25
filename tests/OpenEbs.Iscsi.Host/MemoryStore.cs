using System.Buffers;
using System.Runtime.InteropServices;
using OpenEbs.Iscsi.LogicalUnits;

namespace OpenEbs.Iscsi.Host;

/// <summary>A logical unit in memory, with a map of 4 KiB blocks that have been written: the model that the real store must equal.</summary>
public sealed unsafe class MemoryStore : ILogicalUnitStore, IDisposable
{
    private const int PhysicalBlockBytes = 4096;

    private readonly MemoryPool<byte> _pool;
    private readonly byte* _bytes;
    private readonly bool[] _mapped;
    private readonly ReaderWriterLockSlim _gate = new();
    private SharedState _shared = SharedState.Initial;

    public MemoryStore(long sizeBytes, int blockLength, MemoryPool<byte> pool, bool writeCache = true)
    {
        _pool = pool;
        _bytes = (byte*)NativeMemory.AllocZeroed((nuint)sizeBytes);
        _mapped = new bool[(sizeBytes + PhysicalBlockBytes - 1) / PhysicalBlockBytes];
        Facts = new LogicalUnitFacts { SizeBytes = sizeBytes, BlockLength = blockLength, WriteCache = writeCache, Uid = Guid.Parse("6f0e6c52-3d5a-4c57-9d0e-1f2a3b4c5d6e") };
    }

    public LogicalUnitFacts Facts { get; set; }

    public SharedState Shared => Volatile.Read(ref _shared);

    public ValueTask<StoreIoStatus> RefreshAsync(TimeSpan patience, CancellationToken cancellationToken) => new(StoreIoStatus.Ok);

    public ValueTask<StoreIoStatus> ChangeSharedAsync(SharedStateChange change, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (change.FromVersion != _shared.Version) return new(StoreIoStatus.Outdated);
            _shared = new SharedState(change.FromVersion + 1, change.Lasting, change.Passing);
            return new(StoreIoStatus.Ok);
        }
    }

    /// <summary>What the loss of power leaves.</summary>
    public void LosePower()
    {
        lock (_gate) _shared = new SharedState(_shared.Version + 1, _shared.Lasting, "");
    }

    public ValueTask<StoreIoResult> ReadAsync(long offsetBytes, int lengthBytes, long version, CancellationToken cancellationToken)
    {
        if (IsOutdated(version)) return Outdated;
        var data = _pool.Rent(lengthBytes);
        new ReadOnlySpan<byte>(_bytes + offsetBytes, lengthBytes).CopyTo(data.Memory.Span);
        return new ValueTask<StoreIoResult>(new StoreIoResult(StoreIoStatus.Ok, data));
    }

    public ValueTask<StoreIoResult> WriteAsync(long offsetBytes, IMemoryOwner<byte> data, int lengthBytes, bool forceUnitAccess, long version, CancellationToken cancellationToken)
    {
        if (IsOutdated(version)) return Outdated;
        data.Memory.Span[..lengthBytes].CopyTo(new Span<byte>(_bytes + offsetBytes, lengthBytes));
        Map(offsetBytes, lengthBytes, true);
        return new ValueTask<StoreIoResult>(new StoreIoResult(StoreIoStatus.Ok));
    }

    public ValueTask<StoreIoResult> FlushAsync(long version, CancellationToken cancellationToken) => IsOutdated(version) ? Outdated : new(new StoreIoResult(StoreIoStatus.Ok));

    public ValueTask<StoreIoResult> WriteZeroesAsync(IReadOnlyList<MappedRange> ranges, bool forceUnitAccess, long version, CancellationToken cancellationToken)
    {
        if (IsOutdated(version)) return Outdated;
        foreach (var range in ranges)
        {
            NativeMemory.Clear(_bytes + range.OffsetBytes, (nuint)range.LengthBytes);
            var first = (range.OffsetBytes + PhysicalBlockBytes - 1) / PhysicalBlockBytes;
            var last = (range.OffsetBytes + range.LengthBytes) / PhysicalBlockBytes;
            for (var block = first; block < last; block++) _mapped[block] = false;
        }

        return new ValueTask<StoreIoResult>(new StoreIoResult(StoreIoStatus.Ok));
    }

    public ValueTask<StoreIoResult> CompareAndWriteAsync(long offsetBytes, IMemoryOwner<byte> data, int lengthBytes, bool forceUnitAccess, long version, CancellationToken cancellationToken)
    {
        if (IsOutdated(version)) return Outdated;
        var half = lengthBytes / 2;
        _gate.EnterWriteLock();
        try
        {
            var here = new Span<byte>(_bytes + offsetBytes, half);
            var same = here.CommonPrefixLength(data.Memory.Span[..half]);
            if (same < half) return new ValueTask<StoreIoResult>(new StoreIoResult(StoreIoStatus.Miscompare, null, same));
            data.Memory.Span.Slice(half, half).CopyTo(here);
            Map(offsetBytes, half, true);
            return new ValueTask<StoreIoResult>(new StoreIoResult(StoreIoStatus.Ok));
        }
        finally
        {
            _gate.ExitWriteLock();
        }
    }

    public ValueTask<IReadOnlyList<MappedRange>> GetMappedRangesAsync(long offsetBytes, int maxRanges, CancellationToken cancellationToken)
    {
        var ranges = new List<MappedRange>();
        var at = offsetBytes;
        while (at < Facts.SizeBytes && ranges.Count < maxRanges)
        {
            var block = at / PhysicalBlockBytes;
            var mapped = _mapped[block];
            while (block < _mapped.Length && _mapped[block] == mapped) block++;
            var end = Math.Min(block * PhysicalBlockBytes, Facts.SizeBytes);
            ranges.Add(new MappedRange(at, end - at, mapped));
            at = end;
        }

        return new ValueTask<IReadOnlyList<MappedRange>>(ranges);
    }

    public void Dispose()
    {
        _gate.Dispose();
        NativeMemory.Free(_bytes);
    }

    private static ValueTask<StoreIoResult> Outdated => new(new StoreIoResult(StoreIoStatus.Outdated));

    private bool IsOutdated(long version) => version != 0 && version != Shared.Version;

    private void Map(long offsetBytes, int lengthBytes, bool mapped)
    {
        if (lengthBytes == 0) return;
        for (var block = offsetBytes / PhysicalBlockBytes; block <= (offsetBytes + lengthBytes - 1) / PhysicalBlockBytes; block++) _mapped[block] = mapped;
    }
}
