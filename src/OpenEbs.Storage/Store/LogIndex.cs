namespace OpenEbs.Storage.Store;

/// <summary>Where the batches after LogStart are, by seq, and which epoch issued which seq.</summary>
internal sealed class LogIndex
{
    private readonly List<LogIndexEntry> _entries = [];
    private readonly List<EpochRun> _runs = [];

    public IReadOnlyList<EpochRun> Runs => [.. _runs];

    public void Add(LogIndexEntry entry)
    {
        _entries.Add(entry);
        if (_runs.Count == 0 || _runs[^1].Epoch != entry.Epoch) _runs.Add(new EpochRun(entry.Epoch, entry.FirstSeq));
    }

    /// <summary>Forgets operations up to <paramref name="seq"/>.</summary>
    public void ForgetTo(long seq)
    {
        var count = 0;
        while (count < _entries.Count && _entries[count].LastSeq <= seq) count++;
        _entries.RemoveRange(0, count);
        while (_runs.Count > 1 && _runs[1].FirstSeq <= seq + 1) _runs.RemoveAt(0);
        if (_entries.Count == 0) _runs.Clear();
        else if (_runs.Count > 0 && _runs[0].FirstSeq <= seq) _runs[0] = _runs[0] with { FirstSeq = seq + 1 };
    }

    public void Clear()
    {
        _entries.Clear();
        _runs.Clear();
    }

    /// <summary>Index of the entry that holds <paramref name="seq"/>, or -1.</summary>
    public int Find(long seq)
    {
        var (low, high) = (0, _entries.Count - 1);
        while (low <= high)
        {
            var middle = (low + high) / 2;
            if (_entries[middle].LastSeq < seq) low = middle + 1;
            else if (_entries[middle].FirstSeq > seq) high = middle - 1;
            else return middle;
        }

        return -1;
    }

    public LogIndexEntry? At(int index) => index < _entries.Count ? _entries[index] : null;
}

/// <param name="Epoch">Epoch of its operations.</param>
/// <param name="FirstSeq">Seq of the first operation.</param>
/// <param name="LastSeq">Seq of the last operation that counts.</param>
/// <param name="Lsn">Of the record.</param>
/// <param name="Segment">That holds it.</param>
/// <param name="OffsetBytes">Of the record in the segment.</param>
/// <param name="HeaderBytes">Length of its header.</param>
internal readonly record struct LogIndexEntry(long Epoch, long FirstSeq, long LastSeq, ulong Lsn, uint Segment, int OffsetBytes, int HeaderBytes);
