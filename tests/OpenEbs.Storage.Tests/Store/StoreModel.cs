using OpenEbs.Storage.Store;

namespace OpenEbs.Storage.Tests.Store;

/// <summary>An operation of the model's log and the volume after it.</summary>
/// <param name="Position">Its place.</param>
/// <param name="Operation">What was asked.</param>
/// <param name="EndsBatch">The last of its batch: only after such a one may a crash cut the log.</param>
/// <param name="Stamps">Stamp of each test block.</param>
/// <param name="ChangedAt">Seq that last changed each test block.</param>
internal sealed record ModelOperation(LogPosition Position, StoreOperation Operation, bool EndsBatch, long[] Stamps, long[] ChangedAt);

/// <summary>What a replica holds, as a list of operations with the volume after each: any prefix can be compared with what a crash left.</summary>
internal sealed class StoreModel
{
    private readonly List<ModelOperation> _log;
    private LogPosition _base;
    private long[] _baseStamps = new long[TestBlocks.Count];
    private long[] _baseChangedAt = new long[TestBlocks.Count];

    public StoreModel() => _log = [];

    private StoreModel(StoreModel original)
    {
        _log = [.. original._log];
        _base = original._base;
        _baseStamps = original._baseStamps;
        _baseChangedAt = original._baseChangedAt;
        FenceEpoch = original.FenceEpoch;
        CommitSeq = original.CommitSeq;
        IsRebuilding = original.IsRebuilding;
        RebuildBaseSeq = original.RebuildBaseSeq;
    }

    public LogPosition Last => _log.Count == 0 ? _base : _log[^1].Position;

    /// <summary>Nothing below is known one by one: the beginning, or where a rebuild ended.</summary>
    public LogPosition Base => _base;

    public long FenceEpoch { get; set; }

    public long CommitSeq { get; set; }

    public bool IsRebuilding { get; private set; }

    public long RebuildBaseSeq { get; private set; }

    public long[] Stamps => _log.Count == 0 ? _baseStamps : _log[^1].Stamps;

    public long[] ChangedAt => _log.Count == 0 ? _baseChangedAt : _log[^1].ChangedAt;

    public StoreModel Clone() => new(this);

    public ModelOperation OperationAt(long seq) => _log[(int)(seq - _base.Seq - 1)];

    public LogPosition PositionAt(long seq) => seq == _base.Seq ? _base : OperationAt(seq).Position;

    public bool EndsBatch(long seq) => seq == _base.Seq || OperationAt(seq).EndsBatch;

    public IReadOnlyList<EpochRun> RunsAfter(long seq)
    {
        var runs = new List<EpochRun>();
        foreach (var operation in _log)
        {
            if (operation.Position.Seq > seq && (runs.Count == 0 || runs[^1].Epoch != operation.Position.Epoch)) runs.Add(new EpochRun(operation.Position.Epoch, operation.Position.Seq));
        }

        return runs;
    }

    public void Append(StoreBatch batch)
    {
        for (var i = 0; i < batch.Operations.Length; i++)
        {
            var operation = batch.Operations.Span[i];
            var (stamps, changedAt) = ((long[])Stamps.Clone(), (long[])ChangedAt.Clone());
            Apply(operation, batch.FirstSeq + i, stamps, changedAt);
            _log.Add(new ModelOperation(new LogPosition(batch.Epoch, batch.FirstSeq + i), operation, i == batch.Operations.Length - 1, stamps, changedAt));
        }
    }

    /// <summary>After this a crash may cut the log here only at or after the end.</summary>
    public void TruncateTo(long seq)
    {
        _log.RemoveRange((int)(seq - _base.Seq), (int)(Last.Seq - seq));
        if (_log.Count > 0) _log[^1] = _log[^1] with { EndsBatch = true };
    }

    /// <summary>What the source of a rebuild holds at <paramref name="from"/> is <paramref name="stamps"/>; this replica will hold that, and what is appended from now on, when the rebuild has ended.</summary>
    public void BeginRebuild(LogPosition from, long baseSeq, long[] stamps)
    {
        RebuildBaseSeq = IsRebuilding ? Math.Min(RebuildBaseSeq, baseSeq) : baseSeq;
        IsRebuilding = true;
        _log.Clear();
        _base = from;
        _baseStamps = stamps;
        _baseChangedAt = [.. stamps.Select(_ => 0L)];
    }

    /// <summary>Blocks copied by a rebuild, also unmapped ones, count as changed by the newest operation that the source then had.</summary>
    public void Copy(IEnumerable<int> indexes)
    {
        var changedAt = (long[])ChangedAt.Clone();
        foreach (var index in indexes) changedAt[index] = Math.Max(changedAt[index], Last.Seq);
        if (_log.Count == 0) _baseChangedAt = changedAt;
        else _log[^1] = _log[^1] with { ChangedAt = changedAt };
    }

    public void EndRebuild()
    {
        (_base, _baseStamps, _baseChangedAt) = (Last, Stamps, ChangedAt);
        _log.Clear();
        (IsRebuilding, RebuildBaseSeq) = (false, 0);
    }

    private static void Apply(StoreOperation operation, long seq, long[] stamps, long[] changedAt)
    {
        if (operation.Kind == OperationKind.Write)
        {
            for (var i = 0; i < operation.BlockCount; i++)
            {
                var index = TestBlocks.IndexOf(operation.Block + i);
                stamps[index] = TestBlocks.StampOf(operation.Data.Span.Slice(i * TestBlocks.BlockBytes, TestBlocks.BlockBytes));
                changedAt[index] = seq;
            }
        }
        else if (operation.Kind == OperationKind.Unmap)
        {
            for (var index = 0; index < stamps.Length; index++)
            {
                var block = TestBlocks.BlockAt(index);
                if (block < operation.Block || block >= operation.Block + operation.BlockCount || stamps[index] == 0) continue;
                stamps[index] = 0;
                changedAt[index] = seq;
            }
        }
    }
}
