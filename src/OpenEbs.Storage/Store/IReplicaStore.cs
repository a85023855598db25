namespace OpenEbs.Storage.Store;

/// <summary>The bytes of one replica (design section 5): an append-only log of segments and an extent map over 4 KiB blocks. Blocks never written
/// or unmapped read as zeros. Any block number from 0 to 2^34 - 1 (64 TiB) is valid; the volume's size is the coordinator's affair.</summary>
/// <remarks>
/// Not thread-safe: the caller runs everything in one scheduling context (a grain activation, or the simulation) and may overlap calls only across
/// awaits: reads, <see cref="FlushAsync"/> and <see cref="MaintainAsync"/> may overlap appends; appends, truncation, rebuild marks and closing do not
/// overlap each other. Continuations must resume on the caller's scheduler: no ConfigureAwait(false), no Task.Run outside a device.
/// Time and randomness come in through the constructor.
/// </remarks>
public interface IReplicaStore : IAsyncDisposable
{
    /// <summary>All that the store knows of itself. It may be made anew by every call: for the path of each I/O there are the properties below.</summary>
    StoreStatus Status { get; }

    /// <inheritdoc cref="StoreStatus.FenceEpoch"/>
    long FenceEpoch => Status.FenceEpoch;

    /// <inheritdoc cref="StoreStatus.Last"/>
    LogPosition Last => Status.Last;

    /// <inheritdoc cref="StoreStatus.DurableSeq"/>
    long DurableSeq => Status.DurableSeq;

    /// <inheritdoc cref="StoreStatus.WritableBytes"/>
    long WritableBytes => Status.WritableBytes;

    /// <inheritdoc cref="StoreStatus.Consistency"/>
    ReplicaConsistency Consistency => Status.Consistency;

    /// <summary>Reads go to another replica: what is written here need not stay in the page cache once it is on media. A hint.</summary>
    bool IsReadElsewhere { get => false; set { } }

    /// <summary>Durably raises the fence. Ignored when <paramref name="epoch"/> is not higher.</summary>
    ValueTask SetFenceAsync(long epoch);

    /// <summary>Applies a batch as one record: one sequential write to the page cache (not durable). All or nothing, also across power loss.
    /// FirstSeq must be Status.Last.Seq + 1. Usually completes synchronously. The operations' memory is not kept after completion.</summary>
    /// <exception cref="Devices.StorageFullException">Nothing was applied.</exception>
    ValueTask AppendAsync(StoreBatch batch);

    /// <summary>Makes all that was applied when it is called durable; returns the durable seq. Concurrent calls share one device flush.</summary>
    ValueTask<long> FlushAsync();

    /// <summary>Learns that all at or below <paramref name="seq"/> is durable in every in-sync replica. Never falls; made durable with the next record or
    /// checkpoint (lagging behind is safe). Lets a pending checkpoint be installed.</summary>
    void SetCommit(long seq);

    /// <summary>Reads blocks into <paramref name="destination"/> (blockCount x 4,096 bytes), each checked against its CRC-32C.</summary>
    /// <exception cref="BadBlockException">A block is bad; the contents of destination are undefined.</exception>
    ValueTask ReadAsync(long block, int blockCount, Memory<byte> destination);

    /// <summary>The same from stable media, whatever the host has of it in memory: bits that flip on the disk under cached pages are found while there is a good copy elsewhere.</summary>
    ValueTask ReadMediaAsync(long block, int blockCount, Memory<byte> destination) => ReadAsync(block, blockCount, destination);

    /// <summary>Seq of the operation (or copy, see <see cref="CopyAsync"/>) that last changed each block; 0 for blocks that nothing ever did.</summary>
    ValueTask<long[]> ListSeqsAsync(long block, int blockCount);

    /// <summary>One bounded step of reading, from stable media, and checking what the store has beside the blocks: superblocks, map, segment and record headers. What is damaged is written anew where memory has
    /// it still, or done without: blocks are moved, a checkpoint is taken.</summary>
    /// <param name="restart">Begin with the first step.</param>
    ValueTask<StoreScrubStep> ScrubAsync(bool restart) => ValueTask.FromResult(StoreScrubStep.Nothing);

    /// <summary>Stores a good copy of blocks whose stored form is bad, without taking a place in the order. The caller got the data from an in-sync replica
    /// while no write to these blocks was in flight.</summary>
    ValueTask RepairAsync(long block, int blockCount, ReadOnlyMemory<byte> data, ReadOnlyMemory<uint> checksums);

    /// <summary>Discards all operations with seq > <paramref name="lastSeq"/>, durably: afterwards the blocks are exactly the state after lastSeq.</summary>
    /// <exception cref="ArgumentOutOfRangeException">lastSeq is below Status.LogStart.Seq or above Status.Last.Seq.</exception>
    ValueTask TruncateAsync(long lastSeq);

    /// <summary>Remembers, also across openings, that something was found damaged that cannot be repaired block by block (<see cref="StoreStatus.IsDamaged"/>).</summary>
    ValueTask MarkDamagedAsync();

    /// <summary>Reads operations back from the log, from <paramref name="fromSeq"/> on, at most <paramref name="maxBytes"/> of data but at least one operation. All of one
    /// epoch. Null when fromSeq is past the end. Throws <see cref="ArgumentOutOfRangeException"/> when fromSeq is at or below Status.LogStart.Seq.
    /// The returned memory stays valid until the caller drops it.</summary>
    ValueTask<StoreBatch?> ReadLogAsync(long fromSeq, int maxBytes);

    /// <summary>Blocks changed by operations with seq > <paramref name="sinceSeq"/> (or by CopyAsync, or RepairAsync), as ascending runs, from <paramref name="fromBlock"/> on: at most
    /// <paramref name="maxRuns"/> runs. NextBlock of the result is where to go on, or -1 at the end. May report more than changed, never less;
    /// per 4 KiB block, not coarser. sinceSeq 0 reports all mapped blocks. Unmapped blocks count as changed when an unmap with a higher seq
    /// emptied them (keep what that takes, or report conservatively).</summary>
    ValueTask<ChangedBlocks> ListChangedAsync(long sinceSeq, long fromBlock, int maxRuns);

    /// <summary>Starts, or starts again, a rebuild, durably: Consistency becomes Rebuilding, Last becomes <paramref name="from"/> whatever it was, and the next AppendAsync carries from.Seq + 1.
    /// <paramref name="baseSeq"/> is remembered as RebuildBaseSeq, unless a rebuild was already under way: then the lower one stays.</summary>
    ValueTask BeginRebuildAsync(LogPosition from, long baseSeq);

    /// <summary>While Rebuilding: stores blocks as they are on the source, or empties them, without taking a place in the order. A Mark says of mapped blocks that they are as on the source
    /// already: they stay, and count as changed now, as if they had been copied.</summary>
    ValueTask CopyAsync(ReadOnlyMemory<StoreOperation> operations);

    /// <summary>Ends a rebuild, durably: the blocks are now exactly the state after Last, which becomes LogStart.</summary>
    ValueTask EndRebuildAsync();

    /// <summary>Runs from <paramref name="fromBlock"/> on, alternately mapped and unmapped, that say whether blocks hold data.</summary>
    ValueTask<IReadOnlyList<AllocatedRun>> ListAllocatedAsync(long fromBlock, long blockCount, int maxRuns);

    /// <summary>One bounded step (some milliseconds) of background work: checkpoint, pre-writing the next segment, freeing dead segments, compaction. Returns false when
    /// there was nothing to do. The host calls it from a timer and after appends.</summary>
    ValueTask<bool> MaintainAsync();

    /// <summary>Flushes, writes a checkpoint and a clean-close mark. Dispose without Close is what a killed process leaves.</summary>
    ValueTask CloseAsync();
}

/// <summary>A run of blocks.</summary>
public readonly record struct BlockRun(long Block, long BlockCount);

/// <summary>A run of blocks that are all mapped or all unmapped.</summary>
public readonly record struct AllocatedRun(long Block, long BlockCount, bool Mapped);

/// <summary>Answer of <see cref="IReplicaStore.ListChangedAsync"/>.</summary>
public readonly record struct ChangedBlocks(IReadOnlyList<BlockRun> Runs, long NextBlock);
