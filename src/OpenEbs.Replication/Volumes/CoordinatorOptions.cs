using OpenEbs.Replication.Rebuilds;

namespace OpenEbs.Replication.Volumes;

/// <summary>Times and limits of a volume coordinator.</summary>
public sealed record CoordinatorOptions
{
    /// <summary>How long a replica's answer entitles the coordinator to serve reads. A new coordinator waits so long before it drops a replica that it could not fence.</summary>
    public TimeSpan LeaseDuration { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>Part by which clocks of two nodes may run apart; added to the wait of a new coordinator.</summary>
    public double ClockDrift { get; init; } = 0.05;

    /// <summary>How long calls to a replica may fail outright (its process is gone, say) before it is dropped from the in-sync set. Coming back costs little: its log is matched and continued.</summary>
    public TimeSpan FailureGrace { get; init; } = TimeSpan.FromMilliseconds(250);

    /// <summary>How long a call to a replica may hang before it is dropped from the in-sync set.</summary>
    public TimeSpan ReplicaTimeout { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>The same for a flush, which a busy disk may take long over.</summary>
    public TimeSpan FlushTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Time between attempts to call a replica that failed to answer.</summary>
    public TimeSpan RetryDelay { get; init; } = TimeSpan.FromMilliseconds(20);

    /// <summary>Time between attempts to bring a dropped replica back: grows from <see cref="AwayDelay"/> to this.</summary>
    public TimeSpan RejoinDelay { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>How often it is looked whether a replica, of which it is known without asking that it is away, can be called again.</summary>
    public TimeSpan AwayDelay { get; init; } = TimeSpan.FromMilliseconds(50);

    /// <summary>A background flush makes writes durable so long after they were acknowledged, at the latest.</summary>
    public TimeSpan FlushInterval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Bytes acknowledged but not durable that start a background flush; at twice as many, writes wait.</summary>
    public long FlushWindowBytes { get; init; } = 32L << 20;

    /// <summary>Most data in one call to a replica.</summary>
    public int MaxBatchBytes { get; init; } = 1 << 20;

    /// <summary>Most operations in one call to a replica.</summary>
    public int MaxBatchOperations { get; init; } = 128;

    /// <summary>A read unanswered for so long is asked of a second replica too.</summary>
    public TimeSpan HedgeDelay { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>How often overdue calls and I/O are looked for while there is any.</summary>
    public TimeSpan WatchInterval { get; init; } = TimeSpan.FromMilliseconds(50);

    /// <summary>A volume whose writes wait for so long is called frozen, and that becomes an event.</summary>
    public TimeSpan FreezeNotice { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>How often every replica is called though there may be no I/O; a fifth as often once nothing was written for ten times as long.</summary>
    public TimeSpan HeartbeatInterval { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Where the coordinator runs, for people.</summary>
    public string Place { get; init; } = "";

    /// <summary>Names the process of the coordinator as no other is ever named; empty when nobody is to ask after it.</summary>
    public string Process { get; init; } = "";

    /// <summary>Whether the process of that name has ended, and nothing of it runs any more. That it does not answer, or was declared dead, is not enough: reads that it still served under its
    /// leases would be stale.</summary>
    public Func<string, bool> HasEnded { get; init; } = static _ => false;

    /// <summary>How long a coordinator that is asked to end waits for its I/O under way to end; and before that, serving on, for what was written to be on stable media.</summary>
    public TimeSpan ClosePatience { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How long it then waits, holding I/O, for the last flush, and for the replicas to take note that it has ended.</summary>
    public TimeSpan HandOverPatience { get; init; } = TimeSpan.FromMilliseconds(150);

    /// <summary>Within which every block of every replica is read and checked; zero for never.</summary>
    public TimeSpan ScrubPeriod { get; init; } = TimeSpan.FromDays(7);

    /// <summary>Most that a scrub that was asked for reads of each replica in a second; 0 for no limit. One that was not goes on at an even rate within <see cref="ScrubPeriod"/>.</summary>
    public long ScrubLimitBytesPerSecond { get; init; }

    /// <summary>For how long a replica must be slow before it is no longer waited for; zero for never. See <see cref="SlowReplicas"/>.</summary>
    public TimeSpan SlowPeriod { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How many times as long as the others a slow replica takes.</summary>
    public int SlowFactor { get; init; } = 5;

    /// <summary>Appends that take less are not slow, whatever the others do: nodes may be far apart.</summary>
    public TimeSpan SlowAppend { get; init; } = TimeSpan.FromMilliseconds(20);

    /// <summary>The same for flushes: disks differ.</summary>
    public TimeSpan SlowFlush { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>How long a replica that was slow is not waited for, at least; doubled up to 32 times that when it is slow again soon.</summary>
    public TimeSpan SlowHold { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a write that finds a pool full waits for dead space to be given back before it is refused; those that find the same lack of space right after it are refused at once.</summary>
    public TimeSpan ReclaimPatience { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>An in-sync replica that has no space at all, not even its pool's reserve, for writes that others have already, is dropped after so long: one replica less is better than a
    /// volume that stands still.</summary>
    public TimeSpan FullGrace { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>A rebuild leaves so many writable bytes of its replica's pool to the writes of volumes.</summary>
    public long RebuildHeadroomBytes { get; init; } = 64L << 20;

    /// <summary>Data copied in one step of a rebuild.</summary>
    public int CopyBytes { get; init; } = 256 << 10;

    /// <summary>Data that a rebuild has under way at once, from before it is read until the replica has it.</summary>
    public long CopyWindowBytes { get; init; } = 8 << 20;

    /// <summary>Most that is copied to the replicas of a volume in a second, for volumes that have no limit of their own; 0 for no limit. How much less it is while the volume is in use,
    /// <see cref="RebuildPressure"/> says.</summary>
    public long RebuildLimitBytesPerSecond { get; init; }

    /// <summary>A rebuild that fails again and again waits for the next attempt for so long in the end; the first time it waits for <see cref="RejoinDelay"/>.</summary>
    public TimeSpan RebuildRetryDelay { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Shared by the coordinators of a process: bounds how many rebuilds run at the same time.</summary>
    public RebuildSlots RebuildSlots { get; init; } = RebuildSlots.Unbounded;
}
