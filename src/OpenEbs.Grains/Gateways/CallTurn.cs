namespace OpenEbs.Grains.Gateways;

/// <summary>Lets one caller in at a time, in the order in which they came; who has waited long enough goes away.</summary>
internal sealed class CallTurn(TimeProvider time)
{
    private readonly Lock _lock = new();
    private readonly LinkedList<Waiter> _waiters = [];
    private bool _isTaken;

    /// <summary>True when it is the caller's turn, which ends with <see cref="Leave"/>; false when it did not come within <paramref name="patience"/>.</summary>
    /// <exception cref="OperationCanceledException">The wait was cancelled.</exception>
    public async ValueTask<bool> EnterAsync(TimeSpan patience, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        Waiter waiter;
        lock (_lock)
        {
            if (!_isTaken)
            {
                _isTaken = true;
                return true;
            }

            waiter = new Waiter(this);
            _waiters.AddLast(waiter.Place);
        }

        await using var timer = time.CreateTimer(static state => ((Waiter)state!).Withdraw(default), waiter, patience, Timeout.InfiniteTimeSpan);
        using var registration = cancellationToken.UnsafeRegister(static (state, token) => ((Waiter)state!).Withdraw(token), waiter);
        return await waiter.Entered.Task;
    }

    public void Leave()
    {
        Waiter next;
        lock (_lock)
        {
            if (_waiters.First is not { Value: var first })
            {
                _isTaken = false;
                return;
            }

            next = first;
            _waiters.RemoveFirst();
        }

        next.Entered.SetResult(true);
    }

    private sealed class Waiter
    {
        private readonly CallTurn _turn;

        public Waiter(CallTurn turn)
        {
            _turn = turn;
            Place = new LinkedListNode<Waiter>(this);
        }

        public LinkedListNode<Waiter> Place { get; }

        public TaskCompletionSource<bool> Entered { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        /// <summary>Its time is over, or it was cancelled, unless its turn came first.</summary>
        public void Withdraw(CancellationToken cancelled)
        {
            lock (_turn._lock)
            {
                if (Place.List is null) return;
                _turn._waiters.Remove(Place);
            }

            if (cancelled.IsCancellationRequested) Entered.SetCanceled(cancelled);
            else Entered.SetResult(false);
        }
    }
}
