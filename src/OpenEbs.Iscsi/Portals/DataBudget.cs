namespace OpenEbs.Iscsi.Portals;

/// <summary>Bytes of data buffers that the sessions of a portal have been granted beyond unsolicited data: reads, and writes that are asked for by R2T.
/// Nobody waits for another session: one grant a session is always given, so each session that waits has one of its own to end.</summary>
internal sealed class DataBudget(long limitBytes)
{
    private long _granted;

    /// <summary>Grants <paramref name="bytes"/> to a session that holds <paramref name="held"/>, of which <paramref name="own"/> are the asking task's;
    /// false when it must wait for the others.</summary>
    public bool TryGrant(ref long held, int bytes, int own)
    {
        var mine = Volatile.Read(ref held);
        if (mine > own && (mine + bytes > IscsiLimits.MaxBufferedBytesPerSession || Volatile.Read(ref _granted) + bytes > limitBytes)) return false;
        Interlocked.Add(ref held, bytes);
        Interlocked.Add(ref _granted, bytes);
        return true;
    }

    public void GiveBack(ref long held, int bytes)
    {
        Interlocked.Add(ref _granted, -bytes);
        Interlocked.Add(ref held, -bytes);
    }
}
