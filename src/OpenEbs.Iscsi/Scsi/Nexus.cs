using OpenEbs.Iscsi.Access;
using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Iscsi.Scsi.Copies;
using OpenEbs.Iscsi.Scsi.Reservations;
using OpenEbs.Iscsi.Scsi.Sense;
using OpenEbs.Iscsi.Scsi.Shared;

namespace OpenEbs.Iscsi.Scsi;

/// <summary>The relation of one session to the logical unit (an I_T_L nexus): its store, its unit attentions, its deferred errors.</summary>
internal sealed class Nexus
{
    private readonly Lock _gate = new();
    private LogicalUnitFacts _facts;
    private SharedState _shared;
    private UnitState _state;
    private SenseData? _deferred;
    private volatile bool _hasDeferred;

    public Nexus(LogicalUnit unit, ILogicalUnitStore store, NexusId id)
    {
        Unit = unit;
        Store = store;
        Id = id;
        _facts = store.Facts;
        _shared = store.Shared;
        _state = unit.Decode(_shared);

        // SAM-5 §5.14: a new nexus starts with a power on condition, so that the initiator reads mode pages and capacity afresh.
        UnitAttentions.Establish(AdditionalSense.PowerOnResetOrBusDeviceReset);
    }

    public LogicalUnit Unit { get; }

    public ILogicalUnitStore Store { get; }

    public NexusId Id { get; }

    /// <summary>Who logged in; decides which other units its copies may touch. Null for none: its own only.</summary>
    public LoginIdentity? Identity { get; set; }

    /// <summary>Aborts the commands of this nexus that were checked against an earlier version of the shared state than the one given. Set by the session.</summary>
    public Action<long>? AbortEarlier { get; set; }

    public UnitAttentionQueue UnitAttentions { get; } = new();

    public CopyResults Copies { get; } = new();

    public bool HasDeferredError => _hasDeferred;

    /// <summary>The facts as of now; turns each change since the last look into a unit attention.</summary>
    public LogicalUnitFacts RefreshFacts()
    {
        var now = Store.Facts;
        var before = Volatile.Read(ref _facts);
        if (ReferenceEquals(now, before)) return now;
        lock (_gate)
        {
            before = _facts;
            _facts = now;
        }

        if (now.SizeBytes != before.SizeBytes) UnitAttentions.Establish(AdditionalSense.CapacityDataHasChanged);
        if (now.WriteCache != before.WriteCache || now.IsWriteProtected != before.IsWriteProtected) UnitAttentions.Establish(AdditionalSense.ModeParametersChanged);
        if (now.OptimizedPort != before.OptimizedPort) UnitAttentions.Establish(AdditionalSense.AsymmetricAccessStateChanged);

        // The volume lost what a volatile write cache loses when power goes (design section 4): POWER ON OCCURRED is what a disk says then.
        if (now.DataLossCount != before.DataLossCount) UnitAttentions.Establish(AdditionalSense.PowerOnOccurred);
        return now;
    }

    /// <summary>The shared state as it is known now; turns what happened since the last look into unit attentions, and aborts the commands that it ends.</summary>
    public UnitState RefreshState()
    {
        var now = Store.Shared;
        if (ReferenceEquals(now, Volatile.Read(ref _shared))) return Volatile.Read(ref _state);
        UnitState state;
        long aborted = 0;
        lock (_gate)
        {
            if (ReferenceEquals(now, _shared)) return _state;
            state = Unit.Decode(now);

            // What is no longer known in detail (or was taken back, by a volume that was restored) is told as what includes it.
            if (_state.Version < state.EventsSince || now.Version < _state.Version) UnitAttentions.Establish(AdditionalSense.PowerOnResetOrBusDeviceReset);
            foreach (var happened in state.Events)
            {
                if (happened.Version <= _state.Version || !happened.Concerns(Id)) continue;
                UnitAttentions.Establish(happened.Code);
                if (happened.AbortsCommands) aborted = happened.Version;
            }

            _state = state;
            Volatile.Write(ref _shared, now);
        }

        if (aborted != 0) AbortEarlier?.Invoke(aborted);
        return state;
    }

    /// <summary>Ends a command with what this nexus has still to hear of: a deferred error or a unit attention. False when there is nothing.</summary>
    public bool TryReport(ScsiCommand command)
    {
        if (HasDeferredError && TryTakeDeferred(out var deferred)) command.Fail(deferred);
        else if (UnitAttentions.Any && UnitAttentions.TryTake(out var attention)) command.Fail(new SenseData(SenseKey.UnitAttention, attention));
        else return false;
        return true;
    }

    /// <summary>A command that was aborted will not be answered: the unit attention or deferred error that it would have reported is still to be reported (SAM-5 §5.14.5).</summary>
    public void TakeBack(ScsiCommand command)
    {
        if (command.Status != ScsiStatus.CheckCondition) return;
        if (command.Sense.IsDeferred) Defer(command.Sense);
        else if (command.Sense.Key == SenseKey.UnitAttention) UnitAttentions.Establish(command.Sense.Code);
    }

    /// <summary>Keeps an error of a command that has already been answered (SPC-4 §4.5.5).</summary>
    public void Defer(in SenseData sense)
    {
        lock (_gate)
        {
            _deferred ??= sense with { IsDeferred = true };
            _hasDeferred = true;
        }
    }

    public bool TryTakeDeferred(out SenseData sense)
    {
        lock (_gate)
        {
            sense = _deferred.GetValueOrDefault();
            var any = _deferred.HasValue;
            _deferred = null;
            _hasDeferred = false;
            return any;
        }
    }
}
