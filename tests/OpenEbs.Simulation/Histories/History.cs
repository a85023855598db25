using OpenEbs.Replication.Volumes;
using OpenEbs.Simulation.Scheduling;
using OpenEbs.Storage.Store;

namespace OpenEbs.Simulation.Histories;

/// <summary>Everything that a run did, seen from outside (commands and answers) and from inside (what each replica was given). Some promises are checked as things happen, the others
/// at the end of the run by <see cref="Check"/>.</summary>
public sealed class History(VolumeOrder order, SimulatedScheduler scheduler)
{
    private readonly Dictionary<long, VolumeCommand> _writes = [];
    private readonly Dictionary<string, ReplicaLedger> _ledgers = [];
    private readonly Dictionary<long, long> _firstAnswer = [];
    private readonly List<(long Epoch, long Moment, IReadOnlyList<ReplicaEntry> Before, LogPosition Kept)> _losses = [];
    private readonly List<(long Moment, long Epoch, LogPosition Floor)> _flushes = [];
    private readonly List<(long Moment, VolumeRecord Record)> _records = [];
    private VolumeRecord? _record;
    private LogPosition _maxAcked;
    private long _moment;

    public List<VolumeCommand> Commands { get; } = [];

    public VolumeOrder Order => order;

    /// <summary>Nothing but a lack of space goes wrong.</summary>
    public bool OnlySpaceRunsOut { get; init; }

    public int LossCount => _losses.Count;

    public IEnumerable<ReplicaLedger> Ledgers => _ledgers.Values;

    public long NextMoment() => ++_moment;

    public ReplicaLedger Ledger(string replica)
    {
        if (!_ledgers.TryGetValue(replica, out var ledger)) _ledgers.Add(replica, ledger = new ReplicaLedger(replica));
        return ledger;
    }

    public (long FirstSector, int SectorCount)? RangeOf(long writeId) => _writes.TryGetValue(writeId, out var write) ? (write.FirstSector, write.SectorCount) : null;

    public void Invoke(VolumeCommand command)
    {
        command.InvokedAt = NextMoment();
        Commands.Add(command);
        if (command.WriteId != 0) _writes.Add(command.WriteId, command);
        if (command.Kind == CommandKind.Flush) command.Position = _maxAcked;
        scheduler.Trace.Add(command.Id);
        if (scheduler.Trace.KeepsText) scheduler.Trace.Write(scheduler.Now, $"invoke {command}");
    }

    public void Complete(VolumeCommand command, CommandOutcome outcome, string detail = "")
    {
        command.Outcome = outcome;
        command.Detail = detail;
        if (outcome is not CommandOutcome.Unknown) command.CompletedAt = NextMoment();
        scheduler.Trace.Add(command.Id + ((long)outcome << 32));
        if (scheduler.Trace.KeepsText) scheduler.Trace.Write(scheduler.Now, $"complete {command}");
    }

    /// <summary>The metadata store holds a new record.</summary>
    public void RecordChanged(VolumeRecord record)
    {
        if (_record is not null && record.DataLossCount > _record.DataLossCount)
        {
            // The replicas were levelled before: the newest end of a log among them is what the volume went back to, also when this epoch never adds to it.
            var kept = record.Replicas.Where(entry => entry.Standing == ReplicaStanding.InSync).Select(entry => Ledger(entry.Id).Last).Max();
            _losses.Add((record.Epoch, NextMoment(), _record.Replicas, kept));
        }

        if (record.InSyncCount == 0) throw new PromiseBrokenException(Promise.AcknowledgedIsReplicated, "the record lists no replica in sync: nobody can know any more which one has everything.");
        foreach (var entry in record.Replicas.Where(entry => entry.Standing == ReplicaStanding.InSync))
        {
            if (_record?.Replicas.FirstOrDefault(other => other.Id == entry.Id) is not { Standing: not ReplicaStanding.InSync }) continue;
            RequireHas(entry, _maxAcked, record.Epoch, "joins the in-sync set");
        }

        RequireKeptInSync(record);
        _record = record;
        _records.Add((NextMoment(), record));
    }

    /// <summary>Whether at some time since a moment no other replica was in sync.</summary>
    public bool WasAloneInSync(string replica, long since)
    {
        for (var i = _records.Count - 1; i >= 0; i--)
        {
            if (!_records[i].Record.Replicas.Any(entry => entry.Standing == ReplicaStanding.InSync && entry.Id != replica)) return true;
            if (_records[i].Moment < since) return false;
        }

        return false;
    }

    /// <summary>A coordinator answered a command with Ok, at its own place: the answer may still be lost on the way.</summary>
    public void Acknowledged(VolumeCommand command, long epoch, bool durable)
    {
        _firstAnswer.TryAdd(epoch, NextMoment());
        if (command.Kind == CommandKind.Flush)
        {
            RaiseFloors(command.Position, epoch);
            return;
        }

        if (command.WriteId == 0) return;
        if (order.Find(command.WriteId, epoch) is not { } position)
            throw new PromiseBrokenException(Promise.AcknowledgedIsReplicated, $"epoch {epoch} acknowledged {command}, but no replica was ever given it by that epoch.");
        foreach (var entry in _record!.Replicas.Where(entry => entry.Standing == ReplicaStanding.InSync)) RequireHas(entry, position, epoch, $"is in sync while {command} is acknowledged");
        if (position > _maxAcked) _maxAcked = position;
        command.AckedEpoch = epoch;
        command.AckedAt = NextMoment();
        command.Position = position;
        if (durable) RaiseFloors(position, epoch);
    }

    /// <summary>A replica drops operations up to which a flush was acknowledged while it was in sync: allowed only to one that is out of the set, and brought level with it.</summary>
    public void TruncatedBelowFloor(ReplicaLedger ledger, LogPosition after)
    {
        if (_record!.Replicas.FirstOrDefault(entry => entry.Id == ledger.Id)?.Standing == ReplicaStanding.InSync && !WasLost(ledger.Floor, _record.Epoch))
            throw new PromiseBrokenException(Promise.FlushedIsDurable, $"replica {ledger.Id} is truncated to {after}, but a flush up to {ledger.Floor} was acknowledged while it was in sync.");
        ledger.Floor = LogPosition.Zero;
    }

    /// <summary>Sectors whose order of events could not be checked: too much of it is uncertain.</summary>
    public int UndecidedCount { get; private set; }

    /// <summary>P1 to P6, over the whole run.</summary>
    public void Check()
    {
        CheckDurability();
        var losses = _losses.Select(loss => new DeclaredLoss(loss.Epoch, loss.Moment, _firstAnswer.GetValueOrDefault(loss.Epoch, long.MaxValue), order.ParentOf(loss.Epoch) ?? loss.Kept)).ToArray();
        var linearizability = new LinearizabilityCheck(Commands, order, losses);
        linearizability.Run();
        UndecidedCount = linearizability.UndecidedCount;
        var atomicity = new AtomicityCheck(Commands, order);
        foreach (var read in Commands.Where(command => command is { Kind: CommandKind.Read, Outcome: CommandOutcome.Ok })) atomicity.Check(read.ToString(), read.FirstSector, read.Found);

        // One that was removed in the middle of a rebuild holds a mixture, at a place in the order that may never have been filled.
        foreach (var ledger in _ledgers.Values.Where(ledger => ledger.Consistency == ReplicaConsistency.Prefix)) atomicity.Check($"replica {ledger.Id}", 0, order.Replay(ledger.Last));
    }

    private void RequireHas(ReplicaEntry entry, LogPosition position, long epoch, string what)
    {
        var ledger = Ledger(entry.Id);
        if (ledger.Consistency == ReplicaConsistency.Prefix && (order.Contains(ledger.Highest, position) || WasLost(position, epoch))) return;
        throw new PromiseBrokenException(Promise.AcknowledgedIsReplicated, $"replica {entry.Id} {what} but lacks {position}: its log ends at {ledger.Highest}, it is {ledger.Consistency}.");
    }

    /// <summary>P8: a full pool takes no replica out of the in-sync set.</summary>
    private void RequireKeptInSync(VolumeRecord record)
    {
        foreach (var entry in record.Replicas.Where(entry => entry.Standing != ReplicaStanding.InSync))
        {
            if (_record?.Find(entry.Id) is not { Standing: ReplicaStanding.InSync }) continue;
            if (OnlySpaceRunsOut || entry.Reason.StartsWith("its pool is full", StringComparison.Ordinal))
                throw new PromiseBrokenException(Promise.FullPoolsHarmNothing, $"replica {entry.Id} left the in-sync set: {entry.Reason}");
        }
    }

    private bool WasLost(LogPosition position, long epoch) => _losses.Any(loss => loss.Epoch > position.Epoch && loss.Epoch <= epoch);

    private void RaiseFloors(LogPosition floor, long epoch)
    {
        if (floor.Seq == 0 || WasLost(floor, epoch)) return;
        _flushes.Add((NextMoment(), epoch, floor));
        foreach (var entry in _record!.Replicas.Where(entry => entry.Standing == ReplicaStanding.InSync))
        {
            var ledger = Ledger(entry.Id);
            if (floor > ledger.Floor) ledger.Floor = floor;
        }
    }

    /// <summary>P1, P2, P4: whatever was acknowledged is in the log of every later epoch that answered anything, unless a loss that the design allows was declared.</summary>
    private void CheckDurability()
    {
        var epochs = _firstAnswer.Keys.Order().ToArray();
        foreach (var command in Commands.Where(command => command.AckedEpoch != 0))
        {
            foreach (var epoch in epochs)
            {
                if (epoch <= command.Position.Epoch || order.TipOf(epoch) is not { } tip || order.Contains(tip, command.Position)) continue;
                RequireAllowed(command, epoch);
            }
        }
    }

    private void RequireAllowed(VolumeCommand command, long epoch)
    {
        if (_flushes.Any(flush => flush.Epoch < epoch && order.Contains(flush.Floor, command.Position)))
            throw new PromiseBrokenException(Promise.FlushedIsDurable, $"epoch {epoch} does not have {command}, acknowledged as {command.Position} and flushed.");
        foreach (var loss in _losses.Where(loss => loss.Epoch > command.Position.Epoch && loss.Epoch <= epoch))
        {
            if (loss.Before.Where(entry => entry.Standing == ReplicaStanding.InSync).All(entry => Ledger(entry.Id).PowerLostAt > command.AckedAt)) return;
        }

        throw new PromiseBrokenException(Promise.AcknowledgedIsReplicated, $"epoch {epoch} does not have {command}, acknowledged as {command.Position}, and no loss that the design allows was declared.");
    }
}
