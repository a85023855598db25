using Microsoft.Extensions.Logging;
using OpenEbs.Storage.Store;

namespace OpenEbs.Replication.Replicas;

/// <summary>What becomes of a store in which something is damaged that cannot be repaired block by block: its map, or its log.</summary>
internal static partial class DamagedStore
{
    /// <summary>Why a store must be kept; null when it may be discarded: it is damaged, or (null) it cannot be opened at all, and who asks is not outdated as far as can be known.</summary>
    public static ReplicaOutcome? RefuseToDiscard(StoreStatus? status, long epoch) => status is null ? null
        : epoch < status.FenceEpoch ? ReplicaOutcome.StaleEpoch
        : status.IsDamaged ? null
        : ReplicaOutcome.Failed;

    /// <summary>Remembers it for the next life of the replica.</summary>
    public static async Task MarkAsync(IReplicaStore store, ILogger logger)
    {
        try
        {
            await store.MarkDamagedAsync();
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            LogNotMarked(logger, e);
        }
    }

    [LoggerMessage(2003, LogLevel.Warning, "The replica's store could not remember that it is damaged; the next life will find out again")]
    private static partial void LogNotMarked(ILogger logger, Exception exception);
}
