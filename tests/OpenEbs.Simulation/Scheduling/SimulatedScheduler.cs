using System.Runtime.ExceptionServices;

namespace OpenEbs.Simulation.Scheduling;

/// <summary>The only thread of a run: a queue of events in order of virtual time, equal times in an order that the seed decides. When nothing is due, time jumps.</summary>
public sealed class SimulatedScheduler
{
    private readonly PriorityQueue<Action, (long Time, ulong Tie)> _events = new();
    private readonly SeededRandom _random;
    private readonly SynchronizationContext _outside;
    private readonly int _threadId = Environment.CurrentManagedThreadId;
    private Exception? _failure;

    public SimulatedScheduler(SeededRandom random, Trace trace)
    {
        _random = random;
        Trace = trace;
        _outside = new OutsideContext(this);
    }

    public Trace Trace { get; }

    /// <summary>Ticks of 100 ns since the run began.</summary>
    public long Now { get; private set; }

    public long EventCount { get; private set; }

    public void At(long time, Action action) => _events.Enqueue(action, (Math.Max(time, Now), _random.NextUlong()));

    public void After(TimeSpan delay, Action action) => At(Now + delay.Ticks, action);

    /// <summary>Awaited by the world's own scripts, which belong to no process and are never paused.</summary>
    public Task Delay(TimeSpan delay)
    {
        var done = new TaskCompletionSource();
        After(delay, done.SetResult);
        return done.Task;
    }

    /// <summary>The run ends with this.</summary>
    public void Fail(Exception exception)
    {
        for (var inner = exception; inner is not null; inner = inner.InnerException)
        {
            if (inner is Histories.PromiseBrokenException) exception = inner;
        }

        _failure ??= exception;
    }

    /// <summary>Called wherever simulated code arrives: nothing may run on another thread.</summary>
    public void EnsureOnThread()
    {
        if (Environment.CurrentManagedThreadId == _threadId) return;
        Console.Error.WriteLine(Environment.StackTrace);
        throw new InvalidOperationException("Code escaped the simulated scheduler to another thread.");
    }

    /// <summary>Runs until <paramref name="script"/> has ended.</summary>
    public void RunUntil(Func<Task> script, TimeSpan limit)
    {
        var before = SynchronizationContext.Current;
        SynchronizationContext.SetSynchronizationContext(_outside);
        try
        {
            var task = script();
            while (!task.IsCompleted && _failure is null)
            {
                if (!_events.TryDequeue(out var next, out var priority)) throw new InvalidOperationException("The simulation stands still: nothing is left that could happen.");
                if (priority.Time > limit.Ticks) throw new TimeoutException($"The run did not end within {limit} of virtual time.");
                Now = priority.Time;
                EventCount++;
                Trace.Add(Now);
                next();
            }

            if (_failure is not null) ExceptionDispatchInfo.Throw(_failure);
            task.GetAwaiter().GetResult();
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(before);
        }
    }

    /// <summary>Where continuations of the world itself run.</summary>
    private sealed class OutsideContext(SimulatedScheduler scheduler) : SynchronizationContext
    {
        public override void Post(SendOrPostCallback d, object? state)
        {
            scheduler.EnsureOnThread();
            scheduler.At(scheduler.Now, () =>
            {
                try
                {
                    d(state);
                }
                catch (Exception e)
                {
                    scheduler.Fail(e);
                }
            });
        }

        public override void Send(SendOrPostCallback d, object? state) => throw new NotSupportedException("Nothing may block.");
    }
}
