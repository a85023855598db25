using System.Buffers;
using Microsoft.Extensions.Logging;
using OpenEbs.Replication.Rebuilds;

namespace OpenEbs.Replication.Volumes;

/// <summary>What the parts of one coordinator share.</summary>
[System.Diagnostics.CodeAnalysis.SuppressMessage("Reliability", "CA1001", Justification = "The source has no timer and its token outlives the coordinator in delays; cancelling it is all the release it needs.")]
internal sealed class VolumeContext(RecordKeeper keeper, CoordinatorOptions options, TimeProvider time, MemoryPool<byte> pool, ILogger logger, CoordinatorFaults faults)
{
    private readonly CancellationTokenSource _stop = new();

    public RecordKeeper Keeper { get; } = keeper;

    public CoordinatorOptions Options { get; } = options;

    public TimeProvider Time { get; } = time;

    public MemoryPool<byte> Pool { get; } = pool;

    public ILogger Logger { get; } = logger;

    public CoordinatorFaults Faults { get; } = faults;

    /// <summary>Fires when this coordinator ends.</summary>
    public CancellationToken Stopped => _stop.Token;

    /// <summary>Replaced, never changed, when a replica comes or goes: whoever is going through it is not disturbed.</summary>
    public ReplicaLink[] Links { get; private set; } = [];

    public SlowReplicas Slow => field ??= new SlowReplicas(this);

    public RangeLocks Ranges { get; } = new();

    public RetainedLog Log { get; set; } = new(0);

    public LogHistory? History { get; set; }

    public RebuildPace Pace => field ??= new RebuildPace(this);

    /// <summary>Every in-sync replica has all operations up to here.</summary>
    public long AckedSeq { get; set; }

    /// <summary>Every in-sync replica has all operations up to here on stable media.</summary>
    public long CommitSeq { get; set; }

    public long Epoch => Keeper.Record?.Epoch ?? 0;

    public bool IsStopped => _stop.IsCancellationRequested;

    public long Now => Time.GetTimestamp();

    public DateTimeOffset UtcNow => Time.GetUtcNow();

    public void Stop() => _stop.Cancel();

    public void Add(ReplicaLink link) => Links = [.. Links, link];

    public void Remove(ReplicaLink link) => Links = [.. Links.Where(l => l != link)];

    /// <summary>A bit that no present replica has in masks of replicas.</summary>
    public long FreeBit() => Enumerable.Range(0, 64).Select(i => 1L << i).First(bit => Links.All(l => l.Bit != bit));

    public long Ticks(TimeSpan duration) => (long)(duration.TotalSeconds * Time.TimestampFrequency);

    public Task Delay(TimeSpan duration) => Task.Delay(duration, Time, Stopped);

    /// <summary>Whether it is a run of whole logical blocks of the volume.</summary>
    public bool IsInside(long offsetBytes, long lengthBytes)
    {
        var record = Keeper.Record!;
        return offsetBytes >= 0 && lengthBytes >= 0 && offsetBytes <= record.SizeBytes - lengthBytes && (offsetBytes | lengthBytes) % record.BlockLength == 0;
    }

    /// <summary>Whether reads go to another replica, in this process, as long as that is not slow.</summary>
    public bool IsReadElsewhere(ReplicaLink link) => Source(null) is { Channel.IsLocal: true } first && first != link;

    /// <summary>In sync, reachable, and not behind: one that lost unflushed operations with its host's power is live and in sync again while it is still being sent them, and would answer
    /// with what the volume was before.</summary>
    public bool IsCurrent(ReplicaLink link) => link.State == LinkState.Live && link.Standing == ReplicaStanding.InSync && link.AckedSeq >= AckedSeq;

    /// <summary>Whether enough others have everything acknowledged and can be reached.</summary>
    public bool CanDoWithout(ReplicaLink link)
    {
        var others = 0;
        foreach (var other in Links)
        {
            if (other != link && IsCurrent(other)) others++;
        }

        return others >= Math.Max(1, Keeper.Record!.MinInSync);
    }

    /// <summary>A replica that has everything acknowledged and can be reached, other than <paramref name="except"/>.</summary>
    public ReplicaLink? Source(ReplicaLink? except)
    {
        ReplicaLink? best = null;
        foreach (var link in Links)
        {
            if (link == except || !IsCurrent(link)) continue;
            if (best is null || (link.Channel.IsLocal && !best.Channel.IsLocal)) best = link;
        }

        return best;
    }
}
