using OpenEbs.Storage.Store;

namespace OpenEbs.Simulation.Histories;

/// <summary>What one operation of the volume's log does, as stamps.</summary>
/// <param name="Kind">Write, Unmap or Mark.</param>
/// <param name="FirstSector">First sector it changes.</param>
/// <param name="SectorCount">How many.</param>
/// <param name="Stamps">Of each sector; empty unless Kind is Write.</param>
/// <param name="Checksums">As it came; compared with what other replicas get.</param>
public sealed record OperationEffect(OperationKind Kind, long FirstSector, long SectorCount, long[] Stamps, uint[] Checksums)
{
    public bool IsSame(OperationEffect other) =>
        ReferenceEquals(this, other) || (Kind == other.Kind && FirstSector == other.FirstSector && SectorCount == other.SectorCount && Checksums.AsSpan().SequenceEqual(other.Checksums));
}

/// <summary>All operations that replicas were ever given, as a tree: epochs branch where a coordinator continued a log. Each (epoch, seq) stands for one operation with one
/// predecessor, whichever replica holds it; that is checked.</summary>
public sealed class VolumeOrder(long sectorCount)
{
    private const int SectorsPerBlock = 4096 / SectorStamp.SectorBytes;
    private readonly Dictionary<long, EpochLog> _epochs = [];
    private readonly Dictionary<(long WriteId, long Epoch), long> _firstSeq = [];
    private readonly List<Given> _ahead = [];

    public long SectorCount => sectorCount;

    /// <summary>Where a write stands that the coordinator of <paramref name="epoch"/> issued.</summary>
    public LogPosition? Find(long writeId, long epoch) => _firstSeq.TryGetValue((writeId, epoch), out var seq) ? new LogPosition(epoch, seq) : null;

    /// <summary>Where writes changed anything: a write that was tried again may have several places, or, when it only repeated what was there already, fewer than tries.</summary>
    public List<(long WriteId, LogPosition Position)> Places { get; } = [];

    /// <summary>A replica whose log ends at <paramref name="previous"/> is given a batch.</summary>
    /// <param name="replica">For messages.</param>
    /// <param name="previous">Where its log ends.</param>
    /// <param name="batch">The batch.</param>
    /// <param name="rangeOf">The sectors that a write covers, by its id.</param>
    public void Observe(string replica, LogPosition previous, StoreBatch batch, Func<long, (long FirstSector, int SectorCount)?> rangeOf)
    {
        var effects = new OperationEffect[batch.Operations.Length];
        for (var i = 0; i < effects.Length; i++) effects[i] = Known(batch.Epoch, batch.FirstSeq + i, batch.Operations.Span[i]) ?? Decode(batch.Epoch, batch.FirstSeq + i, batch.Operations.Span[i]);
        _ahead.Add(new Given(replica, previous, batch.Epoch, batch.FirstSeq, effects));
        while (_ahead.FindIndex(Fits) is var next and >= 0)
        {
            var given = _ahead[next];
            _ahead.RemoveAt(next);
            Take(given, rangeOf);
        }
    }

    /// <summary>Whether the log that ends at <paramref name="tip"/> has the operation at <paramref name="position"/>. A rebuild may begin from an operation that no replica got
    /// before its coordinator died: nothing is known of such an epoch, and no log contains anything of it.</summary>
    public bool Contains(LogPosition tip, LogPosition position)
    {
        if (position.Seq == 0) return true;
        while (tip.Epoch > position.Epoch && _epochs.TryGetValue(tip.Epoch, out var log)) tip = log.Parent;
        return tip.Epoch == position.Epoch && position.Seq <= tip.Seq && _epochs.TryGetValue(position.Epoch, out var own) && position.Seq >= own.FirstSeq;
    }

    /// <summary>The newest operation of an epoch; null when it issued none.</summary>
    public LogPosition? TipOf(long epoch) => _epochs.TryGetValue(epoch, out var log) ? new LogPosition(epoch, log.LastSeq) : null;

    /// <summary>The operation before the epoch's first.</summary>
    public LogPosition? ParentOf(long epoch) => _epochs.TryGetValue(epoch, out var log) ? log.Parent : null;

    /// <summary>The volume's sectors after the operation at <paramref name="tip"/>.</summary>
    public long[] Replay(LogPosition tip)
    {
        var sectors = new long[sectorCount];
        foreach (var (_, effect) in Chain(tip)) Apply(effect, sectors);
        return sectors;
    }

    /// <summary>All operations up to <paramref name="tip"/>, oldest first.</summary>
    public IEnumerable<(LogPosition Position, OperationEffect Effect)> Chain(LogPosition tip)
    {
        var parts = new Stack<LogPosition>();
        for (var at = tip; at.Seq > 0 && _epochs.TryGetValue(at.Epoch, out var log); at = log.Parent) parts.Push(at);
        foreach (var end in parts)
        {
            var log = _epochs[end.Epoch];
            for (var seq = log.FirstSeq; seq <= end.Seq; seq++) yield return (new LogPosition(end.Epoch, seq), log.Operations[(int)(seq - log.FirstSeq)]);
        }
    }

    /// <summary>Operations of epochs below <paramref name="epoch"/> that the log that ends at <paramref name="kept"/> does not have.</summary>
    public IEnumerable<(LogPosition Position, OperationEffect Effect)> Discarded(long epoch, LogPosition kept)
    {
        foreach (var (other, log) in _epochs)
        {
            if (other >= epoch) continue;
            for (var seq = log.FirstSeq; seq <= log.LastSeq; seq++)
            {
                var position = new LogPosition(other, seq);
                if (!Contains(kept, position)) yield return (position, log.Operations[(int)(seq - log.FirstSeq)]);
            }
        }
    }

    private static void Apply(OperationEffect effect, long[] sectors)
    {
        if (effect.Kind == OperationKind.Write) effect.Stamps.CopyTo(sectors, effect.FirstSector);
        else if (effect.Kind == OperationKind.Unmap) Array.Clear(sectors, (int)effect.FirstSector, (int)effect.SectorCount);
    }

    /// <summary>A replica that is being rebuilt may be given operations whose predecessors nobody has been given yet: those wait for them.</summary>
    private bool Fits(Given given) =>
        _epochs.TryGetValue(given.Epoch, out var log) ? given.FirstSeq <= log.LastSeq + 1 : given.Previous.Epoch != given.Epoch;

    private void Take(Given given, Func<long, (long FirstSector, int SectorCount)?> rangeOf)
    {
        if (!_epochs.TryGetValue(given.Epoch, out var log))
        {
            log = new EpochLog(given.FirstSeq, given.Previous, StateAfter(given.Previous));
            _epochs.Add(given.Epoch, log);
        }

        var expected = given.FirstSeq == log.FirstSeq ? log.Parent : new LogPosition(given.Epoch, given.FirstSeq - 1);
        if (given.Previous != expected)
            throw new PromiseBrokenException(Promise.LogsMatch, $"{given.Replica} appends {given.Epoch}/{given.FirstSeq} after {given.Previous}, elsewhere it follows {expected}.");
        for (var i = 0; i < given.Effects.Length; i++)
        {
            var at = given.FirstSeq + i - log.FirstSeq;
            if (at < 0) throw new PromiseBrokenException(Promise.LogsMatch, $"{given.Replica} appends {given.Epoch}/{given.FirstSeq + i}, but the epoch's log begins with seq {log.FirstSeq}.");
            if (at == log.Operations.Count) Add(given.Epoch, given.FirstSeq + i, log, given.Effects[i], rangeOf);
            else if (!log.Operations[(int)at].IsSame(given.Effects[i]))
                throw new PromiseBrokenException(Promise.LogsMatch, $"{given.Replica} is given another operation as {given.Epoch}/{given.FirstSeq + i} than a replica before it.");
        }
    }

    /// <summary>What is known of an operation, if this is the same one: spares decoding it again.</summary>
    private OperationEffect? Known(long epoch, long seq, StoreOperation operation)
    {
        if (!_epochs.TryGetValue(epoch, out var log) || seq < log.FirstSeq || seq > log.LastSeq) return null;
        var known = log.Operations[(int)(seq - log.FirstSeq)];
        return known.Kind == operation.Kind && known.FirstSector == operation.Block * SectorsPerBlock && operation.Checksums.Span.SequenceEqual(known.Checksums)
            && known.SectorCount == operation.BlockCount * SectorsPerBlock ? known : null;
    }

    private static OperationEffect Decode(long epoch, long seq, StoreOperation operation)
    {
        var firstSector = operation.Block * SectorsPerBlock;
        var stamps = operation.Kind == OperationKind.Write ? SectorStamp.DecodeAll(operation.Data.Span, firstSector) : [];
        if (stamps.AsSpan().Contains(SectorStamp.Corrupt))
            throw new PromiseBrokenException(Promise.BadBlocksAreHidden, $"operation {epoch}/{seq} carries data that nobody wrote, in sector {firstSector + Array.IndexOf(stamps, SectorStamp.Corrupt)}.");
        return new OperationEffect(operation.Kind, firstSector, operation.BlockCount * SectorsPerBlock, stamps, operation.Checksums.ToArray());
    }

    private void Add(long epoch, long seq, EpochLog log, OperationEffect effect, Func<long, (long FirstSector, int SectorCount)?> rangeOf)
    {
        log.Operations.Add(effect);
        NotePlaces(effect, log.Sectors, new LogPosition(epoch, seq));
        Apply(effect, log.Sectors);
        long last = 0;
        foreach (var stamp in effect.Stamps)
        {
            if (stamp == last || stamp == SectorStamp.Zero) continue;
            last = stamp;
            if (rangeOf(stamp) is not { } range) continue;
            var begin = range.FirstSector / SectorsPerBlock * SectorsPerBlock;
            var end = (range.FirstSector + range.SectorCount + SectorsPerBlock - 1) / SectorsPerBlock * SectorsPerBlock;
            if (begin == effect.FirstSector && end == effect.FirstSector + effect.Stamps.Length) _firstSeq.TryAdd((stamp, epoch), seq);
        }
    }

    /// <summary>A write to part of a block carries the rest of the block along: only what differs from before is of the write itself.</summary>
    private void NotePlaces(OperationEffect effect, long[] before, LogPosition position)
    {
        long last = 0;
        for (var i = 0; i < effect.Stamps.Length; i++)
        {
            var stamp = effect.Stamps[i];
            if (stamp == last || stamp == SectorStamp.Zero || stamp == before[effect.FirstSector + i]) continue;
            last = stamp;
            Places.Add((stamp, position));
        }
    }

    private long[] StateAfter(LogPosition tip) =>
        _epochs.TryGetValue(tip.Epoch, out var log) && log.LastSeq == tip.Seq ? (long[])log.Sectors.Clone() : Replay(tip);

    private sealed record Given(string Replica, LogPosition Previous, long Epoch, long FirstSeq, OperationEffect[] Effects);

    private sealed class EpochLog(long firstSeq, LogPosition parent, long[] sectors)
    {
        /// <summary>The volume after the newest operation.</summary>
        public long[] Sectors => sectors;

        public long FirstSeq => firstSeq;

        public LogPosition Parent => parent;

        public List<OperationEffect> Operations { get; } = [];

        public long LastSeq => firstSeq + Operations.Count - 1;
    }
}
