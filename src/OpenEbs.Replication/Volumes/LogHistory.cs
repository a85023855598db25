using OpenEbs.Storage.Store;

namespace OpenEbs.Replication.Volumes;

/// <summary>Which epoch issued which seq in the one true log of the volume, as far back as the source's log reached when the volume was opened. Two logs that hold the same (epoch, seq)
/// hold the same operations up to it, since a coordinator levels every replica before it adds to it.</summary>
internal sealed class LogHistory
{
    private readonly LogPosition _start;
    private readonly List<EpochRun> _runs;

    public LogHistory(StoreStatus source)
    {
        _start = source.LogStart;
        _runs = [.. source.Runs];
        LastSeq = source.Last.Seq;
    }

    /// <summary>The newest operation.</summary>
    public long LastSeq { get; set; }

    /// <summary>From <paramref name="firstSeq"/> on operations are of <paramref name="epoch"/>.</summary>
    public void Begin(long epoch, long firstSeq) => _runs.Add(new EpochRun(epoch, firstSeq));

    /// <summary>The newest operation up to which the replica's log is a prefix of this one; null when that cannot be known and its blocks must be compared or copied.</summary>
    public long? Match(StoreStatus replica)
    {
        if (replica.Consistency != ReplicaConsistency.Prefix) return null;
        var seq = Math.Min(replica.Last.Seq, LastSeq);
        while (seq > replica.CommitSeq)
        {
            // Nobody can tell which of what the replica has above its commit point is common. A source's log begins at or below the commit point of its time, so a replica that was in
            // sync and ends before it has lost flushed operations: discarding more of them, while the record still counts on it, would be the second loss.
            if (seq < replica.LogStart.Seq || seq < _start.Seq) return null;
            var (theirs, theirFirst) = At(replica.LogStart, replica.Runs, seq);
            var (ours, ourFirst) = At(_start, _runs, seq);
            if (theirs == ours) return seq;
            seq = Math.Max(theirFirst, ourFirst) - 1;
        }

        // Everything at or below the replica's commit point is in every in-sync replica, so also here.
        return replica.CommitSeq >= replica.LogStart.Seq && replica.CommitSeq <= LastSeq ? Math.Min(replica.CommitSeq, replica.Last.Seq) : null;
    }

    private static (long Epoch, long FirstSeq) At(LogPosition start, IReadOnlyList<EpochRun> runs, long seq)
    {
        for (var i = runs.Count - 1; i >= 0; i--)
        {
            if (runs[i].FirstSeq <= seq) return (runs[i].Epoch, runs[i].FirstSeq);
        }

        return (start.Epoch, start.Seq);
    }
}
