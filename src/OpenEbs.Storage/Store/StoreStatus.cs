namespace OpenEbs.Storage.Store;

/// <summary>A place in a volume's log: operations are identified by (epoch, seq). Seq runs on across epochs.</summary>
public readonly record struct LogPosition(long Epoch, long Seq) : IComparable<LogPosition>
{
    public static readonly LogPosition Zero = new(0, 0);

    public int CompareTo(LogPosition other) => Epoch != other.Epoch ? Epoch.CompareTo(other.Epoch) : Seq.CompareTo(other.Seq);

    public static bool operator <(LogPosition a, LogPosition b) => a.CompareTo(b) < 0;

    public static bool operator >(LogPosition a, LogPosition b) => a.CompareTo(b) > 0;

    public static bool operator <=(LogPosition a, LogPosition b) => a.CompareTo(b) <= 0;

    public static bool operator >=(LogPosition a, LogPosition b) => a.CompareTo(b) >= 0;

    public override string ToString() => $"{Epoch}/{Seq}";
}

/// <summary>Operations FirstSeq.. up to the next run's FirstSeq (or the end of the log) were issued in Epoch.</summary>
public readonly record struct EpochRun(long Epoch, long FirstSeq);

/// <summary>Whether a replica's contents are a prefix of the volume's log.</summary>
public enum ReplicaConsistency : byte
{
    /// <summary>The blocks are exactly the state after operation Last.</summary>
    Prefix = 1,

    /// <summary>Between BeginRebuild and EndRebuild: blocks are a mixture and must not be read.</summary>
    Rebuilding = 2,
}

/// <summary>What a replica store knows of itself.</summary>
public sealed record StoreStatus
{
    /// <summary>Highest epoch ever seen, durable (the fence).</summary>
    public required long FenceEpoch { get; init; }

    /// <summary>Newest operation applied.</summary>
    public required LogPosition Last { get; init; }

    /// <summary>All operations up to this seq are on this replica's stable media.</summary>
    public required long DurableSeq { get; init; }

    /// <summary>The commit point as far as this replica durably or volatilely knows: all at or below it is known to be in every in-sync replica, durably.</summary>
    public required long CommitSeq { get; init; }

    /// <summary>The log can be read, and the replica truncated, from here on: operations with seq > LogStart.Seq are individually in the log.
    /// LogStart is the position of the installed checkpoint, at or below CommitSeq.</summary>
    public required LogPosition LogStart { get; init; }

    /// <summary>Which epoch issued which seq, for all seq > LogStart.Seq, ascending.</summary>
    public required IReadOnlyList<EpochRun> Runs { get; init; }

    public required ReplicaConsistency Consistency { get; init; }

    /// <summary>While Rebuilding: what the last BeginRebuild was told (see IReplicaStore); else 0.</summary>
    public required long RebuildBaseSeq { get; init; }

    /// <summary>False when the store was opened after anything but a clean close, and the host has rebooted since (boot id differs): operations
    /// acknowledged but not flushed may be missing. It stays true, also across further openings, until a coordinator has sent all that may be missing
    /// (<see cref="StoreBatch.EndsDoubt"/>) or the end of a rebuild.</summary>
    public required bool MayHaveLostTail { get; init; }

    /// <summary>Its map or its log was found damaged: it serves what can still be read, and is to be discarded and rebuilt as soon as others have everything. False again only for a new store.</summary>
    public bool IsDamaged { get; init; }

    /// <summary>Bytes occupied on the pool.</summary>
    public required long UsedBytes { get; init; }

    /// <summary>Bytes of writes that can still be accepted now, after the store's reserve.</summary>
    public required long WritableBytes { get; init; }
}
