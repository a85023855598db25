using OpenEbs.Storage.Store;

namespace OpenEbs.Simulation.Histories;

/// <summary>A loss that the design allows and that the volume owned up to: it went back to an older state at some moment between the two.</summary>
/// <param name="Epoch">The coordinator that found it.</param>
/// <param name="Start">When its record said so.</param>
/// <param name="End">When it first answered; long.MaxValue when it never did.</param>
/// <param name="Kept">The newest operation that was left.</param>
public sealed record DeclaredLoss(long Epoch, long Start, long End, LogPosition Kept);

/// <summary>P3: whether every sector of the volume behaved as one register with one order of events, whatever coordinators there were.</summary>
public sealed class LinearizabilityCheck(IReadOnlyList<VolumeCommand> commands, VolumeOrder order, IReadOnlyList<DeclaredLoss> losses)
{
    /// <summary>Sectors (or groups of sectors of one history) of which nothing can be said.</summary>
    public int UndecidedCount { get; private set; }

    /// <exception cref="PromiseBrokenException">It did not.</exception>
    public void Run()
    {
        var bySector = new List<RegisterOperation>?[order.SectorCount];
        foreach (var command in commands) Add(command, bySector);
        foreach (var loss in losses) Add(loss, bySector);
        var known = new HashSet<ulong>();
        for (var sector = 0; sector < bySector.Length; sector++)
        {
            // Sectors that always travelled together have the same history: one of them is enough.
            if (bySector[sector] is not { } operations || !known.Add(Signature(operations))) continue;
            try
            {
                if (RegisterHistory.FindContradiction(operations) is { } wrong) throw Explain(sector, operations, wrong);
            }
            catch (UndecidedException)
            {
                UndecidedCount++;
            }
        }
    }

    private static ulong Signature(List<RegisterOperation> operations)
    {
        var hash = 14695981039346656037UL;
        foreach (var operation in operations)
        {
            Mix((ulong)operation.Command);
            Mix((ulong)operation.Action);
            Mix((ulong)operation.Value);
            Mix((ulong)operation.Expected);
            Mix((ulong)operation.Start);
        }

        return hash;

        void Mix(ulong value) => hash = ulong.RotateLeft((hash ^ value) * 0x9E3779B97F4A7C15, 29);
    }

    private void Add(VolumeCommand command, List<RegisterOperation>?[] bySector)
    {
        if (command.Kind == CommandKind.Flush || command.Outcome == CommandOutcome.Failed) return;
        var pending = command.Outcome is CommandOutcome.Pending or CommandOutcome.Unknown;
        if (command.Kind == CommandKind.Read)
        {
            if (pending) return;
            for (var i = 0; i < command.SectorCount; i++)
                AddOne(bySector, command, i, new RegisterOperation(RegisterAction.Read, command.Found[i], 0, command.InvokedAt, command.CompletedAt, false, command.Id));
            return;
        }

        // What a try before a declared loss did may have been seen and then lost; a try after it then does it once more.
        var split = losses.LastOrDefault(loss => command.Attempts.Any(attempt => attempt.Epoch < loss.Epoch) && command.Attempts.Any(attempt => attempt.Epoch >= loss.Epoch));
        var start = command.InvokedAt;
        if (split is not null)
        {
            AddChange(bySector, command, command.InvokedAt, long.MaxValue, optional: true);
            start = split.Start;
        }

        AddChange(bySector, command, start, command.CompletedAt, pending);
    }

    private static void AddChange(List<RegisterOperation>?[] bySector, VolumeCommand command, long start, long end, bool optional)
    {
        for (var i = 0; i < command.SectorCount; i++)
        {
            if (command.Kind != CommandKind.CompareAndWrite)
            {
                AddOne(bySector, command, i, new RegisterOperation(RegisterAction.Write, command.WriteId, 0, start, end, optional, command.Id));
            }
            else if (command.Outcome != CommandOutcome.Miscompare)
            {
                AddOne(bySector, command, i, new RegisterOperation(RegisterAction.Swap, command.WriteId, command.Expected[i], start, end, optional, command.Id));
            }
            else if (i <= command.MiscompareSector)
            {
                var action = i < command.MiscompareSector ? RegisterAction.Read : RegisterAction.Differ;
                AddOne(bySector, command, i, new RegisterOperation(action, command.Expected[i], command.Expected[i], start, end, false, command.Id));
            }
        }
    }

    private void Add(DeclaredLoss loss, List<RegisterOperation>?[] bySector)
    {
        long[]? sectors = null;
        var done = new HashSet<long>();
        foreach (var (_, effect) in order.Discarded(loss.Epoch, loss.Kept))
        {
            if (effect.Kind == OperationKind.Mark) continue;
            sectors ??= order.Replay(loss.Kept);
            for (var sector = effect.FirstSector; sector < effect.FirstSector + effect.SectorCount; sector++)
            {
                if (!done.Add(sector)) continue;
                (bySector[sector] ??= []).Add(new RegisterOperation(RegisterAction.Write, sectors[sector], 0, loss.Start, loss.End, loss.End == long.MaxValue, -(int)loss.Epoch));
            }
        }
    }

    private static void AddOne(List<RegisterOperation>?[] bySector, VolumeCommand command, int index, RegisterOperation operation) =>
        (bySector[command.FirstSector + index] ??= []).Add(operation);

    private PromiseBrokenException Explain(int sector, List<RegisterOperation> operations, RegisterOperation wrong)
    {
        var around = operations.Where(operation => operation.Start <= wrong.End && (operation.End >= wrong.Start - 400 || operation.Optional || operation.Value == wrong.Value))
            .OrderBy(operation => operation.Start).TakeLast(24).Select(Describe);
        return new PromiseBrokenException(Promise.ReadsSeeLastWrite,
            $"no order of events explains sector {sector}: {Describe(wrong)} cannot be. What happened to it:\n  {string.Join("\n  ", around)}");
    }

    private string Describe(RegisterOperation operation)
    {
        var by = operation.Command < 0 ? $"loss declared by epoch {-operation.Command}" : commands.First(command => command.Id == operation.Command).ToString();
        return $"{operation.Action} value {operation.Value}{(operation.Action is RegisterAction.Swap or RegisterAction.Differ ? $" expected {operation.Expected}" : "")}"
            + $" [{operation.Start}, {(operation.End == long.MaxValue ? "-" : operation.End)}]{(operation.Optional ? " perhaps" : "")} of {by}";
    }
}
