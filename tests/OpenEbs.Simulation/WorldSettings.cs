using OpenEbs.Replication.Volumes;
using OpenEbs.Simulation.Network;
using OpenEbs.Simulation.Records;
using OpenEbs.Simulation.Scheduling;

namespace OpenEbs.Simulation;

/// <summary>The kinds of faults that a run may inject.</summary>
public enum FaultKind
{
    KillReplica,
    KillCoordinator,
    KillHostProcesses,
    PowerLoss,
    PowerLossOfAll,
    PauseReplica,
    PauseCoordinator,
    PauseHost,
    Partition,
    OneWayPartition,
    IsolateHost,
    SecondCoordinator,

    /// <summary>The coordinator's host is cut off from the other hosts, not from the gateways, and another coordinator starts on the other side.</summary>
    SplitBrain,
    PlannedMove,
    DirectoryChange,
    RecordStoreOutage,
    RecordConflict,
    BitRot,
    SlowDisk,
    BadNetwork,
    ReplicaRestart,

    /// <summary>Writes reach one replica long after others, while calls without data reach it at once: whoever takes over meanwhile finds logs of unequal length.</summary>
    CongestedReplica,

    /// <summary>The volume gets another replica.</summary>
    AddReplica,

    /// <summary>A replica is taken from the volume for good, and its files are deleted.</summary>
    RemoveReplica,

    /// <summary>Others take the space of a pool, all or nearly, and give it back after a while.</summary>
    FullPool,

    /// <summary>A bit of a replica's map or superblock flips.</summary>
    MediaDamage,

    /// <summary>A node's process is stopped in order, and hands over what it has.</summary>
    OrderlyStop,

    /// <summary>The date of a host is set, forwards or backwards.</summary>
    ClockJump,

    /// <summary>A bit flips on media, in any file of a replica, mostly under what is cached: only a scrub, or an opening after a power loss, can tell.</summary>
    HiddenRot,
}

/// <summary>One world: its size, its clocks, its work and how much goes wrong, all drawn from the seed. Every run leaves some faults out, so that others get to places
/// that they would never reach if everything happened at once (swarm testing).</summary>
public sealed class WorldSettings
{
    /// <summary>Not of every world, and drawn after all others; the last of them last.</summary>
    private static readonly FaultKind[] LateKinds = [FaultKind.AddReplica, FaultKind.RemoveReplica, FaultKind.FullPool, FaultKind.MediaDamage, FaultKind.OrderlyStop, FaultKind.ClockJump, FaultKind.HiddenRot];

    public WorldSettings(SeededRandom random)
    {
        ReplicaCount = random.Pick<int>([1, 2, 3, 3, 3, 3, 3, 3, 5]);
        HostCount = Math.Max(ReplicaCount, 3) + random.Next(2);
        MinInSync = ReplicaCount <= 2 ? 1 : (ReplicaCount / 2) + 1;
        if (ReplicaCount == 3 && random.Chance(0.15)) MinInSync = 1;
        WriteCache = random.Chance(0.8);
        SectorsPerLogicalBlock = random.Chance(0.85) ? 1 : 8;
        SectorCount = random.Pick<int>([2048, 4096, 4096, 8192]);
        HotSectors = random.Pick<int>([16, 64, 64, 256, 2048]);
        HotBegin = random.NextLong(SectorCount - HotSectors + 1) / 8 * 8;
        UsesRealStores = random.Chance(0.5);
        DrawWork(random);
        DrawFaults(random);
        DrawOptions(random);
        DrawMembership(random);
        DrawSpace(random);
        DrawDamage(random);
        DrawStops(random);
        if (!OnlySpaceRunsOut && random.Chance(0.2)) FaultWeights = FaultWeights.Append(KeyValuePair.Create(FaultKind.ClockJump, 0.1 + random.NextDouble())).ToDictionary();
        DrawHiddenRot(random);
    }

    public int ReplicaCount { get; private set; }

    public int HostCount { get; }

    public int MinInSync { get; private set; }

    public bool WriteCache { get; }

    public int SectorsPerLogicalBlock { get; }

    public long SectorCount { get; private set; }

    public long HotBegin { get; private set; }

    public long HotSectors { get; private set; }

    /// <summary>The real replica store on a simulated disk; else one in memory.</summary>
    public bool UsesRealStores { get; private set; }

    /// <summary>Pools fill up and nothing else goes wrong: every replica must stay in sync (promise P8).</summary>
    public bool OnlySpaceRunsOut { get; private set; }

    public bool PoolsFill => FaultWeights.ContainsKey(FaultKind.FullPool);

    /// <summary>Faults may last longer than the volume's ioTimeout, so commands may end as TimedOut.</summary>
    public bool AllowsTimeouts { get; private set; }

    public TimeSpan IoTimeout { get; private set; } = TimeSpan.FromMinutes(10);

    /// <summary>Goes by what is drawn anyway, so that the seeds of old keep their meaning.</summary>
    public TimeoutPolicy OnTimeout => InitiatorCount != 2 ? TimeoutPolicy.Error : AllowsTimeouts ? TimeoutPolicy.ReadOnly : TimeoutPolicy.Wait;

    public int InitiatorCount { get; private set; }

    public int MaxQueueDepth { get; private set; }

    /// <summary>The first initiator only reads, for as long as the others work.</summary>
    public bool HasReader { get; private set; }

    /// <summary>One gateway that retries for all initiators; else one each, that do not.</summary>
    public bool GatewayRetries { get; private set; }

    public double ReadRate { get; private set; }

    public double FlushRate { get; private set; }

    public double ZeroRate { get; private set; }

    public double CompareRate { get; private set; }

    public double ForceUnitAccessRate { get; private set; }

    public double ThinkRate { get; private set; }

    public TimeSpan ThinkTime { get; private set; }

    /// <summary>Continuations that are ready together run in any order.</summary>
    public bool Shuffles { get; private set; }

    /// <summary>How likely each kind is to be the next fault, relative to the others.</summary>
    public IReadOnlyDictionary<FaultKind, double> FaultWeights { get; private set; } = new Dictionary<FaultKind, double>();

    /// <summary>Mean time between faults.</summary>
    public TimeSpan FaultInterval { get; private set; }

    /// <summary>Mean length of a fault.</summary>
    public TimeSpan FaultLength { get; private set; }

    public NetworkConditions Network { get; private set; } = NetworkConditions.Calm;

    public NetworkConditions BadNetwork { get; private set; } = NetworkConditions.Calm;

    public RecordStoreConditions Records { get; private set; } = RecordStoreConditions.Calm;

    public CoordinatorOptions Coordinator { get; private set; } = new();

    /// <summary>Whoever sends over a cut link learns of it at once.</summary>
    public bool CutsAreNoticed { get; private set; }

    /// <summary>It is known of processes, without asking them, that they have ended.</summary>
    public bool KnowsEndedProcesses { get; private set; }

    /// <summary>Clocks run so much faster or slower.</summary>
    public double Drift { get; private set; }

    /// <summary>Only these faults, and work and times under which two coordinators meet often.</summary>
    public void Favour(IReadOnlyList<FaultKind> kinds, SeededRandom random)
    {
        FaultWeights = kinds.ToDictionary(kind => kind, _ => 1.0);
        OnlySpaceRunsOut = false;
        // Sometimes rare and long: a successor has to open, and write, while its predecessor is still cut off.
        var isRare = random.Chance(0.4);
        FaultInterval = TimeSpan.FromMilliseconds(isRare ? 4000 : 400);
        FaultLength = TimeSpan.FromMilliseconds(isRare ? 3000 : 1000);
        GatewayRetries = false;
        InitiatorCount = 3;
        MaxQueueDepth = 4;
        HasReader = true;
        ReadRate = 0.5;
        ThinkRate = 1;
        ThinkTime = TimeSpan.FromMilliseconds(60);
        AllowsTimeouts = false;
        IoTimeout = TimeSpan.FromMinutes(10);
        Coordinator = Coordinator with
        {
            LeaseDuration = TimeSpan.FromMilliseconds(random.Pick<int>([1000, 2000])),
            ReplicaTimeout = TimeSpan.FromMilliseconds(300),
            HedgeDelay = TimeSpan.FromMilliseconds(1),
            WatchInterval = TimeSpan.FromMilliseconds(5),
        };
        if (kinds is [FaultKind.FullPool]) LetSpaceRunOut(random);
        if (kinds is [FaultKind.HiddenRot]) UsesRealStores = true;
        if (kinds is [FaultKind.PowerLoss, FaultKind.SecondCoordinator]) LeaveMuchUnflushed(random);
    }

    /// <summary>What a loss of power takes is much, and is sent again little by little: time for another coordinator to come in the middle.</summary>
    private void LeaveMuchUnflushed(SeededRandom random)
    {
        if (random.Chance(0.5)) (ReplicaCount, MinInSync) = (1, 1);
        (ReadRate, FlushRate, ForceUnitAccessRate, ThinkTime) = (0.1, 0, 0, TimeSpan.FromMilliseconds(40));
        (FaultInterval, FaultLength) = (TimeSpan.FromMilliseconds(500), TimeSpan.FromMilliseconds(100));
        Network = Network with { MeanDelay = TimeSpan.FromMilliseconds(3) };
        Coordinator = Coordinator with { FlushInterval = TimeSpan.FromSeconds(5), MaxBatchOperations = 1 };
    }

    private void DrawWork(SeededRandom random)
    {
        GatewayRetries = random.Chance(0.5);
        InitiatorCount = 1 + random.Next(3);
        MaxQueueDepth = random.Pick<int>([1, 2, 4, 8]);
        ReadRate = 0.2 + (0.4 * random.NextDouble());
        FlushRate = random.Chance(0.8) ? 0.08 * random.NextDouble() : 0;
        ZeroRate = random.Chance(0.5) ? 0.08 * random.NextDouble() : 0;
        CompareRate = random.Chance(0.4) ? 0.1 * random.NextDouble() : 0;
        ForceUnitAccessRate = random.Chance(0.5) ? 0.2 * random.NextDouble() : 0;
        ThinkRate = random.NextDouble();
        ThinkTime = TimeSpan.FromMilliseconds(random.Pick<int>([1, 20, 200, 600]));
        Shuffles = random.Chance(0.3);
        AllowsTimeouts = random.Chance(0.1);
        if (AllowsTimeouts) IoTimeout = TimeSpan.FromSeconds(random.Pick<int>([1, 3, 10]));
    }

    private void DrawFaults(SeededRandom random)
    {
        var weights = new Dictionary<FaultKind, double>();
        foreach (var kind in Enum.GetValues<FaultKind>().Except(LateKinds))
        {
            if (random.Chance(0.5)) weights.Add(kind, 0.1 + random.NextDouble());
        }

        FaultWeights = weights;
        FaultInterval = TimeSpan.FromMilliseconds(random.Pick<int>([50, 200, 700, 700, 2000]));
        FaultLength = TimeSpan.FromMilliseconds(random.Pick<int>([20, 300, 1500, 1500, 4000]));
        Network = DrawNetwork(random, random.Chance(0.5) ? 0.01 : 0);
        BadNetwork = DrawNetwork(random, 0.2);
        Records = new RecordStoreConditions
        {
            MeanDelay = TimeSpan.FromMilliseconds(random.Pick<int>([1, 5, 50])),
            FailureRate = random.Chance(0.3) ? 0.2 * random.NextDouble() : 0,
            LostAnswerRate = random.Chance(0.3) ? 0.3 * random.NextDouble() : 0,
            LateWriteRate = random.Chance(0.3) ? 0.2 * random.NextDouble() : 0,
        };
    }

    private static NetworkConditions DrawNetwork(SeededRandom random, double badness) => new()
    {
        MeanDelay = TimeSpan.FromMilliseconds(random.Pick<double>([0.1, 0.3, 0.3, 3])),
        StragglerRate = random.Chance(0.5) ? badness * random.NextDouble() : 0,
        StragglerDelay = TimeSpan.FromMilliseconds(random.Pick<int>([10, 300, 2000])),
        LossRate = random.Chance(0.5) ? badness * random.NextDouble() : 0,
        DuplicateRate = random.Chance(0.5) ? badness * random.NextDouble() : 0,
        CallTimeout = TimeSpan.FromSeconds(random.Pick<int>([1, 5, 30])),
    };

    /// <summary>Drawn last and not often: most seeds draw the same worlds as before there was this.</summary>
    private void DrawMembership(SeededRandom random)
    {
        Coordinator = Coordinator with { ScrubPeriod = random.Chance(0.3) ? TimeSpan.FromSeconds(random.Pick<int>([1, 10, 60])) : TimeSpan.Zero };
        if (random.Chance(0.3)) FaultWeights = FaultWeights.Concat(LateKinds.Take(2).Select(kind => KeyValuePair.Create(kind, 0.1 + random.NextDouble()))).ToDictionary();
        var isStrict = random.Chance(0.3);
        Coordinator = Coordinator with
        {
            SlowPeriod = isStrict ? TimeSpan.FromMilliseconds(random.Pick<int>([50, 500])) : Coordinator.SlowPeriod,
            SlowFactor = isStrict ? 2 : Coordinator.SlowFactor,
            SlowAppend = isStrict ? TimeSpan.FromMilliseconds(1) : Coordinator.SlowAppend,
            SlowFlush = isStrict ? TimeSpan.FromMilliseconds(1) : Coordinator.SlowFlush,
            SlowHold = isStrict ? TimeSpan.FromMilliseconds(random.Pick<int>([10, 1000])) : Coordinator.SlowHold,
        };
    }

    private void DrawDamage(SeededRandom random)
    {
        if (!UsesRealStores || OnlySpaceRunsOut || ReplicaCount < 3 || MinInSync < 2 || !random.Chance(0.4)) return;
        FaultWeights = FaultWeights.Append(KeyValuePair.Create(FaultKind.MediaDamage, 0.1 + random.NextDouble())).ToDictionary();
    }

    private void DrawStops(SeededRandom random)
    {
        KnowsEndedProcesses = random.Chance(0.5);
        if (OnlySpaceRunsOut || !random.Chance(0.4)) return;
        FaultWeights = FaultWeights.Append(KeyValuePair.Create(FaultKind.OrderlyStop, 0.3 + random.NextDouble())).ToDictionary();
    }

    private void DrawHiddenRot(SeededRandom random)
    {
        // A replica that is alone in sync cannot mend its own rot, and nothing can be rebuilt past that: where writes are refused meanwhile, users notice.
        if (OnTimeout != TimeoutPolicy.Wait) return;
        if (!UsesRealStores || OnlySpaceRunsOut || ReplicaCount < 3 || MinInSync < 2 || !random.Chance(0.4)) return;
        FaultWeights = FaultWeights.Append(KeyValuePair.Create(FaultKind.HiddenRot, 0.3 + random.NextDouble())).ToDictionary();
        if (random.Chance(0.7)) Coordinator = Coordinator with { ScrubPeriod = TimeSpan.FromSeconds(random.Pick<int>([1, 5])) };
    }

    private void DrawSpace(SeededRandom random)
    {
        if (!UsesRealStores || !random.Chance(0.25)) return;
        if (random.Chance(0.4)) LetSpaceRunOut(random);
        else FaultWeights = FaultWeights.Append(KeyValuePair.Create(FaultKind.FullPool, 0.3 + random.NextDouble())).ToDictionary();
        Coordinator = Coordinator with
        {
            RebuildHeadroomBytes = random.Pick<long>([0, 2 << 20, 8 << 20]),
            ReclaimPatience = TimeSpan.FromMilliseconds(random.Pick<int>([0, 100, 1000])),
            FullGrace = TimeSpan.FromSeconds(random.Pick<int>([2, 10])),
        };
    }

    /// <summary>A world in which only space is short, so that whatever goes wrong comes of that.</summary>
    private void LetSpaceRunOut(SeededRandom random)
    {
        OnlySpaceRunsOut = true;
        UsesRealStores = true;
        FaultWeights = new Dictionary<FaultKind, double> { [FaultKind.FullPool] = 1 };
        Network = NetworkConditions.Calm;
        Records = RecordStoreConditions.Calm;
        (ReadRate, ZeroRate, ThinkTime) = (0.2, 0.02 + (0.1 * random.NextDouble()), TimeSpan.FromMilliseconds(random.Pick<int>([1, 20, 60])));
        FaultInterval = TimeSpan.FromMilliseconds(random.Pick<int>([300, 1500]));
        FaultLength = TimeSpan.FromSeconds(random.Pick<int>([1, 10]));

        // More data than fit into the reserve.
        (SectorCount, HotBegin, HotSectors) = (16384, 0, 16384);
        Coordinator = Coordinator with { FullGrace = TimeSpan.FromSeconds(2), ReplicaTimeout = TimeSpan.FromSeconds(2), SlowPeriod = TimeSpan.Zero };
    }

    private void DrawOptions(SeededRandom random)
    {
        Coordinator = new CoordinatorOptions
        {
            LeaseDuration = TimeSpan.FromMilliseconds(random.Pick<int>([100, 500, 500, 2000])),
            ReplicaTimeout = TimeSpan.FromMilliseconds(random.Pick<int>([300, 2000, 2000])),
            FailureGrace = TimeSpan.FromMilliseconds(random.Pick<int>([0, 250, 250, 1000])),
            RejoinDelay = TimeSpan.FromMilliseconds(random.Pick<int>([50, 500])),
            FlushInterval = TimeSpan.FromMilliseconds(random.Pick<int>([50, 1000, 1000, 5000])),
            FlushWindowBytes = random.Pick<long>([1 << 20, 64 << 20]),
            MaxBatchBytes = random.Pick<int>([64 << 10, 1 << 20, 1 << 20]),
            MaxBatchOperations = random.Pick<int>([1, 8, 128]),
            HedgeDelay = TimeSpan.FromMilliseconds(random.Pick<int>([1, 10, 100])),
            WatchInterval = TimeSpan.FromMilliseconds(random.Pick<int>([5, 50])),
            CopyBytes = random.Pick<int>([16 << 10, 256 << 10]),
        };
        Coordinator = Coordinator with { CopyWindowBytes = Coordinator.CopyBytes == 16 << 10 ? 64 << 10 : 8 << 20 };
        CutsAreNoticed = random.Chance(0.4);
        Drift = random.Chance(0.6) ? Coordinator.ClockDrift * random.NextDouble() * 0.99 : 0;
        Coordinator = Coordinator with { HeartbeatInterval = TimeSpan.FromMilliseconds(random.Pick<int>([30, 2000])) };
    }
}
