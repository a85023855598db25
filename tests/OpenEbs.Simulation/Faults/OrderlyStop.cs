using OpenEbs.Simulation.Gateways;
using OpenEbs.Simulation.Hosts;
using OpenEbs.Simulation.Scheduling;

namespace OpenEbs.Simulation.Faults;

/// <summary>A node's process is stopped in order and started again: its replicas say that they leave, its coordinators hand their volume over, then the replicas close. Any of that may be overtaken by a
/// partition, and each message be lost, late or repeated. Or only the coordinators go.</summary>
/// <param name="world">The world.</param>
/// <param name="gateways">All gateways.</param>
/// <param name="random">Chance.</param>
/// <param name="cut">Cuts two hosts off from each other for a while.</param>
/// <param name="later">Does something later, unless all faults have ended by then.</param>
internal sealed class OrderlyStop(
    World world, IReadOnlyList<Gateway> gateways, SeededRandom random, Func<SimulatedHost, SimulatedHost, TimeSpan, bool, bool> cut, Action<TimeSpan, Action> later)
{
    public bool TryBegin(SimulatedHost host, TimeSpan length)
    {
        // Mostly the node that matters most.
        var coordinator = world.Placement.Activations.LastOrDefault(activation => activation.IsUsable);
        if (coordinator is not null && random.Chance(0.7)) host = coordinator.Host;
        if (!host.IsUp) return false;

        // Or only the coordinator goes, as when a volume is moved.
        var isMove = coordinator?.Host == host && random.Chance(0.4);
        var leaving = isMove ? [] : world.Replicas.Where(replica => replica.Host == host && replica.IsRunning && !replica.IsClosing).ToArray();
        if (leaving.Length == 0 && coordinator?.Host != host) return false;

        // What a shutdown waits for has an end.
        var steps = new Steps(() => HandOver(host, leaving, length));
        foreach (var replica in leaving) replica.Leave(coordinator, steps.Next);
        if (leaving.Length == 0 || random.Chance(0.3)) steps.Next();
        else later(random.Between(TimeSpan.FromMilliseconds(50), TimeSpan.FromSeconds(2)), steps.Next);
        return true;
    }

    private void HandOver(SimulatedHost host, ReplicaHost[] leaving, TimeSpan length)
    {
        var moved = false;
        foreach (var activation in world.Placement.Activations.Where(activation => activation.Host == host && activation.IsUsable).ToArray())
        {
            activation.Close();
            moved = true;
        }

        var others = world.Hosts.Where(other => other != host && other.IsUp).ToArray();
        if (moved && others.Length > 0)
        {
            // Placement may believe the old one gone before it is, and a partition may come between.
            var early = random.Between(TimeSpan.Zero, TimeSpan.FromMilliseconds(100));
            later(early, () => world.Placement.Start(random.Pick(others)));
            if (random.Chance(0.4)) later(random.Between(TimeSpan.Zero, early), () => { foreach (var other in others) cut(host, other, length + TimeSpan.FromSeconds(2), true); });
            foreach (var gateway in gateways)
            {
                // Who only reads stays with the old one for as long as that answers.
                if (world.Settings.HasReader ? gateway != gateways[0] : random.Chance(0.4)) later(early, gateway.Switch);
            }
        }

        foreach (var replica in leaving)
        {
            later(random.Between(TimeSpan.Zero, TimeSpan.FromSeconds(1)), replica.Close);
            later(TimeSpan.FromSeconds(1) + length, () =>
            {
                // Whatever has not closed by now is killed, as an impatient service manager does.
                replica.Kill();
                replica.Start();
            });
        }
    }

    /// <summary>Goes on once, whoever says so first.</summary>
    private sealed class Steps(Action next)
    {
        private bool _done;

        public void Next()
        {
            if (_done) return;
            _done = true;
            next();
        }
    }
}
