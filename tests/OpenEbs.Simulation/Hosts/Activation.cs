using OpenEbs.Replication.Volumes;
using OpenEbs.Simulation.Gateways;
using OpenEbs.Simulation.Histories;
using OpenEbs.Simulation.Scheduling;

namespace OpenEbs.Simulation.Hosts;

/// <summary>One activation of the volume grain: a coordinator in a process, and what a gateway needs to call it.</summary>
internal sealed class Activation
{
    private readonly World _world;
    private readonly IVolumeEndpoint _volume;
    /// <summary>Whoever waits for a process that dies is told after some time, as by a broken connection or the cluster's membership.</summary>
    private readonly List<Action> _callers = [];
    private int _runningCalls;
    private int _replicaChanges;

    public Activation(World world, SimulatedHost host, int number)
    {
        _world = world;
        Host = host;
        Number = number;
        Process = world.CreateProcess($"coordinator-{number}@{host.Number}", host);
        Pool = new CountingPool($"coordinator {number}") { KeepsStacks = world.Options.KeepsStacks };
        _volume = world.CreateVolume(this, () => IsFenced = true);
        Process.Killed = () =>
        {
            foreach (var lose in _callers) lose();
            _callers.Clear();
        };
        Process.Post(_volume.Start);
    }

    public SimulatedHost Host { get; }

    public int Number { get; }

    public SimulatedProcess Process { get; }

    /// <summary>What it serves, for those that bring a way of their own to call it.</summary>
    public IVolumeEndpoint Volume => _volume;

    public CountingPool Pool { get; }

    /// <summary>It told its host that another coordinator has taken over.</summary>
    public bool IsFenced { get; private set; }

    /// <summary>It was asked to close.</summary>
    public bool IsClosing { get; private set; }

    public bool IsClosed { get; private set; }

    public bool IsUsable => !Process.IsDead && !IsFenced && !IsClosing;

    /// <summary>Nothing of it runs any more and it ended by itself: every buffer must be back.</summary>
    public bool IsQuiet => IsClosed && _runningCalls == 0;

    public string Describe() => _volume.Describe();

    /// <summary>Calls it from a gateway. The call fails with <see cref="ActivationLostException"/> when the process is gone.</summary>
    public async Task<TReply> CallAsync<TReply>(int fromHost, Func<IVolumeEndpoint, CountingPool, ValueTask<TReply>> invoke, Action<TReply>? acknowledged = null)
    {
        var call = new Network.SimulatedNetwork.PendingCall<TReply>();
        Action lose = () => _world.Scheduler.After(_world.Random.Between(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(400)), () => call.Fail(new ActivationLostException()));
        if (Process.IsDead) lose();
        else _callers.Add(lose);
        _world.Network.Send(fromHost, Host.Number, reliable: true, () =>
        {
            if (Process.IsDead) return;
            Process.Start(async () =>
            {
                _runningCalls++;
                try
                {
                    var reply = await invoke(_volume, Pool);
                    acknowledged?.Invoke(reply);
                    _world.Network.Send(Host.Number, fromHost, reliable: true, () => call.Answer(reply));
                }
                catch (Exception e) when (e is TimeoutException or InvalidOperationException)
                {
                    _world.Log($"coordinator-{Number} threw {e.GetType().Name}: {e.Message}");
                    _world.Network.Send(Host.Number, fromHost, reliable: true, () => call.Fail(e));
                }
                finally
                {
                    _runningCalls--;
                }
            });
        });

        try
        {
            return await call.Task;
        }
        finally
        {
            _callers.Remove(lose);
        }
    }

    /// <summary>A change of the volume's replicas is under way.</summary>
    public bool IsChangingReplicas => _replicaChanges > 0 && !Process.IsDead;

    /// <summary>Has it change the volume's replicas, sooner or later.</summary>
    public void ChangeReplicas(Func<IVolumeEndpoint, Task> change) => Process.Start(async () =>
    {
        _runningCalls++;
        _replicaChanges++;
        try
        {
            await change(_volume);
        }
        catch (InvalidOperationException e)
        {
            _world.Log($"coordinator-{Number} does not change its replicas: {e.Message}");
        }
        finally
        {
            _runningCalls--;
            _replicaChanges--;
        }
    });

    /// <summary>Has it scrub the volume.</summary>
    public void Scrub() => Process.Post(_volume.Scrub);

    /// <summary>Deactivates it in order; then its process ends.</summary>
    public void Close()
    {
        if (IsClosing || Process.IsDead) return;
        IsClosing = true;
        Process.Start(async () =>
        {
            await _volume.CloseAsync();
            IsClosed = true;
        });
    }
}

/// <summary>The process of a coordinator is gone: nothing is known of what it was asked.</summary>
public sealed class ActivationLostException() : Exception("The coordinator's process is gone.");
