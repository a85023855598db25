namespace OpenEbs.Replication.Volumes;

/// <summary>Deliberate breakages of a coordinator, for the test that proves that the simulation's checker catches them. Never set in production.</summary>
internal sealed record CoordinatorFaults
{
    public static readonly CoordinatorFaults None = new();

    /// <summary>Acknowledges a write when one replica has it (breaks P1).</summary>
    public bool AcknowledgeEarly { get; init; }

    /// <summary>Leaves failed replicas out of the acknowledgement without changing the record (breaks P1).</summary>
    public bool DropWithoutRecord { get; init; }

    /// <summary>Serves reads without leases (breaks P3).</summary>
    public bool SkipLease { get; init; }

    /// <summary>Takes it that a record which bore its epoch once bears it for ever (breaks P3).</summary>
    public bool BelieveRecordForever { get; init; }

    /// <summary>Opens without waiting out the predecessor's lease (breaks P3).</summary>
    public bool SkipLeaseWait { get; init; }

    /// <summary>Gives its leases up before the reads under way have ended, and goes on serving for a while (breaks P3).</summary>
    public bool ReleaseEarly { get; init; }

    /// <summary>Lets reads overlap writes in flight (breaks P3).</summary>
    public bool SkipReadWait { get; init; }

    /// <summary>Acknowledges flushes at once (breaks P2).</summary>
    public bool SkipFlush { get; init; }

    /// <summary>Tells a replica with the first operation that it sends again that nothing is missing any more (breaks P1 and P2).</summary>
    public bool EndDoubtEarly { get; init; }

    /// <summary>Refuses writes for good once a pool was full (breaks P8).</summary>
    public bool StayFull { get; init; }

    /// <summary>Lets replicas differ whose checksums are right (breaks P6).</summary>
    public bool LeaveDifferences { get; init; }

    /// <summary>Takes the replica with the shortest log as source (breaks P1 and P4).</summary>
    public bool ShortestSource { get; init; }

    /// <summary>Serves without levelling the replicas (breaks P3, and P5 by writes to parts of blocks). Logs do not part for it: a replica that lags refuses the epoch's first operation
    /// as one after a gap and is brought level by rejoining; but until then it grants leases and answers reads.</summary>
    public bool SkipLevelling { get; init; }
}
