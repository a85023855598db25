namespace OpenEbs.Volumes;

/// <summary>What becomes of I/O that a volume could not serve within its ioTimeout.</summary>
public enum TimeoutAction
{
    /// <summary>It goes on waiting: the volume itself never fails an I/O because too few replicas can be reached. (An initiator has time limits of its own.)</summary>
    Wait = 0,

    /// <summary>It fails; until the volume can be written again, other writes fail at once.</summary>
    Error = 1,

    /// <summary>Writes fail as on a write-protected disk, at once until the volume can be written again.</summary>
    ReadOnly = 2,
}
