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
public static class RegisterHistory
{
    private const int MaxOpen = 64;

    /// <summary>The operation that no order explains; null when the history is linearizable.</summary>
    public static RegisterOperation? FindContradiction(IReadOnlyList<RegisterOperation> operations, long initialValue = 0)
    {
        var relevant = operations.Where(operation => !operation.Optional || IsObserved(operation, operations)).ToArray();
        var moments = new List<(long Moment, int Operation, bool Ends)>(relevant.Length * 2);
        for (var i = 0; i < relevant.Length; i++)
        {
            moments.Add((relevant[i].Start, i, false));
            if (!relevant[i].Optional) moments.Add((relevant[i].End, i, true));
        }

        moments.Sort();
        var open = new RegisterOperation?[MaxOpen];
        var slotOf = new int[relevant.Length];
        var states = new HashSet<State> { new(initialValue, 0) };
        foreach (var (_, index, ends) in moments)
        {
            if (!ends)
            {
                slotOf[index] = Array.IndexOf(open, null);
                if (slotOf[index] < 0) throw new InvalidOperationException($"More than {MaxOpen} operations are open on one sector; the checker cannot follow them.");
                open[slotOf[index]] = relevant[index];
                continue;
            }

            var slot = slotOf[index];
            states = Complete(states, open, slot);
            if (states.Count == 0) return relevant[index];
            open[slot] = null;
        }

        return null;
    }

    /// <summary>An optional write that nobody saw can be left out: then it did not happen.</summary>
    private static bool IsObserved(RegisterOperation optional, IReadOnlyList<RegisterOperation> operations) => operations.Any(operation =>
        (operation.Action == RegisterAction.Read && operation.Value == optional.Value)
        || (operation.Action == RegisterAction.Swap && operation.Expected == optional.Value)
        || operation.Action == RegisterAction.Differ);

    /// <summary>All states in which the operation in <paramref name="slot"/> has happened; its mark is removed, as the slot will be used again.</summary>
    private static HashSet<State> Complete(HashSet<State> states, RegisterOperation?[] open, int slot)
    {
        var bit = 1UL << slot;
        var result = new HashSet<State>();
        var seen = new HashSet<State>();
        var todo = new Stack<State>();
        foreach (var state in states) Push(state);
        while (todo.TryPop(out var state))
        {
            if ((state.Happened & bit) != 0)
            {
                result.Add(state with { Happened = state.Happened & ~bit });
                continue;
            }

            for (var i = 0; i < open.Length; i++)
            {
                if (open[i] is not { } operation || (state.Happened & (1UL << i)) != 0) continue;
                if (Step(state.Value, operation) is { } value) Push(new State(value, state.Happened | (1UL << i)));
            }
        }

        return result;

        void Push(State state)
        {
            if (seen.Add(state)) todo.Push(state);
        }
    }

    private static long? Step(long value, RegisterOperation operation) => operation.Action switch
    {
        RegisterAction.Write => operation.Value,
        RegisterAction.Read => value == operation.Value ? value : null,
        RegisterAction.Swap => value == operation.Expected ? operation.Value : null,
        RegisterAction.Differ => value != operation.Expected ? value : null,
        _ => throw new ArgumentOutOfRangeException(nameof(operation), operation.Action, "Unknown action."),
    };

    private readonly record struct State(long Value, ulong Happened);
}
