namespace OpenEbs.Replication.Replicas;

/// <summary>Which coordinators opened a replica in this life: the present one, and the one before it, of which the present one wants to know whether it may still serve reads under its leases.
/// Kept in memory only: a replica that has forgotten makes its next coordinator wait, nothing worse.</summary>
internal sealed class Tenures
{
    private long _epoch;
    private string _opener = "";
    private bool _hasReleased;
    private Predecessor? _predecessor;

    /// <summary>The replica was opened. The same answer when the same coordinator opens it again.</summary>
    /// <param name="fence">The highest epoch that had opened it before, in whichever life.</param>
    /// <param name="epoch">The epoch that opens it, not lower than that.</param>
    /// <param name="opener">The process that does.</param>
    public Predecessor? Open(long fence, long epoch, string opener)
    {
        if (epoch == _epoch) return _predecessor;
        _predecessor = _epoch == fence && fence > 0 ? new Predecessor(_epoch, _opener, _hasReleased) : null;
        (_epoch, _opener, _hasReleased) = (epoch, opener, false);
        return _predecessor;
    }

    /// <summary>The coordinator of that epoch serves nothing any more. Late or repeated, it changes nothing.</summary>
    public void Release(long epoch) => _hasReleased |= epoch == _epoch;
}
