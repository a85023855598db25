using OpenEbs.Replication.Scrubs;

namespace OpenEbs.Replication.Volumes;

/// <summary>A replica's standing in its volume's record. Names are stored in the record, values in the copies that replicas keep of it: change neither.</summary>
public enum ReplicaStanding
{
    InSync = 0,
    Rebuilding = 1,
    Faulted = 2,
}

/// <summary>A replica in its volume's record.</summary>
/// <param name="Id">Names the replica in the whole cluster, for ever: volume uid and a number.</param>
/// <param name="Pool">The pool that holds it.</param>
/// <param name="Standing">Whether it has every acknowledged write.</param>
/// <param name="Created">False until the replica's directory exists for certain; an absent replica that was created is a lost one, never an empty one.</param>
/// <param name="Reason">For people, why it is not in sync.</param>
/// <param name="OutSince">Since when it has not been in sync; null when it is.</param>
public sealed record ReplicaEntry(string Id, string Pool, ReplicaStanding Standing, bool Created, string Reason = "", DateTimeOffset? OutSince = null);

/// <summary>What the metadata store holds of a volume (design section 4). Written by compare-and-swap on every change of membership, never per I/O. Immutable: a change is a new record.</summary>
public sealed record VolumeRecord
{
    /// <summary>How many events are kept.</summary>
    public const int MaxEvents = 100;

    public required Guid Uid { get; init; }
    public required string Name { get; init; }
    public required long SizeBytes { get; init; }

    /// <summary>Logical block length, 512 or 4,096 bytes.</summary>
    public required int BlockLength { get; init; }
    public required bool WriteCache { get; init; }
    public required int MinInSync { get; init; }

    /// <summary>The user chose <see cref="MinInSync"/>; else it follows the number of replicas.</summary>
    public bool IsMinInSyncChosen { get; init; }
    public required TimeSpan IoTimeout { get; init; }

    /// <summary>What becomes of I/O that waited so long.</summary>
    public TimeoutPolicy OnTimeout { get; init; }

    /// <summary>Where its replicas may be; null for anywhere, apart if possible.</summary>
    public PlacementRules? Placement { get; init; }

    /// <summary>The fence: raised by every opening.</summary>
    public long Epoch { get; init; }
    public required IReadOnlyList<ReplicaEntry> Replicas { get; init; }

    /// <summary>How many replicas the user wants; null while that is as many as there are.</summary>
    public int? WantedReplicas { get; init; }

    /// <summary>Number of the next replica that is added; 0 while there are only the first ones. A number is never used twice, so that files of a replica that was removed are never taken for
    /// those of another.</summary>
    public int NextReplicaNumber { get; init; }

    /// <summary>Replicas that were removed from the volume and whose files the cluster has yet to take care of.</summary>
    public IReadOnlyList<ReplicaEntry> Leaving { get; init; } = [];

    /// <summary>How often acknowledged, unflushed writes may have been lost.</summary>
    public long DataLossCount { get; init; }
    public bool Deleting { get; init; }

    /// <summary>Most that is copied to its replicas in a second; 0 for no limit, null for the cluster's default.</summary>
    public long? RebuildLimitBytesPerSecond { get; init; }

    /// <summary>When the last scrub of the whole volume ended; null when there was none yet.</summary>
    public DateTimeOffset? LastScrubAt { get; init; }

    /// <summary>The block up to which the present scrub has come, saved now and then.</summary>
    public long ScrubCursor { get; init; }

    /// <summary>What its gateways share; null as long as that is nothing.</summary>
    public UnitRecord? Unit { get; init; }

    /// <summary>What the present scrub has come to, saved with <see cref="ScrubCursor"/>; null when none has begun.</summary>
    public ScrubTally? PresentScrub { get; init; }

    /// <summary>What the last scrub of the whole volume came to; null when there was none yet.</summary>
    public ScrubTally? LastScrub { get; init; }

    /// <summary>What the volume went through, the newest last.</summary>
    public IReadOnlyList<VolumeEvent> Events { get; init; } = [];

    public int InSyncCount => Replicas.Count(r => r.Standing == ReplicaStanding.InSync);

    public int EffectiveReplicas => WantedReplicas ?? Replicas.Count;

    /// <summary>What <see cref="NextReplicaNumber"/> stands for: the first replicas are numbered from 0, and neither adding nor removing one may make that uncertain.</summary>
    public int FreeReplicaNumber => NextReplicaNumber > 0 ? NextReplicaNumber : Replicas.Count;

    public ReplicaEntry? Find(string replicaId) => Replicas.FirstOrDefault(r => r.Id == replicaId);

    /// <summary>The record with one replica's standing changed; the same record when nothing changes, or the volume has no such replica any more.</summary>
    public VolumeRecord With(string replicaId, ReplicaStanding standing, string reason, string cause, DateTimeOffset now)
    {
        if (Find(replicaId) is not { } old) return this;
        var changed = old with { Standing = standing, Reason = reason, Created = true, OutSince = standing == ReplicaStanding.InSync ? null : old.OutSince ?? now };
        if (old == changed) return this;
        var record = this with { Replicas = [.. Replicas.Select(r => r.Id == replicaId ? changed : r)] };
        return old.Standing == standing ? record : record.Tell(new VolumeEvent(now, KindOf(standing), replicaId, old.Standing.ToString(), standing.ToString(), cause));
    }

    /// <summary>The record with one event more. Of openings in a row the last is kept, and of failures of one replica's rebuild: a volume that cannot be opened, or a replica that cannot be
    /// rebuilt, would leave no other events soon.</summary>
    public VolumeRecord Tell(VolumeEvent happened)
    {
        var repeats = happened.Kind is VolumeEventKind.Opened or VolumeEventKind.RebuildFailed && Events is [.., var last] && (last.Kind, last.Subject) == (happened.Kind, happened.Subject);
        var kept = repeats ? Events.SkipLast(1) : Events;
        return this with { Events = [.. kept.TakeLast(MaxEvents - 1), happened] };
    }

    private static VolumeEventKind KindOf(ReplicaStanding standing) => standing switch
    {
        ReplicaStanding.InSync => VolumeEventKind.ReplicaJoined,
        ReplicaStanding.Rebuilding => VolumeEventKind.ReplicaRebuilding,
        ReplicaStanding.Faulted => VolumeEventKind.ReplicaLeft,
        _ => throw new ArgumentOutOfRangeException(nameof(standing), standing, "Unknown standing of a replica."),
    };
}

/// <summary>The metadata store as one volume sees it.</summary>
public interface IVolumeRecordStore
{
    /// <summary>The record and its ETag; null when there is none.</summary>
    ValueTask<(VolumeRecord Record, string ETag)?> LoadAsync();

    /// <summary>Replaces the record if its ETag is still <paramref name="etag"/>; returns the new ETag.</summary>
    /// <exception cref="VolumeRecordConflictException">Another activation wrote it: the caller is stale. (Only when the store said so; any other exception leaves the outcome unknown.)</exception>
    ValueTask<string> CompareAndSwapAsync(VolumeRecord record, string etag);
}

/// <summary>Somebody else wrote the volume's record.</summary>
public sealed class VolumeRecordConflictException(string message) : Exception(message);
