using System.Numerics;

namespace OpenEbs.Simulation.Histories;

public enum RegisterAction
{
    /// <summary>Leaves Value.</summary>
    Write,

    /// <summary>Found Value.</summary>
    Read,

    /// <summary>Found Expected and left Value.</summary>
    Swap,

    /// <summary>Found something other than Expected.</summary>
    Differ,
}

/// <summary>An operation on one sector, from the moment it was asked to the moment it was answered. An optional one may never have happened.</summary>
public readonly record struct RegisterOperation(RegisterAction Action, long Value, long Expected, long Start, long End, bool Optional, int Command);

/// <summary>Decides whether what happened to one sector is linearizable: whether each operation can be given a moment between its start and its end so that all reads are right.
/// Exact: keeps every state that the sector may be in (value, and which of the open operations have happened), and follows all of them through the history.</summary>
/// <remarks>What spares it states that no later operation tells apart: a read happens as soon as it can; a value that nobody will look at any more is <see cref="Unseen"/>, whichever it
/// is; and a write of such a value happens just before another write, or when it must. While a <see cref="RegisterAction.Differ"/> is to come that may need such writes, they happen in
/// the order in which they end, as each leaves the sector in the same state; and those that may never have happened only where it does need one.</remarks>
public sealed class RegisterHistory
{
    private const int MaxOpen = 64;

    /// <summary>States of one sector at one moment that are followed at most: seconds of work.</summary>
    private const int MaxStates = 1 << 17;
    private const long Unseen = long.MinValue;

    private readonly RegisterOperation[] _operations;
    private readonly RegisterOperation[] _differs;
    private readonly Dictionary<long, long> _lastLook = [];
    private readonly RegisterOperation?[] _open = new RegisterOperation?[MaxOpen];

    private RegisterHistory(IReadOnlyList<RegisterOperation> operations)
    {
        foreach (var operation in operations)
        {
            if (operation.Action == RegisterAction.Write) continue;
            var end = operation.Optional ? long.MaxValue : operation.End;
            var looksFor = operation.Action == RegisterAction.Read ? operation.Value : operation.Expected;
            _lastLook[looksFor] = Math.Max(end, _lastLook.GetValueOrDefault(looksFor, long.MinValue));
        }

        // An optional operation that nobody saw can be left out: then it did not happen.
        _differs = [.. operations.Where(operation => operation.Action == RegisterAction.Differ)];
        _operations = [.. operations.Where(operation => !operation.Optional || LastUse(operation) > operation.Start)];
    }

    private enum Step
    {
        Opens,
        Ends,

        /// <summary>Whether an optional operation happened no longer matters.</summary>
        Expires,
    }

    /// <summary>The operation that no order explains; null when the history is linearizable.</summary>
    /// <exception cref="UndecidedException">Too much was open at a time to tell.</exception>
    public static RegisterOperation? FindContradiction(IReadOnlyList<RegisterOperation> operations, long initialValue = 0) => new RegisterHistory(operations).Find(initialValue);

    private RegisterOperation? Find(long initialValue)
    {
        var moments = new List<(long Moment, Step Step, int Operation)>(_operations.Length * 2);
        for (var i = 0; i < _operations.Length; i++)
        {
            moments.Add((_operations[i].Start, Step.Opens, i));
            moments.Add(_operations[i].Optional ? (LastUse(_operations[i]), Step.Expires, i) : (_operations[i].End, Step.Ends, i));
        }

        moments.Sort();
        var slotOf = new int[_operations.Length];
        var states = new HashSet<State> { new(initialValue, 0) };
        foreach (var (now, step, index) in moments)
        {
            if (step == Step.Opens)
            {
                slotOf[index] = Array.IndexOf(_open, null);
                if (slotOf[index] < 0) throw new InvalidOperationException($"More than {MaxOpen} operations are open on one sector; the checker cannot follow them.");
                _open[slotOf[index]] = _operations[index];
                continue;
            }

            var slot = slotOf[index];
            states = step == Step.Ends ? Complete(states, slot, now) : [.. states.Select(state => state with { Happened = state.Happened & ~(1UL << slot) })];
            if (states.Count == 0) return _operations[index];
            _open[slot] = null;
        }

        return null;
    }

    /// <summary>All states in which the operation in <paramref name="slot"/> has happened; its mark is removed, as the slot will be used again.</summary>
    private HashSet<State> Complete(HashSet<State> states, int slot, long now)
    {
        var bit = 1UL << slot;
        var (idle, inTurn, spare) = UnseenWrites(now);
        var optional = OpenOptional();
        var result = new Frontier();
        var seen = new Frontier();

        // Those that use up the fewest first: they rule the others out.
        var todo = new PriorityQueue<State, int>();
        foreach (var state in states) Push(state);
        while (todo.TryDequeue(out var state, out _))
        {
            if (!seen.Holds(state, optional)) continue;
            if ((state.Happened & bit) != 0)
            {
                result.TryAdd(state with { Happened = state.Happened & ~bit }, optional & ~bit);
                continue;
            }

            var spent = !IsDifferWanted(state);
            for (var i = 0; i < MaxOpen; i++)
            {
                var own = 1UL << i;
                if (_open[i] is not { } operation || (state.Happened & own) != 0 || ((idle & own) != 0 && i != slot) || ((spare & own) != 0 && spent) || ((inTurn & own) != 0 && !IsNext(i, inTurn & ~state.Happened))) continue;
                spent |= (spare & own) != 0;
                if (Apply(state.Value, operation) is not { } value) continue;
                Push(new State(value, state.Happened | own | (operation.Action == RegisterAction.Write ? idle : 0)));
            }
        }

        return result.All();

        void Push(State state)
        {
            if (LastLook(state.Value) < now) state = new State(Unseen, state.Happened | idle);
            for (var i = 0; i < MaxOpen; i++)
            {
                if (_open[i] is { Action: RegisterAction.Read or RegisterAction.Differ } operation && Apply(state.Value, operation) is not null) state = state with { Happened = state.Happened | (1UL << i) };
            }

            if (seen.Count >= MaxStates) throw new UndecidedException();
            if (seen.TryAdd(state, optional)) todo.Enqueue(state, BitOperations.PopCount(state.Happened & optional));
        }
    }

    private ulong OpenOptional()
    {
        var mask = 0UL;
        for (var i = 0; i < MaxOpen; i++)
        {
            if (_open[i] is { Optional: true }) mask |= 1UL << i;
        }

        return mask;
    }

    /// <summary>The open writes whose values nobody will look at: those of no use to any operation, those that a Differ may need, and those that may never have happened.</summary>
    private (ulong Idle, ulong InTurn, ulong Spare) UnseenWrites(long now)
    {
        var (idle, inTurn, spare) = (0UL, 0UL, 0UL);
        var isDifferAhead = _differs.Any(differ => differ.End >= now);
        for (var i = 0; i < MaxOpen; i++)
        {
            if (_open[i] is not { Action: RegisterAction.Write } operation || LastLook(operation.Value) >= now) continue;
            if (operation.Optional) spare |= 1UL << i;
            else if (isDifferAhead) inTurn |= 1UL << i;
            else idle |= 1UL << i;
        }

        return (idle, inTurn, spare);
    }

    /// <summary>Whether no other of the open operations in <paramref name="mask"/> ends before this one.</summary>
    private bool IsNext(int slot, ulong mask)
    {
        for (var i = 0; i < MaxOpen; i++)
        {
            if ((mask & (1UL << i)) != 0 && _open[i]!.Value.End < _open[slot]!.Value.End) return false;
        }

        return true;
    }

    private bool IsDifferWanted(State state)
    {
        for (var i = 0; i < MaxOpen; i++)
        {
            if (_open[i] is { Action: RegisterAction.Differ } differ && (state.Happened & (1UL << i)) == 0 && differ.Expected == state.Value) return true;
        }

        return false;
    }

    /// <summary>When the last operation ends that depends on whether the sector has this value.</summary>
    private long LastLook(long value) => _lastLook.GetValueOrDefault(value, long.MinValue);

    /// <summary>When the last operation ends that may need an optional one.</summary>
    private long LastUse(RegisterOperation optional) => _differs.Aggregate(LastLook(optional.Value), (last, differ) => Math.Max(last, differ.End));

    private static long? Apply(long value, RegisterOperation operation) => operation.Action switch
    {
        RegisterAction.Write => operation.Value,
        RegisterAction.Read => value == operation.Value ? value : null,
        RegisterAction.Swap => value == operation.Expected ? operation.Value : null,
        RegisterAction.Differ => value != operation.Expected ? value : null,
        _ => throw new ArgumentOutOfRangeException(nameof(operation), operation.Action, "Unknown action."),
    };

    private readonly record struct State(long Value, ulong Happened);

    /// <summary>States none of which another one makes superfluous: with the same value, and the same having happened of what must happen, whatever can follow where more of the optional
    /// operations are used up can follow where fewer are, as none of them ever has to happen.</summary>
    private sealed class Frontier
    {
        private readonly Dictionary<(long Value, ulong Required), List<ulong>> _optional = [];

        public int Count { get; private set; }

        public bool TryAdd(State state, ulong optional)
        {
            var key = (state.Value, state.Happened & ~optional);
            var used = state.Happened & optional;
            if (!_optional.TryGetValue(key, out var others)) _optional[key] = others = [];
            foreach (var other in others)
            {
                if ((other & ~used) == 0) return false;
            }

            Count += 1 - others.RemoveAll(other => (used & ~other) == 0);
            others.Add(used);
            return true;
        }

        /// <summary>False when another one has made it superfluous since it was added.</summary>
        public bool Holds(State state, ulong optional) => _optional.TryGetValue((state.Value, state.Happened & ~optional), out var others) && others.Contains(state.Happened & optional);

        public HashSet<State> All() => [.. _optional.SelectMany(group => group.Value, (group, used) => new State(group.Key.Value, group.Key.Required | used))];
    }
}

/// <summary>A sector has more possible histories than can be followed: so many writes of unknown outcome, and losses that were declared, met on it.</summary>
public sealed class UndecidedException() : Exception("More histories of one sector are possible than can be followed.");
