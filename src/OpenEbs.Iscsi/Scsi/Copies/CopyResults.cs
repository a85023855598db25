namespace OpenEbs.Iscsi.Scsi.Copies;

/// <summary>How an EXTENDED COPY ended, for RECEIVE COPY RESULTS.</summary>
internal readonly record struct CopyResult(bool Succeeded, int Segments, long Bytes);

/// <summary>The results of one nexus' copies that were not asked for yet, by list identifier.</summary>
internal sealed class CopyResults
{
    /// <summary>More than that nobody remembers having started; the oldest goes.</summary>
    private const int Most = 16;

    private readonly Lock _gate = new();
    private readonly List<(byte ListId, CopyResult Result)> _held = [];

    public void Hold(byte listId, CopyResult result)
    {
        lock (_gate)
        {
            _held.RemoveAll(held => held.ListId == listId);
            if (_held.Count == Most) _held.RemoveAt(0);
            _held.Add((listId, result));
        }
    }

    /// <summary>SPC-4 §6.27.2: held until they were asked for.</summary>
    public CopyResult? Take(byte listId)
    {
        lock (_gate)
        {
            var at = _held.FindIndex(held => held.ListId == listId);
            if (at < 0) return null;
            var result = _held[at].Result;
            _held.RemoveAt(at);
            return result;
        }
    }
}
