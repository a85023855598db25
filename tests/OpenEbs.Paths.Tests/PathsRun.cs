using OpenEbs.Iscsi.Scsi.Reservations;
using OpenEbs.Paths.Tests.Gateways;
using OpenEbs.Paths.Tests.Histories;
using OpenEbs.Paths.Tests.Initiators;
using OpenEbs.Simulation;
using OpenEbs.Simulation.Breakages;
using OpenEbs.Simulation.Faults;
using OpenEbs.Simulation.Hosts;
using OpenEbs.Simulation.Scheduling;

namespace OpenEbs.Paths.Tests;

/// <summary>How a run ended.</summary>
internal sealed record PathsResult(Exception? Failure, ulong TraceHash, int Commands, int Versions, int Coordinators, int PowerLosses, int PortalDeaths, IReadOnlyCollection<string> Trace);

/// <summary>One run: initiators with sessions through several gateways reserve one volume and use it, while its coordinator dies, moves, is cut off and gets rivals; then what everybody was told is
/// compared with the sequential model.</summary>
internal static class PathsRun
{
    private const string InitiatorPrefix = "iqn.2026-01.org.example:";
    private static readonly int[] Ports = [1, 2, 3];
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(40);
    private static readonly FaultKind[] Faults =
    [
        FaultKind.KillCoordinator, FaultKind.SecondCoordinator, FaultKind.SplitBrain, FaultKind.PauseCoordinator, FaultKind.PlannedMove, FaultKind.PauseReplica, FaultKind.Partition,
        FaultKind.OneWayPartition, FaultKind.IsolateHost, FaultKind.RecordStoreOutage, FaultKind.RecordConflict, FaultKind.BadNetwork, FaultKind.ReplicaRestart,
        FaultKind.CongestedReplica, FaultKind.SlowDisk,
    ];

    public static PathsResult Run(ulong seed, PathVariant variant = PathVariant.None, int commands = 120, TextWriter? echo = null)
    {
        var faults = new SeededRandom(seed ^ 0x5eed);
        var breakage = Breakage.None with { Name = variant.ToString(), Favours = [.. Faults.Where(_ => faults.Chance(0.45)).DefaultIfEmpty(FaultKind.PlannedMove)] };
        var world = new World(new RunOptions { Seed = seed, Breakage = breakage, MemoryStoresOnly = true, KeepsTrace = echo is not null, Echo = echo });
        var history = new UnitHistory(world.History);
        world.Records.Changed = history.RecordChanged;
        var run = new Scene(world, history, variant, commands);
        var check = new UnitHistoryCheck(history, Ports);
        Exception? failure = null;
        try
        {
            world.Scheduler.RunUntil(run.PlayAsync, Limit);
            check.Run();
        }
        catch (Exception e)
        {
            failure = e;
            world.Log($"FAILED: {e}");
        }

        return new PathsResult(failure, world.Scheduler.Trace.Hash, history.Commands.Count, history.Versions.Count, world.Placement.Activations.Count, check.PowerLossCount, run.PortalDeaths, world.Scheduler.Trace.Lines);
    }

    private sealed class Scene(World world, UnitHistory history, PathVariant variant, int commands)
    {
        private readonly SeededRandom _random = world.Random.Fork();
        private readonly FaultInjector _faults = new(world, [], world.Random.Fork());
        private readonly SimulatedPortal?[] _portals = new SimulatedPortal?[Ports.Length];
        private readonly List<(string Name, ulong Isid, int Port)> _initiators = [];
        private bool _isHealed;
        private int _left = commands;

        public int PortalDeaths { get; private set; }

        public async Task PlayAsync()
        {
            // One initiator with two paths, and others with one.
            foreach (var (name, port) in new[] { ("a", 0), ("a", 1), ("b", _random.Next(3)), ("c", 2), ("d", _random.Next(3)) }) _initiators.Add((InitiatorPrefix + name, (ulong)(name[0] * 257), port));
            foreach (var replica in world.Replicas) replica.Start();
            var load = new ScsiLoad(world, history, _random.Fork(), Ports, PickNexus);
            var injecting = _faults.RunAsync();
            _ = SweepAsync();
            if (_random.Chance(0.4)) _ = KillPortalsAsync();
            await Task.WhenAll(Enumerable.Range(0, Ports.Length).Select(port => ServeAsync(port, portal => WorkAsync(portal, load))));
            _isHealed = true;
            _faults.Heal();
            foreach (var portal in _portals)
            {
                var done = new TaskCompletionSource();
                portal!.Process.Start(async () =>
                {
                    foreach (var session in portal.Sessions.ToArray()) await session.DrainAsync();
                    done.SetResult();
                });
                await done.Task;
            }
        }

        private NexusId PickNexus()
        {
            var (name, isid, port) = _random.Pick(_initiators);
            return new NexusId(name, isid, Ports[port]);
        }

        /// <summary>One gateway after the other at a port, until one has done all that there was to do.</summary>
        private async Task ServeAsync(int port, Func<SimulatedPortal, Task> work)
        {
            var host = new SimulatedHost(100 + port, new SimulatedTime(world.Scheduler, 1, TimeSpan.FromSeconds(_random.Next(1000))), sharesProcess: false);
            SimulatedPortal portal;
            do
            {
                portal = new SimulatedPortal(world, history, variant, _random.Fork(), host, Ports[port], Ports);
                _portals[port] = portal;
                await portal.RunAsync(work);
                if (portal.Process.IsDead) await world.Scheduler.Delay(_random.Exponential(TimeSpan.FromMilliseconds(300)));
            }
            while (portal.Process.IsDead);
        }

        private Task WorkAsync(SimulatedPortal portal, ScsiLoad load) =>
            Task.WhenAll(_initiators.Where(initiator => Ports[initiator.Port] == portal.Tag).Select(initiator => load.RunAsync(portal, initiator.Name, initiator.Isid, () => _left-- > 0)));

        private async Task KillPortalsAsync()
        {
            while (!_isHealed)
            {
                await world.Scheduler.Delay(_random.Exponential(TimeSpan.FromSeconds(2)));
                if (_isHealed || _left < 5) return;
                var portal = _random.Pick(_portals);
                if (portal is not { Process.IsDead: false, HasEnded: false } || portal.Sessions.Count == 0) continue;
                PortalDeaths++;
                portal.Process.Kill();
            }
        }

        private async Task SweepAsync()
        {
            while (true)
            {
                await world.Scheduler.Delay(TimeSpan.FromMilliseconds(500));
                world.Placement.Sweep();
            }
        }
    }
}
