namespace OpenEbs.Storage.Store;

/// <summary>What an operation does to a volume. Values are on disk and on the wire: append only.</summary>
public enum OperationKind : byte
{
    /// <summary>Stores data.</summary>
    Write = 1,

    /// <summary>Makes blocks read as zeros and frees them.</summary>
    Unmap = 2,

    /// <summary>Changes no block; takes a place in the order (the first operation of an epoch is one). Among blocks that are copied: these blocks are as on the source already.</summary>
    Mark = 3,
}

/// <summary>One operation of a volume's sequenced log, in 4 KiB blocks. <see cref="Data"/> and <see cref="Checksums"/> are empty unless Kind is Write.</summary>
/// <param name="Kind">What it does.</param>
/// <param name="Block">First 4 KiB block.</param>
/// <param name="BlockCount">Number of blocks; 0 for a Mark that takes a place in the order.</param>
/// <param name="Data">BlockCount x 4,096 bytes.</param>
/// <param name="Checksums">CRC-32C of each block of Data.</param>
public readonly record struct StoreOperation(
    OperationKind Kind,
    long Block,
    long BlockCount,
    ReadOnlyMemory<byte> Data,
    ReadOnlyMemory<uint> Checksums);

/// <summary>Consecutive operations of one epoch: operation i has seq <see cref="FirstSeq"/> + i.</summary>
/// <param name="Epoch">Epoch of the coordinator that issued them.</param>
/// <param name="FirstSeq">Seq of the first.</param>
/// <param name="Operations">At least one.</param>
public readonly record struct StoreBatch(long Epoch, long FirstSeq, ReadOnlyMemory<StoreOperation> Operations)
{
    /// <summary>The operations have their place in the volume's order, and room was found for them when they got it: they may use the space that is kept for housekeeping rather than fail.</summary>
    public bool MayUseReserve { get; init; }

    /// <summary>With the last of them the replica has everything that was ever acknowledged to be on it: whatever a loss of power took is there again (<see cref="StoreStatus.MayHaveLostTail"/>).</summary>
    public bool EndsDoubt { get; init; }

    public long LastSeq => FirstSeq + Operations.Length - 1;
}
