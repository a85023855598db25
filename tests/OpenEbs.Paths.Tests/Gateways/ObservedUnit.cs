using System.Buffers;
using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Paths.Tests.Histories;

namespace OpenEbs.Paths.Tests.Gateways;

/// <summary>A session's store; notes when the session sees a new version of the shared state.</summary>
internal sealed class ObservedUnit(ILogicalUnitStore store, SessionRecord session, UnitHistory history) : ILogicalUnitStore
{
    public LogicalUnitFacts Facts => store.Facts;

    public SharedState Shared
    {
        get
        {
            var shared = store.Shared;
            session.Learn(shared.Version, history.NextMoment());
            return shared;
        }
    }

    public ValueTask<StoreIoStatus> RefreshAsync(TimeSpan patience, CancellationToken cancellationToken) => store.RefreshAsync(patience, cancellationToken);

    public ValueTask<StoreIoStatus> ChangeSharedAsync(SharedStateChange change, CancellationToken cancellationToken) => store.ChangeSharedAsync(change, cancellationToken);

    public ValueTask<StoreIoResult> ReadAsync(long offsetBytes, int lengthBytes, long version, CancellationToken cancellationToken) =>
        store.ReadAsync(offsetBytes, lengthBytes, version, cancellationToken);

    public ValueTask<StoreIoResult> WriteAsync(long offsetBytes, IMemoryOwner<byte> data, int lengthBytes, bool forceUnitAccess, long version, CancellationToken cancellationToken) =>
        store.WriteAsync(offsetBytes, data, lengthBytes, forceUnitAccess, version, cancellationToken);

    public ValueTask<StoreIoResult> FlushAsync(long version, CancellationToken cancellationToken) => store.FlushAsync(version, cancellationToken);

    public ValueTask<StoreIoResult> WriteZeroesAsync(IReadOnlyList<MappedRange> ranges, bool forceUnitAccess, long version, CancellationToken cancellationToken) =>
        store.WriteZeroesAsync(ranges, forceUnitAccess, version, cancellationToken);

    public ValueTask<StoreIoResult> CompareAndWriteAsync(long offsetBytes, IMemoryOwner<byte> data, int lengthBytes, bool forceUnitAccess, long version, CancellationToken cancellationToken) =>
        store.CompareAndWriteAsync(offsetBytes, data, lengthBytes, forceUnitAccess, version, cancellationToken);

    public ValueTask<IReadOnlyList<MappedRange>> GetMappedRangesAsync(long offsetBytes, int maxRanges, CancellationToken cancellationToken) =>
        store.GetMappedRangesAsync(offsetBytes, maxRanges, cancellationToken);
}
