using System.Threading.Tasks.Sources;

namespace OpenEbs.Replication.Volumes;

/// <summary>What an I/O does with its blocks while it is in flight.</summary>
internal enum RangeUse : byte
{
    Read,

    /// <summary>Two writes may overlap: seq orders them.</summary>
    Write,

    /// <summary>Reads and then writes, as one step.</summary>
    Exclusive,
}

/// <summary>The block ranges of a volume's I/Os in flight, in order of arrival. A read waits for the overlapping writes before it and a write for the overlapping reads,
/// so that no read sees a write that may still be lost (P3) or half of one (P5). First come, first served: nobody starves.</summary>
/// <remarks>Not thread-safe. A scan per I/O over what is in flight: some hundred entries at most (the initiators' queue depths).</remarks>
internal sealed class RangeLocks
{
    private readonly Stack<RangeLock> _free = new();
    private RangeLock? _first;
    private RangeLock? _last;

    public int Count { get; private set; }

    /// <summary>Queues for the range; the entry is granted when it has no blockers.</summary>
    public RangeLock Enter(long block, long blockCount, RangeUse use)
    {
        if (!_free.TryPop(out var entry)) entry = new RangeLock();
        entry.Block = block;
        entry.End = block + blockCount;
        entry.Use = use;
        entry.Blockers = 0;
        for (var earlier = _first; earlier is not null; earlier = earlier.Next)
        {
            if (Conflict(earlier, entry)) entry.Blockers++;
        }

        entry.Previous = _last;
        entry.Next = null;
        if (_last is null) _first = entry;
        else _last.Next = entry;
        _last = entry;
        Count++;
        return entry;
    }

    public void Exit(RangeLock entry)
    {
        for (var later = entry.Next; later is not null; later = later.Next)
        {
            if (Conflict(entry, later) && --later.Blockers == 0) later.Grant();
        }

        if (entry.Previous is null) _first = entry.Next;
        else entry.Previous.Next = entry.Next;
        if (entry.Next is null) _last = entry.Previous;
        else entry.Next.Previous = entry.Previous;
        entry.Previous = entry.Next = null;
        Count--;
        entry.Reset();
        if (_free.Count < 256) _free.Push(entry);
    }

    /// <summary>Ends the waits that have lasted too long.</summary>
    public void Expire(VolumeContext context)
    {
        for (var entry = _first; entry is not null; entry = entry.Next) entry.Expire(context);
    }

    private static bool Conflict(RangeLock a, RangeLock b) =>
        (a.Use != b.Use || a.Use == RangeUse.Exclusive) && a.Block < b.End && b.Block < a.End;
}

/// <summary>A place in <see cref="RangeLocks"/>; awaited at most once.</summary>
internal sealed class RangeLock : IValueTaskSource<bool>
{
    private ManualResetValueTaskSourceCore<bool> _granted = new() { RunContinuationsAsynchronously = true };
    private bool _awaited;
    private bool _answered;
    private IoDeadline? _deadline;

    public long Block;
    public long End;
    public RangeUse Use;
    public int Blockers;
    public RangeLock? Previous;
    public RangeLock? Next;

    public bool IsGranted => Blockers == 0;

    /// <summary>False when the deadline passed first: the range is still to be left, and nothing may be done with it.</summary>
    public ValueTask<bool> GrantedAsync(IoDeadline? deadline = null)
    {
        if (Blockers == 0) return ValueTask.FromResult(true);
        _awaited = true;
        _deadline = deadline;
        return new ValueTask<bool>(this, _granted.Version);
    }

    public void Grant() => Answer(true);

    public void Expire(VolumeContext context)
    {
        if (_deadline is { } deadline && !_answered && deadline.HasPassed(context)) Answer(false);
    }

    public void Reset()
    {
        if (!_awaited) return;
        _awaited = _answered = false;
        _deadline = null;
        _granted.Reset();
    }

    private void Answer(bool granted)
    {
        if (!_awaited || _answered) return;
        _answered = true;
        _granted.SetResult(granted);
    }

    bool IValueTaskSource<bool>.GetResult(short token) => _granted.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<bool>.GetStatus(short token) => _granted.GetStatus(token);

    void IValueTaskSource<bool>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _granted.OnCompleted(continuation, state, token, flags);
}
