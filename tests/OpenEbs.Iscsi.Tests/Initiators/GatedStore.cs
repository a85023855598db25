using System.Buffers;
using OpenEbs.Iscsi.Host;
using OpenEbs.Iscsi.LogicalUnits;

namespace OpenEbs.Iscsi.Tests.Initiators;

/// <summary>A store whose I/O waits while its gate is shut, fails as told, and is written down.</summary>
internal sealed class GatedStore(MemoryStore inner) : ILogicalUnitStore, IDisposable
{
    private readonly Lock _lock = new();
    private TaskCompletionSource _gate = Opened();
    private int _inside;

    public LogicalUnitFacts Facts { get => inner.Facts; set => inner.Facts = value; }

    public SharedState Shared => inner.Shared;

    public ValueTask<StoreIoStatus> RefreshAsync(TimeSpan patience, CancellationToken cancellationToken) => inner.RefreshAsync(patience, cancellationToken);

    public ValueTask<StoreIoStatus> ChangeSharedAsync(SharedStateChange change, CancellationToken cancellationToken) => inner.ChangeSharedAsync(change, cancellationToken);

    /// <summary>Calls that wait at the gate or are past it and not done.</summary>
    public int Inside => Volatile.Read(ref _inside);

    public List<string> Calls { get; } = [];

    /// <summary>Status of the next I/O calls, if not Ok.</summary>
    public StoreIoStatus Fail { get; set; }

    public bool Throw { get; set; }

    /// <summary>Ends every call on another thread.</summary>
    public bool Hops { get; set; }

    public bool Records { get; set; } = true;

    public void Shut() => _gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

    public void Open() => _gate.TrySetResult();

    /// <summary>Waits until so many calls are inside.</summary>
    public async Task WaitInsideAsync(int count)
    {
        for (var i = 0; Inside < count; i++)
        {
            Assert.True(i < 1000, $"{Inside} calls are in the store, {count} were expected.");
            await Task.Delay(10);
        }
    }

    public ValueTask<StoreIoResult> ReadAsync(long offsetBytes, int lengthBytes, long version, CancellationToken cancellationToken) =>
        PassAsync($"read {offsetBytes} {lengthBytes}", () => inner.ReadAsync(offsetBytes, lengthBytes, version, cancellationToken));

    public ValueTask<StoreIoResult> WriteAsync(long offsetBytes, IMemoryOwner<byte> data, int lengthBytes, bool forceUnitAccess, long version, CancellationToken cancellationToken) =>
        PassAsync($"write {offsetBytes} {lengthBytes}{(forceUnitAccess ? " fua" : "")}",
            () => inner.WriteAsync(offsetBytes, data, lengthBytes, forceUnitAccess, version, cancellationToken));

    public ValueTask<StoreIoResult> FlushAsync(long version, CancellationToken cancellationToken) => PassAsync("flush", () => inner.FlushAsync(version, cancellationToken));

    public ValueTask<StoreIoResult> WriteZeroesAsync(IReadOnlyList<MappedRange> ranges, bool forceUnitAccess, long version, CancellationToken cancellationToken) =>
        PassAsync("zero " + string.Join(' ', ranges.Select(range => $"{range.OffsetBytes}+{range.LengthBytes}")),
            () => inner.WriteZeroesAsync(ranges, forceUnitAccess, version, cancellationToken));

    public ValueTask<StoreIoResult> CompareAndWriteAsync(long offsetBytes, IMemoryOwner<byte> data, int lengthBytes, bool forceUnitAccess, long version, CancellationToken cancellationToken) =>
        PassAsync($"caw {offsetBytes} {lengthBytes}", () => inner.CompareAndWriteAsync(offsetBytes, data, lengthBytes, forceUnitAccess, version, cancellationToken));

    public ValueTask<IReadOnlyList<MappedRange>> GetMappedRangesAsync(long offsetBytes, int maxRanges, CancellationToken cancellationToken) =>
        inner.GetMappedRangesAsync(offsetBytes, maxRanges, cancellationToken);

    public void Dispose() => inner.Dispose();

    private static TaskCompletionSource Opened()
    {
        var gate = new TaskCompletionSource();
        gate.SetResult();
        return gate;
    }

    private async ValueTask<StoreIoResult> PassAsync(string call, Func<ValueTask<StoreIoResult>> io)
    {
        if (Records)
        {
            lock (_lock) Calls.Add(call);
        }

        Interlocked.Increment(ref _inside);
        try
        {
            await _gate.Task;
            if (Hops) await Task.Yield();
            if (Throw) throw new IOException("The store broke, as the test wants.");
            if (Fail != StoreIoStatus.Ok) return new StoreIoResult(Fail);
            return await io();
        }
        finally
        {
            Interlocked.Decrement(ref _inside);
        }
    }
}
