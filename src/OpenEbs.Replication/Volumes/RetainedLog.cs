namespace OpenEbs.Replication.Volumes;

/// <summary>The newest operations of this epoch, by seq: from <see cref="FirstSeq"/> to <see cref="LastSeq"/>.</summary>
internal sealed class RetainedLog
{
    private PendingOperation?[] _ring = new PendingOperation?[256];
    private OperationGroup? _newestGroup;

    /// <param name="lastSeq">The newest operation that earlier epochs left; the first one here gets the next seq.</param>
    public RetainedLog(long lastSeq)
    {
        FirstSeq = lastSeq + 1;
        LastSeq = lastSeq;
    }

    public long FirstSeq { get; private set; }

    public long LastSeq { get; private set; }

    /// <summary>Data held, in bytes.</summary>
    public long Bytes { get; private set; }

    public PendingOperation this[long seq] => _ring[seq & (_ring.Length - 1)]!;

    public void Add(PendingOperation operation)
    {
        if (LastSeq - FirstSeq + 1 == _ring.Length) Grow();
        operation.Seq = ++LastSeq;
        _ring[operation.Seq & (_ring.Length - 1)] = operation;
        Bytes += operation.DataBytes;
    }

    /// <summary>Lets go of everything up to <paramref name="seq"/>.</summary>
    public void ReleaseTo(long seq)
    {
        for (; FirstSeq <= seq; FirstSeq++)
        {
            ref var slot = ref _ring[FirstSeq & (_ring.Length - 1)];
            Bytes -= slot!.DataBytes;
            slot.Dispose();
            slot = null;
        }

        if (_newestGroup is null || _newestGroup.FirstSeq >= FirstSeq) return;
        _newestGroup.Dispose();
        _newestGroup = null;
    }

    /// <summary>The operations from <paramref name="fromSeq"/> on that one request may carry: at least one. The caller disposes the group.</summary>
    public OperationGroup Group(long fromSeq, long toSeq, int maxOperations, int maxBytes)
    {
        if (_newestGroup is not null && _newestGroup.FirstSeq == fromSeq && _newestGroup.LastSeq <= toSeq && (_newestGroup.LastSeq == toSeq || _newestGroup.Stored.Length >= 8))
            return _newestGroup.AddReference();
        var count = 0;
        var bytes = 0;
        for (var seq = fromSeq; seq <= toSeq && count < maxOperations; seq++, count++)
        {
            bytes += this[seq].DataBytes;
            if (bytes > maxBytes && count > 0) break;
        }

        var operations = new PendingOperation[count];
        for (var i = 0; i < count; i++) operations[i] = this[fromSeq + i];
        var group = new OperationGroup(operations);
        _newestGroup?.Dispose();
        _newestGroup = group.AddReference();
        return group;
    }

    private void Grow()
    {
        var larger = new PendingOperation?[_ring.Length * 2];
        for (var seq = FirstSeq; seq <= LastSeq; seq++) larger[seq & (larger.Length - 1)] = this[seq];
        _ring = larger;
    }
}
