namespace OpenEbs.Replication.Volumes;

/// <summary>Where I/O waits while the volume does not serve, in the order in which it came.</summary>
internal sealed class IoGate
{
    private readonly Queue<Waiter> _waiters = new();

    public bool IsIdle => _waiters.Count == 0;

    /// <summary>Ok once the volume serves, TimedOut at the deadline, else why it never will.</summary>
    public async ValueTask<VolumeIoStatus> WaitAsync(long deadline)
    {
        var waiter = new Waiter(deadline);
        _waiters.Enqueue(waiter);
        return await waiter.Passed.Task;
    }

    /// <summary>Lets all go with one answer.</summary>
    public void Answer(VolumeIoStatus status)
    {
        while (_waiters.TryDequeue(out var waiter)) waiter.Passed.TrySetResult(status);
    }

    /// <summary>Ends what has waited long enough.</summary>
    public void Expire(long now)
    {
        while (_waiters.TryPeek(out var waiter) && waiter.Deadline <= now) _waiters.Dequeue().Passed.TrySetResult(VolumeIoStatus.TimedOut);
    }

    private sealed class Waiter(long deadline)
    {
        public long Deadline { get; } = deadline;

        public TaskCompletionSource<VolumeIoStatus> Passed { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
