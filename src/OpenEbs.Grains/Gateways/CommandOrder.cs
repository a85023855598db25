namespace OpenEbs.Grains.Gateways;

/// <summary>Keeps overlapping commands of one connection in the order in which they were given, where that matters.</summary>
/// <remarks>A command whose call failed is sent again, so it may take effect twice. That is harmless as long as nothing that overlaps it comes between: a write W2 acknowledged between the
/// two effects of W1 would be undone by the second. So a write waits for every earlier write that it overlaps; a read only for those whose outcome is unknown.</remarks>
internal sealed class CommandOrder
{
    private readonly Lock _lock = new();
    private readonly Stack<Turn> _idle = new();
    private Turn? _first;
    private Turn? _last;

    /// <summary>Takes the next place. The command may be sent when <see cref="FindObstacle"/> answers null.</summary>
    public Turn Enter(long offsetBytes, long lengthBytes, bool writes)
    {
        lock (_lock)
        {
            if (!_idle.TryPop(out var turn)) turn = new Turn();
            turn.OffsetBytes = offsetBytes;
            turn.LengthBytes = lengthBytes;
            turn.Writes = writes;
            turn.IsUnknown = false;
            turn.Previous = _last;
            turn.Next = null;
            if (_last is null) _first = turn;
            else _last.Next = turn;
            _last = turn;
            return turn;
        }
    }

    /// <summary>Completes when an earlier command that must end first has ended (ask again then); null when there is none.</summary>
    public Task? FindObstacle(Turn turn)
    {
        lock (_lock)
        {
            for (var earlier = turn.Previous; earlier is not null; earlier = earlier.Previous)
            {
                if (earlier.Writes && (turn.Writes || earlier.IsUnknown) && earlier.Overlaps(turn)) return earlier.WhenLeft();
            }

            return null;
        }
    }

    /// <summary>The command's call failed: nothing is known of its outcome until a retry ends it.</summary>
    public void MarkUnknown(Turn turn)
    {
        lock (_lock) turn.IsUnknown = true;
    }

    public void Leave(Turn turn)
    {
        TaskCompletionSource? left;
        lock (_lock)
        {
            if (turn.Previous is null) _first = turn.Next;
            else turn.Previous.Next = turn.Next;
            if (turn.Next is null) _last = turn.Previous;
            else turn.Next.Previous = turn.Previous;
            left = turn.Left;
            turn.Left = null;
            turn.Previous = null;
            turn.Next = null;
            _idle.Push(turn);
        }

        left?.SetResult();
    }

    /// <summary>A command's place in the order.</summary>
    internal sealed class Turn
    {
        public long OffsetBytes { get; set; }

        public long LengthBytes { get; set; }

        public bool Writes { get; set; }

        public bool IsUnknown { get; set; }

        public Turn? Previous { get; set; }

        public Turn? Next { get; set; }

        public TaskCompletionSource? Left { get; set; }

        public bool Overlaps(Turn other) => OffsetBytes < other.OffsetBytes + other.LengthBytes && other.OffsetBytes < OffsetBytes + LengthBytes;

        public Task WhenLeft() => (Left ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
    }
}
