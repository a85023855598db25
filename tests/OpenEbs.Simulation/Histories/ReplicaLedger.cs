using OpenEbs.Storage.Store;

namespace OpenEbs.Simulation.Histories;

/// <summary>What the simulation knows that one replica holds, from watching its store.</summary>
public sealed class ReplicaLedger(string id)
{
    public string Id => id;

    /// <summary>Where its log ends, as far as calls have returned.</summary>
    public LogPosition Last { get; set; } = LogPosition.Zero;

    /// <summary>Where it ends if a call that was cut short took effect.</summary>
    public LogPosition? Intended { get; set; }

    /// <summary>The newest operation that it ever held in this lineage; a power loss does not lower it, since nobody can know of one at once.</summary>
    public LogPosition Highest { get; set; } = LogPosition.Zero;

    /// <summary>It acknowledged a flush of everything up to here: from now on it may not lose it.</summary>
    public LogPosition Floor { get; set; } = LogPosition.Zero;

    public ReplicaConsistency Consistency { get; set; } = ReplicaConsistency.Prefix;

    /// <summary>A rebuild step was cut short: the store may be on either side of it.</summary>
    public bool RebuildInDoubt { get; set; }

    /// <summary>Moment of the last power loss of its host.</summary>
    public long PowerLostAt { get; set; } = -1;

    /// <summary>Power was lost since the store was opened last.</summary>
    public bool PowerLost { get; set; }

    /// <summary>A block of it rotted: if that was in the part of the log that is replayed when the store is opened, the log ends there.</summary>
    public bool MayEndEarly { get; set; }

    /// <summary>Its map or superblock was harmed on media: it may be unreadable until it is discarded and rebuilt.</summary>
    public bool IsDamaged { get; set; }

    /// <summary>It has nothing, and is to be rebuilt.</summary>
    public void BeginAnew()
    {
        Last = Highest = Floor = LogPosition.Zero;
        Intended = null;
        Consistency = ReplicaConsistency.Rebuilding;
        RebuildInDoubt = PowerLost = MayEndEarly = IsDamaged = false;
        BadBlocksSeen.Clear();
    }

    /// <summary>How often its media rotted.</summary>
    public int RotCount { get; set; }

    /// <summary>Blocks that rotted on its media and were found bad by a read of the volume.</summary>
    public HashSet<long> BadBlocksSeen { get; } = [];
}
