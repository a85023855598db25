using OpenEbs.Replication.Volumes;
using OpenEbs.Simulation.Gateways;
using OpenEbs.Simulation.Hosts;
using OpenEbs.Simulation.Network;
using OpenEbs.Simulation.Records;
using OpenEbs.Simulation.Scheduling;

namespace OpenEbs.Simulation.Faults;

/// <summary>Lets things go wrong, as the run's settings say, and puts them right again after a while.</summary>
internal sealed class FaultInjector(World world, IReadOnlyList<Gateway> gateways, SeededRandom random)
{
    private static readonly TimeSpan LongestBout = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan LongestFault = TimeSpan.FromSeconds(10);
    private const long PlentyBytes = 64 << 20;
    private readonly Dictionary<string, long> _counts = [];
    private bool _stopped;
    private int _pools;

    public IReadOnlyDictionary<string, long> Counts => _counts;

    /// <summary>Injects faults until <see cref="Heal"/>. Bouts of faults alternate with pauses, in which the volume must come to itself.</summary>
    public async Task RunAsync()
    {
        var total = world.Settings.FaultWeights.Values.Sum();
        if (total == 0) return;
        var boutEnd = world.Scheduler.Now + LongestBout.Ticks;
        while (!_stopped)
        {
            await world.Scheduler.Delay(random.Exponential(world.Settings.FaultInterval));
            if (_stopped) return;
            if (world.Scheduler.Now > boutEnd)
            {
                await world.Scheduler.Delay(LongestFault + (2 * world.Settings.Network.CallTimeout) + TimeSpan.FromSeconds(10));
                boutEnd = world.Scheduler.Now + LongestBout.Ticks;
                continue;
            }

            var dice = random.NextDouble() * total;
            foreach (var (kind, weight) in world.Settings.FaultWeights)
            {
                if ((dice -= weight) >= 0) continue;
                Inject(kind);
                break;
            }
        }
    }

    /// <summary>Ends all faults and injects no more.</summary>
    public void Heal()
    {
        _stopped = true;
        world.IsHealed = true;
        world.Log("all faults end");
        world.Network.Conditions = NetworkConditions.Calm;
        world.Network.MendAll();
        world.Records.Conditions = RecordStoreConditions.Calm;
        world.Records.UnavailableUntil = 0;
        foreach (var host in world.Hosts)
        {
            host.PowerOn();
            foreach (var process in host.Processes) process.Resume();
        }

        foreach (var replica in world.Replicas)
        {
            replica.Disk.Slowness = TimeSpan.Zero;
            if (replica.IsLeaving) replica.Close();
            else replica.Start();
        }

        RecoverMedia();
        if (world.Settings.PoolsFill) Relieve(world.Replicas);
    }

    /// <summary>A block that rotted on a replica which was then alone in sync is lost, as the design allows, and nothing can be rebuilt from that replica: the simulated operator gets it
    /// back from the medium.</summary>
    public void RecoverMedia()
    {
        foreach (var ((id, block), moment) in world.RottenBlocks)
        {
            if (!world.History.WasAloneInSync(id, moment)) continue;
            var alone = world.Replicas.First(replica => replica.Id == id);
            alone.Disk.Unrot(block);
            alone.Ledger.BadBlocksSeen.Remove(block);
        }
    }

    /// <summary>All hosts lose power, and come back.</summary>
    public async Task LosePowerOfAllAsync(TimeSpan length)
    {
        foreach (var host in world.Hosts) LosePower(host);
        await world.Scheduler.Delay(length);
        foreach (var host in world.Hosts) PowerOn(host);
    }

    private void Inject(FaultKind kind)
    {
        var length = random.Exponential(world.Settings.FaultLength) + TimeSpan.FromMilliseconds(1);
        if (length > LongestFault) length = LongestFault;
        var host = random.Pick(world.Hosts);
        var replica = random.Pick(world.Replicas);
        world.Scheduler.Trace.Add((long)kind);
        if (world.Scheduler.Trace.KeepsText) world.Log($"fault {kind} for {length.TotalMilliseconds:F0} ms (host {host.Number}, replica {replica.Id})");
        if (!TryInject(kind, length, host, replica)) return;
        _counts[kind.ToString()] = _counts.GetValueOrDefault(kind.ToString()) + 1;
    }

    private bool TryInject(FaultKind kind, TimeSpan length, SimulatedHost host, ReplicaHost replica)
    {
        switch (kind)
        {
            case FaultKind.KillReplica: return KillReplica(replica, length);
            case FaultKind.ReplicaRestart: return RestartReplica(replica, length);
            case FaultKind.KillCoordinator: return KillCoordinator();
            case FaultKind.KillHostProcesses: return KillHostProcesses(host, length);
            case FaultKind.PowerLoss:
                if (!host.IsUp) return false;
                LosePower(host);
                Later(length, () => PowerOn(host));
                return true;
            case FaultKind.PowerLossOfAll:
                if (!random.Chance(0.3)) return false;
                _ = LosePowerOfAllAsync(length);
                return true;
            case FaultKind.PauseReplica: return Pause(replica.Process, length);
            case FaultKind.PauseCoordinator:
                return world.Placement.Activations.LastOrDefault(activation => activation.IsUsable) is { } paused && Pause(paused.Process, length);
            case FaultKind.PauseHost:
                foreach (var process in host.Processes.ToArray()) Pause(process, length);
                return host.Processes.Count > 0;
            case FaultKind.Partition: return Cut(host, random.Pick(world.Hosts), length, bothWays: true);
            case FaultKind.OneWayPartition: return Cut(host, random.Pick(world.Hosts), length, bothWays: false);
            case FaultKind.IsolateHost:
                foreach (var other in world.Hosts.Where(other => other != host)) Cut(host, other, length, bothWays: true);
                if (random.Chance(0.5)) CutGateways(host, length);
                return true;
            case FaultKind.SecondCoordinator:
                world.Placement.Start();
                return true;
            case FaultKind.SplitBrain: return SplitBrain(length + TimeSpan.FromSeconds(2));
            case FaultKind.PlannedMove:
                if (world.Placement.Activations.LastOrDefault(activation => activation.IsUsable) is not { } moved) return false;
                moved.Close();
                return true;
            case FaultKind.DirectoryChange:
                random.Pick(gateways).Switch();
                return true;
            case FaultKind.RecordStoreOutage:
                world.Records.UnavailableUntil = Math.Max(world.Records.UnavailableUntil, world.Scheduler.Now + length.Ticks);
                return true;
            case FaultKind.RecordConflict:
                world.Records.Touch();
                return true;
            case FaultKind.BitRot: return Rot(replica);
            case FaultKind.SlowDisk:
                replica.Disk.Slowness = random.Pick<TimeSpan>([TimeSpan.FromMilliseconds(50), TimeSpan.FromMilliseconds(500), TimeSpan.FromSeconds(3)]);
                Later(length, () => replica.Disk.Slowness = TimeSpan.Zero);
                return true;
            case FaultKind.BadNetwork:
                world.Network.Conditions = world.Settings.BadNetwork;
                Later(length, () => world.Network.Conditions = world.Settings.Network);
                return true;
            case FaultKind.CongestedReplica:
                world.Network.Congest(replica.Host.Number);
                Later(length, () => world.Network.Relieve(replica.Host.Number));
                return true;
            case FaultKind.FullPool: return FillPools(replica, length);
            case FaultKind.AddReplica: return AddReplica(host);
            case FaultKind.RemoveReplica: return RemoveReplica(replica);
            case FaultKind.MediaDamage: return Damage(replica);
            case FaultKind.OrderlyStop: return new OrderlyStop(world, gateways, random, Cut, Later).TryBegin(host, length);
            case FaultKind.ClockJump:
                host.Time.DateError = random.Pick<TimeSpan>([TimeSpan.Zero, TimeSpan.FromSeconds(-3), TimeSpan.FromHours(1), TimeSpan.FromDays(-400), TimeSpan.FromDays(4000)]);
                return true;
            case FaultKind.HiddenRot: return RotAnywhere(replica);
            default:
                throw new ArgumentOutOfRangeException(nameof(kind), kind, "Unknown fault.");
        }
    }

    private bool AddReplica(SimulatedHost host)
    {
        if (world.Records.Record.Replicas.Count > world.Settings.ReplicaCount + 1 || world.Placement.Activations.LastOrDefault(activation => activation.IsUsable) is not { } activation) return false;
        var pool = $"pool-{host.Number}.{++_pools}";
        activation.ChangeReplicas(async volume => await volume.AddReplicaAsync(pool));
        return true;
    }

    private bool RemoveReplica(ReplicaHost replica)
    {
        var record = world.Records.Record;
        if (record.Find(replica.Id) is null || record.Replicas.Count <= Math.Max(2, record.MinInSync)) return false;
        if (world.Placement.Activations.LastOrDefault(activation => activation.IsUsable) is not { } activation) return false;
        activation.ChangeReplicas(async volume =>
        {
            if (!await volume.RemoveReplicaAsync(replica.Id)) return;
            replica.Delete();
            await volume.ForgetReplicaAsync(replica.Id);
        });
        return true;
    }

    /// <summary>One pool, or all of them, as tenants come and go.</summary>
    private bool FillPools(ReplicaHost replica, TimeSpan length)
    {
        var filled = (random.Chance(0.4) ? world.Replicas.ToArray() : [replica]).Where(one => one.Disk.RoomBytes > PlentyBytes).ToArray();
        var done = false;
        foreach (var one in filled) done |= one.Disk.Fill(random.Pick<long>([0, 0, 1 << 20, 4 << 20, 10 << 20]));
        if (done) Later(length < LongestFault ? length : LongestFault, () => Relieve(filled));
        return done;
    }

    private void Relieve(IEnumerable<ReplicaHost> replicas)
    {
        foreach (var replica in replicas) replica.Disk.Relieve();
        world.RelievedAt = world.History.NextMoment();
    }

    private bool KillReplica(ReplicaHost replica, TimeSpan length)
    {
        if (!replica.IsRunning) return false;
        if (replica.Host.SharesProcess) return KillHostProcesses(replica.Host, length);
        replica.Kill();
        Later(length, replica.Start);
        return true;
    }

    private bool RestartReplica(ReplicaHost replica, TimeSpan length)
    {
        if (!replica.IsRunning) return false;
        replica.Close();
        Later(length + TimeSpan.FromMilliseconds(50), () =>
        {
            // Whatever has not closed by now is killed, as an impatient service manager does.
            replica.Kill();
            replica.Start();
        });
        return true;
    }

    private bool KillCoordinator()
    {
        if (world.Placement.Activations.LastOrDefault(activation => activation.IsUsable) is not { } activation) return false;
        if (activation.Host.SharesProcess) return KillHostProcesses(activation.Host, random.Exponential(world.Settings.FaultLength));
        activation.Process.Kill();
        activation.Host.Processes.Remove(activation.Process);
        return true;
    }

    private bool KillHostProcesses(SimulatedHost host, TimeSpan length)
    {
        if (host.Processes.Count == 0) return false;
        host.KillProcesses();
        Later(length, () => StartReplicas(host));
        return true;
    }

    private void LosePower(SimulatedHost host)
    {
        if (!host.IsUp) return;
        host.LosePower();
        foreach (var replica in world.Replicas.Where(replica => replica.Host == host)) replica.LosePower();
    }

    private void PowerOn(SimulatedHost host)
    {
        host.PowerOn();
        StartReplicas(host);
    }

    private void StartReplicas(SimulatedHost host)
    {
        foreach (var replica in world.Replicas.Where(replica => replica.Host == host)) replica.Start();
    }

    private bool Pause(SimulatedProcess? process, TimeSpan length)
    {
        if (process is null || process.IsDead || process.IsPaused) return false;
        process.Pause();
        Later(length, process.Resume);
        return true;
    }

    private bool Cut(SimulatedHost one, SimulatedHost other, TimeSpan length, bool bothWays)
    {
        if (one == other) return false;
        Cut(one.Number, other.Number, length);
        if (bothWays) Cut(other.Number, one.Number, length);
        return true;
    }

    private bool SplitBrain(TimeSpan length)
    {
        if (world.Placement.Activations.LastOrDefault(activation => activation.IsUsable) is not { } activation) return false;
        var others = world.Hosts.Where(host => host != activation.Host && host.IsUp).ToArray();
        if (others.Length == 0) return false;
        foreach (var other in others) Cut(activation.Host, other, length, bothWays: true);
        world.Placement.Start(random.Pick(others));
        foreach (var gateway in gateways)
        {
            // Who only reads stays behind: it must not be told what is no longer so.
            if (world.Settings.HasReader ? gateway != gateways[0] : random.Chance(0.4)) gateway.Switch();
        }

        return true;
    }

    private void Cut(int from, int to, TimeSpan length)
    {
        world.Network.Cut(from, to);
        Later(length, () => world.Network.Mend(from, to));
    }

    private void CutGateways(SimulatedHost host, TimeSpan length)
    {
        foreach (var gateway in gateways)
        {
            Cut(gateway.HostNumber, host.Number, length);
            Cut(host.Number, gateway.HostNumber, length);
        }
    }

    /// <summary>Harms one copy of one block: never a second copy of the same block, and only where another in-sync replica has a good one.</summary>
    private bool Rot(ReplicaHost replica)
    {
        var record = world.Records.Record;
        var block = random.Chance(0.7) ? (world.Settings.HotBegin + random.NextLong(world.Settings.HotSectors)) / 8 : random.NextLong(world.Settings.SectorCount / 8);
        if (record.InSyncCount < 2 || record.Find(replica.Id)?.Standing != ReplicaStanding.InSync) return false;
        if (world.RottenBlocks.Keys.Any(rotten => rotten.Block == block && rotten.Replica != replica.Id)) return false;

        // Rot in the part of the log that is replayed at the next opening shortens the log of that replica. So only one replica per run is hit, and only where the others are needed to open the volume.
        var isReal = world.Settings.UsesRealStores && !world.Options.MemoryStoresOnly;
        if (isReal && (world.Settings.MinInSync < 2 || (world.DamagedReplica ?? replica.Id) != replica.Id || world.RottenBlocks.Keys.Any(rotten => rotten.Replica != replica.Id))) return false;
        if (!replica.Disk.Rot(block)) return false;
        replica.Ledger.MayEndEarly = isReal;
        replica.Ledger.RotCount++;
        world.RottenBlocks[(replica.Id, block)] = world.History.NextMoment();
        return true;
    }

    /// <summary>Harms one replica of the run, again and again, while another has everything too.</summary>
    private bool Damage(ReplicaHost replica)
    {
        var record = world.Records.Record;
        if (record.InSyncCount < 2 || record.Find(replica.Id)?.Standing != ReplicaStanding.InSync) return false;
        if ((world.DamagedReplica ?? replica.Id) != replica.Id || world.RottenBlocks.Keys.Any(rotten => rotten.Replica != replica.Id)) return false;
        if (!replica.Disk.Damage()) return false;
        world.DamagedReplica = replica.Id;
        replica.Ledger.IsDamaged = replica.Ledger.MayEndEarly = true;
        return true;
    }

    /// <summary>As <see cref="Damage"/>, in any file, and mostly where nobody sees it.</summary>
    private bool RotAnywhere(ReplicaHost replica)
    {
        var record = world.Records.Record;
        if (record.InSyncCount < 2 || world.Settings.MinInSync < 2 || record.Find(replica.Id)?.Standing != ReplicaStanding.InSync) return false;
        if ((world.DamagedReplica ?? replica.Id) != replica.Id || world.RottenBlocks.Keys.Any(rotten => rotten.Replica != replica.Id)) return false;
        if (!replica.Disk.RotAnywhere(onMediaOnly: random.Chance(0.8), out var block)) return false;
        world.DamagedReplica = replica.Id;
        replica.Ledger.IsDamaged = replica.Ledger.MayEndEarly = true;
        replica.Ledger.RotCount++;
        if (block is { } harmed) world.RottenBlocks[(replica.Id, harmed)] = world.History.NextMoment();
        return true;
    }

    private void Later(TimeSpan delay, Action action) => world.Scheduler.After(delay, () =>
    {
        if (!_stopped) action();
    });
}
