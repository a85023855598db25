using System.Globalization;
using Microsoft.Extensions.Logging;
using OpenEbs.Replication.Rebuilds;
using OpenEbs.Replication.Volumes;
using OpenEbs.Simulation.Breakages;
using OpenEbs.Simulation.Disks;
using OpenEbs.Simulation.Gateways;
using OpenEbs.Simulation.Histories;
using OpenEbs.Simulation.Hosts;
using OpenEbs.Simulation.Network;
using OpenEbs.Simulation.Records;
using OpenEbs.Simulation.Scheduling;

namespace OpenEbs.Simulation;

/// <summary>Everything there is in one run: hosts, disks, processes, network, metadata store, users, and the history that watches them.</summary>
internal sealed class World
{
    /// <summary>What may be on its way, and the segments that it takes.</summary>
    private const long ShortBytes = 40 << 20;
    private readonly bool _sharesProcesses;
    private int _processes;
    private int _commands;
    private long _writes;

    public World(RunOptions options)
    {
        Options = options;
        var seed = new SeededRandom(options.Seed);
        Settings = new WorldSettings(seed.Fork());
        if (Breakage.Favours.Count > 0) Settings.Favour(Breakage.Favours, seed.Fork());
        Random = seed.Fork();
        Scheduler = new SimulatedScheduler(seed.Fork(), new Trace(options.KeepsTrace, options.Echo));
        Network = new SimulatedNetwork(Scheduler, seed.Fork());
        History = new History(new VolumeOrder(Settings.SectorCount), Scheduler) { OnlySpaceRunsOut = Settings.OnlySpaceRunsOut && !options.MemoryStoresOnly };
        _sharesProcesses = Random.Chance(0.5);
        for (var i = 0; i < Settings.HostCount; i++)
        {
            var rate = 1 + (Settings.Drift / 2 * ((2 * Random.NextDouble()) - 1));
            Hosts.Add(new SimulatedHost(i, new SimulatedTime(Scheduler, rate, TimeSpan.FromSeconds(Random.Next(1000))), _sharesProcesses));
        }

        for (var i = 0; i < Settings.ReplicaCount; i++) Replicas.Add(new ReplicaHost(this, $"r{i}", Hosts[i], CreateDisk($"r{i}", Hosts[i])));
        Records = new SimulatedRecordStore(Scheduler, seed.Fork(), History, CreateRecord());
        Placement = new Placement(this);
        Network.Conditions = Settings.Network;
        Network.CutsAreNoticed = Settings.CutsAreNoticed;
        Records.Conditions = Settings.Records;
        History.RecordChanged(Records.Record);
    }

    public RunOptions Options { get; }

    public WorldSettings Settings { get; }

    public Breakage Breakage => Options.Breakage;

    public SeededRandom Random { get; }

    public SimulatedScheduler Scheduler { get; }

    public SimulatedNetwork Network { get; }

    public History History { get; }

    public List<SimulatedHost> Hosts { get; } = [];

    public List<ReplicaHost> Replicas { get; } = [];

    /// <summary>The volume's replicas, without those that were removed from it.</summary>
    public IEnumerable<ReplicaHost> Members => Replicas.Where(replica => Records.Record.Find(replica.Id) is not null);

    public SimulatedRecordStore Records { get; }

    public Placement Placement { get; }

    /// <summary>Copies of blocks that were harmed on media at some time.</summary>
    public Dictionary<(string Replica, long Block), long> RottenBlocks { get; } = [];

    /// <summary>Commands that ended for want of space.</summary>
    public int RefusedForSpaceCount { get; set; }

    /// <summary>Moment at which space on some pool became free again.</summary>
    public long RelievedAt { get; set; }

    /// <summary>The replica whose map or superblock was harmed.</summary>
    public string? DamagedReplica { get; set; }

    /// <summary>How often a replica was discarded.</summary>
    public long DiscardCount { get; set; }

    /// <summary>A scrub has gone through everything since the last fault: nothing may be bad any more.</summary>
    public bool IsScrubbed { get; set; }

    /// <summary>No more faults come: whatever stops is started again at once.</summary>
    public bool IsHealed { get; set; }

    public int NextCommandId() => ++_commands;

    public long NextWriteId() => ++_writes;

    public void Log(string line) => Scheduler.Trace.Write(Scheduler.Now, line);

    public ILogger CreateLogger(string name) => new TraceLogger(Scheduler, name);

    public SimulatedProcess CreateProcess(string name, SimulatedHost host)
    {
        var process = new SimulatedProcess(Scheduler, name, ++_processes, Random.Fork(), Settings.Shuffles);
        host.Processes.Add(process);
        return process;
    }

    public IVolumeEndpoint CreateVolume(Activation activation, Action onFenced)
    {
        var coordinator = new VolumeCoordinator(
            Breakage.WrapRecords(Records.Connect()),
            entry => new SimulatedReplicaChannel(Scheduler, Network, activation.Host, activation.Process, activation.Pool, ReplicaOf(entry)),
            Settings.Coordinator with { RebuildSlots = new RebuildSlots(1), Process = activation.Process.Name, HasEnded = HasEnded },
            activation.Host.Time,
            activation.Pool,
            onFenced,
            CreateLogger(activation.Process.Name),
            Breakage.CoordinatorFaults);
        return new CoordinatorEndpoint(coordinator);
    }

    /// <summary>A lack of space is right only for what brings data, and while some pool had hardly any as the command ran.</summary>
    public bool AllowsNoSpace(VolumeCommand command) =>
        (command.Kind is CommandKind.Write or CommandKind.CompareAndWrite || (command.Kind == CommandKind.WriteZeroes && (command.FirstSector | (long)command.SectorCount) % 8 != 0))
        && (RelievedAt > command.InvokedAt || Replicas.Any(replica => !replica.IsDeleted && replica.Disk.RoomBytes < ShortBytes));

    /// <summary>A medium error is right only when, while the command ran, the one copy of a block that had rotted was the only one in sync.</summary>
    public bool AllowsMediumError(VolumeCommand command) =>
        RottenBlocks.Keys.Any(rotten => rotten.Block * 8 < command.EndSector && command.FirstSector < (rotten.Block + 1) * 8 && History.WasAloneInSync(rotten.Replica, command.InvokedAt));

    private bool HasEnded(string process) => Breakage.TakesAllForEnded || (Settings.KnowsEndedProcesses && Placement.Activations.Exists(activation => activation.Process.Name == process && activation.Process.IsDead));

    /// <summary>Placed on its pool's host when it is first heard of.</summary>
    private ReplicaHost ReplicaOf(ReplicaEntry entry)
    {
        if (Replicas.Find(replica => replica.Id == entry.Id) is { } known) return known;
        var host = Hosts[int.Parse(entry.Pool.Split('-', '.')[1], CultureInfo.InvariantCulture)];
        var added = new ReplicaHost(this, entry.Id, host, CreateDisk(entry.Id, host));
        Replicas.Add(added);
        added.Start();
        return added;
    }

    private IReplicaDisk CreateDisk(string replica, SimulatedHost host)
    {
        var random = Random.Fork();
        var time = host.Time;
        return Settings.UsesRealStores && !Options.MemoryStoresOnly
            ? new DeviceReplicaDisk(replica, random, time, CreateLogger($"store-{replica}"), StampsOf)
            : new MemoryReplicaDisk(random, time, StampsOf);

        long[] StampsOf(long block) => History.Order.Replay(History.Ledger(replica).Last)[(int)(block * 8)..(int)((block + 1) * 8)];
    }

    private VolumeRecord CreateRecord() => new()
    {
        Uid = Random.NextGuid(),
        Name = "volume",
        SizeBytes = Settings.SectorCount * SectorStamp.SectorBytes,
        BlockLength = Settings.SectorsPerLogicalBlock * SectorStamp.SectorBytes,
        WriteCache = Settings.WriteCache,
        MinInSync = Settings.MinInSync,
        IoTimeout = Settings.IoTimeout,
        OnTimeout = Settings.OnTimeout,
        Replicas = [.. Replicas.Select(replica => new ReplicaEntry(replica.Id, $"pool-{replica.Host.Number}", ReplicaStanding.InSync, Created: false))],
    };

    private sealed class TraceLogger(SimulatedScheduler scheduler, string name) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => scheduler.Trace.KeepsText;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (scheduler.Trace.KeepsText) scheduler.Trace.Write(scheduler.Now, $"{name}: {formatter(state, exception)}{(exception is null ? "" : $" ({exception})")}");
        }
    }
}
