namespace OpenEbs.Replication.Volumes;

/// <summary>What a volume went through. Names are stored in the record, values in the copies that replicas keep of it: change neither.</summary>
public enum VolumeEventKind
{
    /// <summary>Of a kind that only a later release knows, which wrote it.</summary>
    Unknown = -1,

    /// <summary>A coordinator took it over.</summary>
    Opened = 0,

    /// <summary>A replica left the in-sync set.</summary>
    ReplicaLeft = 1,

    /// <summary>A replica's blocks are being copied.</summary>
    ReplicaRebuilding = 2,

    /// <summary>A replica has everything again.</summary>
    ReplicaJoined = 3,

    /// <summary>The volume has one more replica.</summary>
    ReplicaAdded = 4,

    /// <summary>The volume has one replica less.</summary>
    ReplicaRemoved = 5,

    /// <summary>Another number of replicas is wanted.</summary>
    ReplicasWanted = 6,

    /// <summary>It has another size.</summary>
    Resized = 7,

    /// <summary>Writes that were acknowledged and not flushed may be lost.</summary>
    DataLost = 8,

    /// <summary>A scrub found bad blocks on a replica.</summary>
    BadBlocks = 9,

    /// <summary>A scrub found that replicas that must be equal are not.</summary>
    ReplicasDiffer = 10,

    /// <summary>A scrub that was asked for has ended.</summary>
    Scrubbed = 11,

    /// <summary>It was made of replicas found on disk, which the metadata store did not know.</summary>
    Imported = 12,

    /// <summary>An attempt to rebuild a replica failed; it is made again.</summary>
    RebuildFailed = 13,

    /// <summary>A rebuild goes on that another coordinator had begun.</summary>
    RebuildResumed = 14,

    /// <summary>Another limit holds for rebuilds.</summary>
    RebuildLimited = 15,

    /// <summary>A replica's damaged store was deleted, to be rebuilt from others.</summary>
    ReplicaDiscarded = 20,

    /// <summary>Writes cannot be acknowledged for the time being: they wait.</summary>
    Frozen = 30,

    /// <summary>Writes are acknowledged again.</summary>
    Thawed = 31,

    /// <summary>A write waited for longer than the volume's ioTimeout: until the volume thaws, writes fail as its policy says.</summary>
    WritesRefused = 32,

    /// <summary>Another ioTimeout holds, or another policy.</summary>
    TimeoutChanged = 33,

    /// <summary>A scrub found something of a replica's store, other than blocks, damaged and put it right.</summary>
    StoreRepaired = 40,

    /// <summary>A scrub found something of a replica's store damaged that only a rebuild mends.</summary>
    StoreDamaged = 41,
}

/// <summary>One transition of a volume, for people who want to know afterwards. It is written with the change of the record that it tells of: neither is there without the other.</summary>
/// <param name="At">When, by the clock of the coordinator's node.</param>
/// <param name="Kind">What happened.</param>
/// <param name="Subject">A replica's id; empty for the volume itself.</param>
/// <param name="Before">What was; may be empty.</param>
/// <param name="After">What is since then; may be empty.</param>
/// <param name="Cause">Why.</param>
public sealed record VolumeEvent(DateTimeOffset At, VolumeEventKind Kind, string Subject, string Before, string After, string Cause);
