namespace OpenEbs.Replication.Volumes;

/// <summary>Where I/O waits while the volume does not serve, in the order in which it came.</summary>
internal sealed class IoGate(VolumeContext context)
{
    private readonly LinkedList<Waiter> _waiters = [];

    public bool IsIdle => _waiters.Count == 0;

    /// <summary>Commands that were let in and have not ended; whole blocks that are written count only until they have their place in the order.</summary>
    public int InsideCount { get; private set; }

    /// <summary>Counts a command until the answer is disposed.</summary>
    public Passage Enter()
    {
        InsideCount++;
        return new Passage(this);
    }

    /// <summary>Ok once the volume serves, TimedOut at the deadline, else why it never will.</summary>
    public async ValueTask<VolumeIoStatus> WaitAsync(IoDeadline deadline)
    {
        var waiter = new Waiter(deadline);
        _waiters.AddLast(waiter);
        return await waiter.Passed.Task;
    }

    /// <summary>Lets all go with one answer.</summary>
    public void Answer(VolumeIoStatus status)
    {
        while (_waiters.First is { Value: var waiter })
        {
            _waiters.RemoveFirst();
            waiter.Passed.TrySetResult(status);
        }
    }

    /// <summary>Ends what has waited long enough.</summary>
    public void Expire()
    {
        for (var node = _waiters.First; node is not null;)
        {
            var next = node.Next;
            if (node.Value.Deadline.HasPassed(context))
            {
                _waiters.Remove(node);
                node.Value.Passed.TrySetResult(VolumeIoStatus.TimedOut);
            }

            node = next;
        }
    }

    /// <summary>One command that was let in.</summary>
    internal readonly struct Passage(IoGate gate) : IDisposable
    {
        public void Dispose() => gate.InsideCount--;
    }

    private sealed class Waiter(IoDeadline deadline)
    {
        public IoDeadline Deadline { get; } = deadline;

        public TaskCompletionSource<VolumeIoStatus> Passed { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
