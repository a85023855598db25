using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Iscsi.Scsi.Sense;

namespace OpenEbs.Iscsi.Scsi;

/// <summary>The relation of one session to the logical unit (an I_T_L nexus): its store, its unit attentions, its deferred errors.</summary>
internal sealed class Nexus
{
    private readonly Lock _gate = new();
    private LogicalUnitFacts _facts;
    private SenseData? _deferred;
    private volatile bool _hasDeferred;

    public Nexus(LogicalUnit unit, ILogicalUnitStore store)
    {
        Unit = unit;
        Store = store;
        _facts = store.Facts;

        // SAM-5 §5.14: a new nexus starts with a power on condition, so that the initiator reads mode pages and capacity afresh.
        UnitAttentions.Establish(AdditionalSense.PowerOnResetOrBusDeviceReset);
    }

    public LogicalUnit Unit { get; }

    public ILogicalUnitStore Store { get; }

    public UnitAttentionQueue UnitAttentions { get; } = new();

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

        // The volume lost what a volatile write cache loses when power goes (design section 4): POWER ON OCCURRED is what a disk says then.
        if (now.DataLossCount != before.DataLossCount) UnitAttentions.Establish(AdditionalSense.PowerOnOccurred);
        return now;
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
