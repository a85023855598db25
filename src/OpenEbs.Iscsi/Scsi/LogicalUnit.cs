using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Iscsi.Portals;
using OpenEbs.Iscsi.Scsi.Reservations;
using OpenEbs.Iscsi.Scsi.Shared;

namespace OpenEbs.Iscsi.Scsi;

/// <summary>A logical unit as one portal shows it. What its initiators share, through this portal and others, is in the store's shared state.</summary>
internal sealed class LogicalUnit(string targetName, int targetPort, IUnitDirectory directory)
{
    private readonly Lock _gate = new();
    private readonly List<Nexus> _nexuses = [];
    private (SharedState From, UnitState State)? _decoded;
    private int _isSearching;

    /// <summary>The iSCSI name of the target, lower case.</summary>
    public string TargetName { get; } = targetName;

    /// <summary>Relative target port identifier and target portal group tag of the portal.</summary>
    public int TargetPort { get; } = targetPort;

    public IUnitDirectory Directory { get; } = directory;

    /// <summary>The target ports through which the unit can be reached.</summary>
    public ValueTask<IReadOnlyList<int>> ListPortsAsync(CancellationToken cancellationToken) => Directory.ListPortsAsync(TargetName, cancellationToken);

    public void Join(Nexus nexus)
    {
        lock (_gate) _nexuses.Add(nexus);
    }

    /// <summary>Forgets a nexus; true when it was the last.</summary>
    public bool Leave(Nexus nexus)
    {
        lock (_gate)
        {
            _nexuses.Remove(nexus);
            return _nexuses.Count == 0;
        }
    }

    /// <summary>The shared state, decoded once for all nexuses.</summary>
    public UnitState Decode(SharedState shared)
    {
        lock (_gate)
        {
            if (_decoded is { } known && ReferenceEquals(known.From, shared)) return known.State;
            var state = UnitState.Decode(shared);
            _decoded = (shared, state);
            return state;
        }
    }

    /// <summary>A command met a reservation. One made by RESERVE ends with its nexus; when the portal of that nexus is gone there is nobody to say so but us.</summary>
    public void OnConflict(Nexus nexus, UnitState state)
    {
        if (state.Reservations.ReservedBy is null || Interlocked.Exchange(ref _isSearching, 1) != 0) return;
        _ = SearchAsync(nexus.Store);
    }

    /// <summary>Ends the RESERVE of a nexus that is lost: whose portal exists no more, or has no such session.</summary>
    public async Task ForgetLostReserverAsync(ILogicalUnitStore store)
    {
        if (UnitState.Decode(store.Shared).Reservations.ReservedBy is not { } holder || !await IsLostAsync(holder)) return;
        await UnitChanges.ApplyAsync(store, state => state.Reservations.ReservedBy == holder ? Release(state, holder) : state, drains: false, IscsiLimits.NexusLossPatience, CancellationToken.None);
    }

    /// <summary>A session ends, and with it its nexus (SAM-5 §6.3.4): what it reserved by RESERVE is free.</summary>
    public static async ValueTask OnNexusLostAsync(Nexus nexus)
    {
        if (nexus.RefreshState().Reservations.ReservedBy != nexus.Id) return;
        await UnitChanges.ApplyAsync(nexus.Store, state => Release(state, nexus.Id), drains: false, IscsiLimits.NexusLossPatience, CancellationToken.None);
    }

    private static UnitState Release(UnitState state, NexusId nexus)
    {
        var next = ReservationTransitions.LoseNexus(state.Reservations, nexus);
        return ReferenceEquals(next, state.Reservations) ? state : state with { Reservations = next };
    }

    private async Task SearchAsync(ILogicalUnitStore store)
    {
        try
        {
            await ForgetLostReserverAsync(store);
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            // The next conflict searches again.
        }
        finally
        {
            Volatile.Write(ref _isSearching, 0);
        }
    }

    private async ValueTask<bool> IsLostAsync(NexusId holder)
    {
        if (holder.TargetPort != TargetPort) return !(await ListPortsAsync(CancellationToken.None)).Contains(holder.TargetPort);
        lock (_gate) return !_nexuses.Exists(nexus => nexus.Id == holder);
    }
}
