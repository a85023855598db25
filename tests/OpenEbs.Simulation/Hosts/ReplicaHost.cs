using Microsoft.Extensions.Logging;
using OpenEbs.Replication.Replicas;
using OpenEbs.Simulation.Disks;
using OpenEbs.Simulation.Histories;
using OpenEbs.Simulation.Scheduling;
using OpenEbs.Storage.Store;

namespace OpenEbs.Simulation.Hosts;

/// <summary>One replica: its disk, for ever, and its process, from time to time.</summary>
internal sealed class ReplicaHost(World world, string id, SimulatedHost host, IReplicaDisk disk)
{
    private ReplicaSession? _session;
    private SimulatedProcess? _closing;
    private SimulatedProcess? _leaving;
    private IReplicaChannel? _channel;
    private ObservedStore? _store;

    public string Id => id;

    public SimulatedHost Host => host;

    public IReplicaDisk Disk => disk;

    public SimulatedProcess? Process { get; private set; }

    public CountingPool Pool { get; private set; } = new(id);

    public ReplicaLedger Ledger => world.History.Ledger(id);

    public bool IsRunning => Process is { IsDead: false };

    /// <summary>A coordinator has opened it in this life.</summary>
    public bool IsOpen => IsRunning && _store is not null;

    public StoreStatus? Status => IsRunning ? _session?.Status : null;

    public void Start()
    {
        if (IsRunning || IsDeleted || !host.IsUp) return;
        var process = world.CreateProcess($"replica-{id}", host);
        process.Killed = () =>
        {
            disk.Kill();
            _session = null;
            _channel = null;
            _store = null;
        };
        Process = process;
        Pool = new CountingPool($"replica {id}") { KeepsStacks = world.Options.KeepsStacks };
        var logger = world.CreateLogger(process.Name);
        process.Start(async () =>
        {
            var session = new ReplicaSession(opening => OpenStoreAsync(opening, process), DiscardStoreAsync, world.Random.NextGuid(), Pool, logger) { Faults = world.Breakage.ReplicaFaults };
            _session = session;
            _channel = world.Breakage.WrapReplica(session);
            for (; ; )
            {
                await Task.Delay(world.Random.Between(TimeSpan.FromMilliseconds(20), TimeSpan.FromMilliseconds(200)), host.Time);
                for (var steps = 0; steps < 20 && await session.MaintainAsync(); steps++)
                {
                }

                if (session.Failure is null) continue;

                // The next life may find the store good again; and if not, says why.
                world.Log($"replica {id} starts anew: {session.Failure}");
                world.Scheduler.After(TimeSpan.FromMilliseconds(10), () =>
                {
                    if (Process != process || process.IsDead) return;
                    Kill();
                    Start();
                });
                return;
            }
        });
    }

    /// <summary>It has said that its process is about to end, which has not begun to close yet.</summary>
    public bool IsLeaving => IsRunning && _leaving == Process && !IsClosing;

    /// <summary>A planned shutdown is under way.</summary>
    public bool IsClosing => _closing is { IsDead: false };

    public void Kill()
    {
        Process?.Kill();
        if (Process is not null) host.Processes.Remove(Process);
    }

    /// <summary>The host has lost power; its processes are gone already.</summary>
    public void LosePower()
    {
        disk.LosePower();
        Ledger.PowerLost = true;
        Ledger.PowerLostAt = world.History.NextMoment();
    }

    /// <summary>It is of no volume any more: its files are gone, and nobody starts it again.</summary>
    public bool IsDeleted { get; private set; }

    /// <inheritdoc cref="IsDeleted"/>
    public void Delete()
    {
        IsDeleted = true;
        Kill();
    }

    /// <summary>Its process is about to end in order: nobody may open it any more, and the coordinator is asked to let go of it, by a message that may be lost, late or repeated.</summary>
    /// <param name="coordinator">Whom it asks.</param>
    /// <param name="whenAnswered">Called when the coordinator has answered: at most once for each time that the message arrives.</param>
    public void Leave(Activation? coordinator, Action whenAnswered)
    {
        if (Process is not { IsDead: false } process || _session is not { } session) return;
        _leaving = process;
        process.Post(session.BeginLeaving);
        if (coordinator is null) return;
        world.Network.Send(host.Number, coordinator.Host.Number, reliable: false, () => coordinator.ChangeReplicas(async volume =>
        {
            await volume.LetGoAsync(id, session.Incarnation);
            world.Network.Send(coordinator.Host.Number, host.Number, reliable: false, whenAnswered);
        }));
    }

    /// <summary>Stops the process as a planned shutdown does.</summary>
    public void Close()
    {
        if (Process is not { IsDead: false } process || _session is not { } session) return;
        _closing = process;
        process.Start(async () =>
        {
            await session.CloseAsync();
            if (process.IsDead) return;
            Kill();

            // Healing does not wait for a shutdown that is still under way: it would find the replica running, and nobody would start it again.
            if (world.IsHealed) Start();
        });
    }

    /// <summary>Compares the whole store with what it must hold.</summary>
    public Task CheckContentAsync()
    {
        var done = new TaskCompletionSource();
        var store = _store ?? throw new InvalidOperationException($"Replica {id} does not run.");
        Process!.Start(async () =>
        {
            await store.CheckContentAsync(MayBeBad);
            done.SetResult();
        });
        return done.Task;
    }

    /// <summary>Stores something else in a block, with the right checksum.</summary>
    public Task AlterAsync(long block, byte[] data)
    {
        var done = new TaskCompletionSource();
        var store = _store ?? throw new InvalidOperationException($"Replica {id} does not run.");
        Process!.Start(async () =>
        {
            await store.AlterAsync(block, data);
            done.SetResult();
        });
        return done.Task;
    }

    /// <summary>A message arrives.</summary>
    /// <param name="invoke">What it asks.</param>
    /// <param name="answer">Sends the answer, or the failure.</param>
    /// <param name="notDelivered">Called when nobody takes the message.</param>
    public void Deliver<TReply>(Func<IReplicaChannel, ValueTask<TReply>> invoke, Action<Task<TReply>> answer, Action? notDelivered)
    {
        if (!IsRunning)
        {
            notDelivered?.Invoke();
            if (host.IsUp && world.Random.Chance(0.7)) answer(Task.FromException<TReply>(new IOException($"Nobody listens for replica {id}.")));
            return;
        }

        Process!.Post(() => _ = AnswerAsync());

        async Task AnswerAsync()
        {
            Task<TReply> task;
            if (_channel is not { } channel)
            {
                notDelivered?.Invoke();
                answer(Task.FromException<TReply>(new IOException($"Replica {id} is starting.")));
                return;
            }

            try
            {
                task = Task.FromResult(await invoke(channel));
            }
            catch (PromiseBrokenException e)
            {
                world.Scheduler.Fail(e);
                return;
            }
            catch (Exception e)
            {
                world.Log($"replica {id} threw {e}");
                task = Task.FromException<TReply>(e);
            }

            answer(task);
        }
    }

    private bool MayBeBad(long block) => world.RottenBlocks.ContainsKey((id, block)) && !world.IsScrubbed;

    private async ValueTask DiscardStoreAsync()
    {
        world.Log($"replica {id} is discarded");
        world.DiscardCount++;
        _store = null;
        await disk.DiscardAsync();
    }

    private async ValueTask<IReplicaStore> OpenStoreAsync(StoreOpening opening, SimulatedProcess process)
    {
        if (!disk.Exists && opening == StoreOpening.CreateRebuilding) Ledger.BeginAnew();
        var opened = world.Breakage.WrapStore(await disk.OpenAsync(opening, host.BootId));
        var store = new ObservedStore(opened, Ledger, world.History, world.Scheduler, () => !process.IsDead);
        await store.CheckOpenedAsync(MayBeBad);
        _store = store;
        return store;
    }
}
