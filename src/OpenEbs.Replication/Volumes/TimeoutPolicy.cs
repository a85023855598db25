namespace OpenEbs.Replication.Volumes;

/// <summary>What becomes of I/O that the volume could not serve within its ioTimeout. Names are stored in the record, values in the copies that replicas keep of it: change neither.</summary>
public enum TimeoutPolicy
{
    /// <summary>It goes on waiting: the volume never fails an I/O because it is frozen.</summary>
    Wait = 0,

    /// <summary>It fails; and until the volume can be written again, other writes fail at once.</summary>
    Error = 1,

    /// <summary>Writes fail as on a write-protected disk, at once until the volume can be written again; reads that cannot be served fail.</summary>
    ReadOnly = 2,
}
