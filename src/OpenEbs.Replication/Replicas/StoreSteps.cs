using OpenEbs.Storage.Store;

namespace OpenEbs.Replication.Replicas;

/// <summary>What rebuild steps, copies and repairs do to a store.</summary>
internal static class StoreSteps
{
    public static ValueTask CarryOutAsync(IReplicaStore store, RebuildRequest request) => request.Step switch
    {
        RebuildStep.Truncate => store.TruncateAsync(request.Seq),
        RebuildStep.Begin => store.BeginRebuildAsync(request.From, request.Seq),
        RebuildStep.End => store.EndRebuildAsync(),
        _ => throw new ArgumentOutOfRangeException(nameof(request), request.Step, "Unknown rebuild step."),
    };

    public static async ValueTask CopyAsync(IReplicaStore store, ReadOnlyMemory<StoreOperation> operations, bool repair)
    {
        if (!repair)
        {
            await store.CopyAsync(operations);
            return;
        }

        for (var i = 0; i < operations.Length; i++)
        {
            var operation = operations.Span[i];
            await store.RepairAsync(operation.Block, (int)operation.BlockCount, operation.Data, operation.Checksums);
        }
    }
}
