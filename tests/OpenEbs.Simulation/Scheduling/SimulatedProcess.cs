namespace OpenEbs.Simulation.Scheduling;

/// <summary>A process, or an activation in one: its continuations run one at a time in its own context; it can be paused (everything that happens to it waits) and killed
/// (nothing of it ever runs again).</summary>
public sealed class SimulatedProcess : SynchronizationContext
{
    private readonly SimulatedScheduler _scheduler;
    private readonly SeededRandom _random;
    private readonly List<(SendOrPostCallback Callback, object? State)> _ready = [];
    private readonly bool _shuffles;
    private bool _scheduled;

    /// <param name="scheduler">Where it runs.</param>
    /// <param name="name">For the trace.</param>
    /// <param name="number">For the hash of the trace.</param>
    /// <param name="random">Decides how long each step takes.</param>
    /// <param name="shuffles">Continuations that are ready together run in any order.</param>
    public SimulatedProcess(SimulatedScheduler scheduler, string name, int number, SeededRandom random, bool shuffles)
    {
        _scheduler = scheduler;
        _random = random;
        _shuffles = shuffles;
        Name = name;
        Number = number;
    }

    public string Name { get; }

    public int Number { get; }

    public bool IsDead { get; private set; }

    public bool IsPaused { get; private set; }

    /// <summary>Told when the process is killed.</summary>
    public Action? Killed { get; set; }

    public override SynchronizationContext CreateCopy() => this;

    public override void Post(SendOrPostCallback d, object? state)
    {
        _scheduler.EnsureOnThread();
        if (IsDead) return;
        _ready.Add((d, state));
        Schedule();
    }

    public override void Send(SendOrPostCallback d, object? state) => throw new NotSupportedException("Nothing may block.");

    public void Post(Action action) => Post(static state => ((Action)state!)(), action);

    /// <summary>Runs asynchronous code in this process; an exception that it lets out ends the run.</summary>
    public void Start(Func<Task> code) => Post(async () =>
    {
        try
        {
            await code();
        }
        catch (Exception e)
        {
            _scheduler.Fail(new InvalidOperationException($"{Name} failed: {e.Message}", e));
        }
    });

    public void Kill()
    {
        if (IsDead) return;
        IsDead = true;
        _ready.Clear();
        Killed?.Invoke();
    }

    public void Pause() => IsPaused = true;

    public void Resume()
    {
        IsPaused = false;
        Schedule();
    }

    private void Schedule()
    {
        if (_scheduled || IsPaused || IsDead || _ready.Count == 0) return;
        _scheduled = true;
        _scheduler.At(_scheduler.Now + _random.Next(200), RunOne);
    }

    private void RunOne()
    {
        _scheduled = false;
        if (IsPaused || IsDead || _ready.Count == 0) return;
        var at = _shuffles ? _random.Next(_ready.Count) : 0;
        var (callback, state) = _ready[at];
        _ready.RemoveAt(at);
        _scheduler.Trace.Add(Number);
        var before = Current;
        SetSynchronizationContext(this);
        try
        {
            callback(state);
        }
        catch (Exception e)
        {
            _scheduler.Fail(new InvalidOperationException($"{Name} failed: {e.Message}", e));
        }
        finally
        {
            SetSynchronizationContext(before);
        }

        Schedule();
    }
}
