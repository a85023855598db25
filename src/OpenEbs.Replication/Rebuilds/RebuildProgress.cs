using OpenEbs.Replication.Volumes;
using OpenEbs.Storage.Store;

namespace OpenEbs.Replication.Rebuilds;

/// <summary>What a rebuild is doing.</summary>
public enum RebuildPhase
{
    /// <summary>It has not begun: as many others run on this node as may.</summary>
    Waiting,

    /// <summary>Finding, comparing and copying what differs.</summary>
    Copying,

    /// <summary>Nothing is left to copy: the replica catches up with the newest writes and enters the in-sync set.</summary>
    Joining,

    /// <summary>It failed, and is tried again.</summary>
    Failed,
}

/// <summary>How far a rebuild has come, for people. Bytes are of the volume's data.</summary>
/// <param name="Phase">What it is doing.</param>
/// <param name="Reason">Why the replica is rebuilt.</param>
/// <param name="Source">The replicas that data was read from, or would be.</param>
/// <param name="Attempt">1 for the first of this coordinator.</param>
/// <param name="StartedAt">When this attempt began.</param>
/// <param name="TotalBytes">What had changed on the source when it began; an estimate on large volumes.</param>
/// <param name="MovedBytes">Read from a source and sent.</param>
/// <param name="EqualBytes">Changed, but equal on the replica already: not moved.</param>
/// <param name="ComparedBytes">Compared by digest.</param>
/// <param name="Fraction">Of the work, 0 to 1.</param>
/// <param name="BytesPerSecond">Dealt with of late.</param>
/// <param name="Remaining">At that speed; null while there is none.</param>
public sealed record RebuildSnapshot(
    RebuildPhase Phase, string Reason, string Source, int Attempt, DateTimeOffset StartedAt, long TotalBytes, long MovedBytes, long EqualBytes, long ComparedBytes, double Fraction, long BytesPerSecond,
    TimeSpan? Remaining);

/// <summary>One attempt to rebuild a replica: how far it has come and how fast.</summary>
internal sealed class RebuildProgress(VolumeContext context, string reason, int attempt)
{
    /// <summary>Speed is that of the last one to two of these.</summary>
    private static readonly TimeSpan SpeedSpan = TimeSpan.FromSeconds(3);

    private readonly HashSet<string> _sources = [];
    private readonly DateTimeOffset _startedAt = context.UtcNow;
    private readonly long _started = context.Now;
    private (long At, long Bytes) _mark = (context.Now, 0);
    private (long At, long Bytes) _markBefore = (context.Now, 0);

    public RebuildPhase Phase { get; set; } = RebuildPhase.Waiting;

    /// <summary>What changed on the source, estimated when the attempt began.</summary>
    public long TotalBytes { get; set; }

    /// <summary>Compared by digest, before it was decided whether to copy.</summary>
    public long ComparedBytes { get; set; }

    /// <summary>Read from a source and sent to the replica.</summary>
    public long MovedBytes { get; private set; }

    /// <summary>Changed, but equal on the replica already: not moved.</summary>
    public long EqualBytes { get; private set; }

    /// <summary>Holds no data on the source now.</summary>
    public long EmptiedBytes { get; private set; }

    public long DoneBytes => MovedBytes + EqualBytes + EmptiedBytes;

    /// <summary>The whole attempt in a line.</summary>
    public string Summary => FormattableString.Invariant(
        $"{MovedBytes} bytes moved, {EqualBytes} equal, {ComparedBytes} compared of {Math.Max(TotalBytes, DoneBytes)} in {context.Time.GetElapsedTime(_started, context.Now).TotalSeconds:0.0} s from {(_sources.Count > 0 ? string.Join(", ", _sources) : "nowhere yet")}");

    public void ReadFrom(ReplicaLink source) => _sources.Add(source.Entry.Id);

    /// <summary>The replica has done all this.</summary>
    public void Count(List<StoreOperation> operations)
    {
        foreach (var operation in operations)
        {
            var bytes = operation.BlockCount * VolumeBlocks.BlockBytes;
            if (operation.Kind == OperationKind.Write) MovedBytes += bytes;
            else if (operation.Kind == OperationKind.Mark) EqualBytes += bytes;
            else EmptiedBytes += bytes;
        }

        var now = context.Now;
        if (now - _mark.At > context.Ticks(SpeedSpan)) (_markBefore, _mark) = (_mark, (now, DoneBytes));
    }

    public RebuildSnapshot Snapshot()
    {
        var seconds = context.Time.GetElapsedTime(_markBefore.At, context.Now).TotalSeconds;
        var speed = Phase == RebuildPhase.Copying && seconds > 0 ? (long)((DoneBytes - _markBefore.Bytes) / seconds) : 0;
        var total = Math.Max(TotalBytes, DoneBytes);
        return new RebuildSnapshot(
            Phase, reason, string.Join(", ", _sources), attempt, _startedAt, total, MovedBytes, EqualBytes, ComparedBytes,
            Phase == RebuildPhase.Joining ? 1 : total == 0 ? 0 : (double)DoneBytes / total, speed, speed > 0 ? TimeSpan.FromSeconds((total - DoneBytes) / (double)speed) : null);
    }
}
