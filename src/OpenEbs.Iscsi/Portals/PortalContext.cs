using System.Buffers;
using Microsoft.Extensions.Logging;
using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Iscsi.Scsi;
using OpenEbs.Iscsi.Sessions;

namespace OpenEbs.Iscsi.Portals;

/// <summary>What all connections of a portal share.</summary>
internal sealed class PortalContext
{
    private bool _isLeaving;

    public required IscsiPortalOptions Options { get; init; }

    public required ITargetCatalog Catalog { get; init; }

    public required MemoryPool<byte> Pool { get; init; }

    public required TimeProvider Time { get; init; }

    public required ILogger Logger { get; init; }

    public required IscsiMetrics Metrics { get; init; }

    public required SessionRegistry Sessions { get; init; }

    public required DataBudget Budget { get; init; }

    public required LogicalUnitTable Units { get; init; }

    /// <summary>Which refused logins are logged: anybody can make them.</summary>
    public required LogBudget RefusalLog { get; init; }

    /// <summary>The portal sends its sessions away.</summary>
    public bool IsLeaving
    {
        get => Volatile.Read(ref _isLeaving);
        set => Volatile.Write(ref _isLeaving, value);
    }
}
