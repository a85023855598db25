using OpenEbs.Storage.Devices;
using OpenEbs.Storage.Store;
using OpenEbs.Testing.Devices;
using Xunit;

namespace OpenEbs.Storage.Tests.Store;

/// <summary>A store, the model of what it must hold, and the steps of a generated history. The same seed takes the same steps, up to where the power is cut.</summary>
internal sealed class StoreRun(IStoreHost host, int seed)
{
    private readonly List<string> _trace = [];

    /// <summary>What the store may be after a crash in the step under way: each with the lowest seq that must survive.</summary>
    private List<(StoreModel Model, long Floor)> _outcomes = [];
    private StoreModel? _appending;
    private long _epoch = 1;
    private long _nextStamp = 1;

    /// <summary>Blocks that held what the source of the present rebuild holds when it began.</summary>
    private HashSet<int> _equal = [];
    private bool _closedCleanly = true;
    private bool _appendedSinceOpen;
    private bool _isOpen;
    private bool _wasKilled;
    private bool _settledDoubt;
    private string? _bootId;

    /// <summary>What the flag must be; null when either is right.</summary>
    private bool? _mayHaveLostTail = false;

    public Random Random { get; } = new(seed);

    public IReplicaStore Store { get; private set; } = null!;

    public StoreModel Model { get; private set; } = new();

    /// <summary>All operations up to here survive every crash.</summary>
    public long Floor { get; private set; }

    /// <summary>Largest batch, in blocks; what fits into a segment.</summary>
    public int MaxBatchBlocks { get; init; } = 20;

    public string Trace => string.Join("\n", _trace.TakeLast(40));

    public bool IsDead => host.Device?.IsDead ?? false;

    /// <summary>Runs one call. When the power fails in it, says so and remembers what it may have left behind.</summary>
    /// <param name="name">For the trace.</param>
    /// <param name="call">The call on the store.</param>
    /// <param name="after">Changes the model as the call does; an interrupted call may have done this or nothing.</param>
    /// <param name="isDurable">Whether what the call does survives a crash once it has happened.</param>
    private async Task<bool> CallAsync(string name, Func<ValueTask> call, Action<StoreModel>? after = null, bool isDurable = false)
    {
        _trace.Add($"{host.Device?.OperationCount,5} {name}");
        var changed = Model.Clone();
        after?.Invoke(changed);
        _appending = changed;
        try
        {
            await call();
        }
        catch (Exception) when (IsDead)
        {
            _trace.Add($"{host.Device?.OperationCount,5} power lost");
            if (isDurable) _outcomes = [(Model, Floor), (changed, changed.Last.Seq)];
            else _outcomes = after is null ? [(Model, Floor)] : [(changed, Floor)];
            return false;
        }

        _appending = null;
        if (after is not null) Model = changed;
        if (isDurable) Floor = Model.Last.Seq;
        _outcomes = [(Model, Floor)];
        return true;
    }

    public async Task<bool> OpenAsync()
    {
        _trace.Add($"{host.Device?.OperationCount,5} open");
        if (_outcomes.Count == 0) _outcomes = [(Model, Floor)];
        try
        {
            Store = await host.OpenAsync();
            await StoreChecks.AdoptOutcomeAsync(this, _outcomes);
            return true;
        }
        catch (IOException) when (IsDead)
        {
            _trace.Add($"{host.Device?.OperationCount,5} power lost");
            _closedCleanly = false;
            return false;
        }
    }

    /// <summary>Takes over what a crash left; called when it was found to be right.</summary>
    public void Adopt(StoreModel model, long floor, StoreStatus status)
    {
        CheckLostTail(status, lost: !model.IsRebuilding && status.Last.Seq < Math.Min(Model.Last.Seq, model.Last.Seq));
        model.TruncateTo(status.Last.Seq);
        (model.FenceEpoch, model.CommitSeq) = (status.FenceEpoch, status.CommitSeq);
        Model = model;
        Floor = Math.Max(_wasKilled ? Floor : floor, status.DurableSeq);
        _outcomes = [(Model, Floor)];
        (_isOpen, _closedCleanly, _appendedSinceOpen, _wasKilled, _settledDoubt) = (true, false, false, false, false);
        _epoch = Math.Max(Math.Max(_epoch, status.FenceEpoch), status.Last.Epoch) + 1;
        _trace.Add($"      opened at {status.Last}, log from {status.LogStart}, durable {status.DurableSeq}, commit {status.CommitSeq}, {status.Consistency}");
    }

    public void Crash(CrashKind kind)
    {
        _trace.Add($"{host.Device?.OperationCount,5} {kind}");
        host.Crash(kind);
        if (kind == CrashKind.ProcessKill && _isOpen)
        {
            // That the doubt was settled is on media with some later step of maintenance; until then it may come back.
            if (_settledDoubt) _mayHaveLostTail = null;
            _outcomes = [(Model, Model.Last.Seq)];
            _wasKilled = true;
        }
        else if (kind == CrashKind.PowerLoss && _wasKilled)
        {
            // What the killed process left was in the page cache only, and nobody flushed it since.
            _outcomes = [(Model, Floor)];
            _wasKilled = false;
        }

        _isOpen = false;
    }

    public async Task<bool> AppendAsync(StoreBatch batch)
    {
        var text = string.Join(" ", batch.Operations.ToArray().Select(operation => $"{operation.Kind}({operation.Block}+{operation.BlockCount})"));
        if (!await CallAsync($"append {batch.Epoch}/{batch.FirstSeq} {text}", () => Store.AppendAsync(batch), model => model.Append(batch))) return false;
        _appendedSinceOpen = true;
        if (batch.EndsDoubt) TrustTail();
        return true;
    }

    public StoreBatch NextBatch()
    {
        var operations = new StoreOperation[Random.Next(4) == 0 ? Random.Next(2, 7) : 1];
        var left = MaxBatchBlocks;
        for (var i = 0; i < operations.Length; i++)
        {
            var index = Random.Next(TestBlocks.Count);
            var blocks = Math.Min(RunLength(index, Random.Next(6) == 0 ? MaxBatchBlocks : 5), left);
            operations[i] = Random.Next(10) switch
            {
                0 => TestBlocks.Mark(),
                1 => TestBlocks.Unmap(TestBlocks.BlockAt(index), RunLength(index, 64)),
                2 => Random.Next(8) == 0 ? TestBlocks.Unmap(Random.Next(300), Random.Next(3) == 0 ? TestBlocks.EndOfVolume - 300 : Random.Next(1, 3000)) : TestBlocks.Mark(),
                _ => blocks == 0 ? TestBlocks.Mark() : TestBlocks.Write(TestBlocks.BlockAt(index), NextStamps(blocks)),
            };
            if (operations[i].Kind == OperationKind.Write) left -= blocks;
        }

        return new StoreBatch(_epoch, Model.Last.Seq + 1, operations) { EndsDoubt = Random.Next(2) == 0 };
    }

    public async Task<bool> FlushAsync()
    {
        long durable = 0;
        if (!await CallAsync("flush", async () => durable = await Store.FlushAsync())) return false;
        Assert.Equal(Model.Last.Seq, durable);
        Floor = durable;
        _outcomes = [(Model, Floor)];
        return true;
    }

    /// <summary>A flush that other calls overlap; what it says is durable is so from then on. Not to be under way across truncation or rebuild.</summary>
    public async Task FlushBesideAsync()
    {
        _trace.Add($"{host.Device?.OperationCount,5} flush begins");
        var applied = Model.Last.Seq;
        var durable = await Store.FlushAsync();
        _trace.Add($"{host.Device?.OperationCount,5} flush ends at {durable}");
        if (durable < applied) Fail($"The flush says {durable}; {applied} was applied when it began.");
        Floor = Math.Max(Floor, durable);
        _outcomes = [(Model, Floor)];
    }

    /// <summary>A read that other calls overlap: each block is as it was at some time between.</summary>
    public async Task ReadBesideAsync()
    {
        var index = Random.Next(TestBlocks.Count);
        var count = RunLength(index, 30);
        var first = Model.Last.Seq;
        var data = new byte[count * TestBlocks.BlockBytes];
        await Store.ReadAsync(TestBlocks.BlockAt(index), count, data);
        for (var i = 0; i < count; i++)
        {
            // An append under way may already show: its coordinator keeps reads away from it.
            var stamp = TestBlocks.StampOf(data.AsSpan(i * TestBlocks.BlockBytes, TestBlocks.BlockBytes));
            var allowed = stamp == Model.Stamps[index + i] || stamp == _appending?.Stamps[index + i];
            for (var seq = Math.Max(first, Model.Base.Seq + 1); !allowed && seq <= Model.Last.Seq; seq++) allowed = Model.OperationAt(seq).Stamps[index + i] == stamp;
            if (!allowed) Fail($"Block {TestBlocks.BlockAt(index + i)} reads as {stamp}; from {first} to {Model.Last.Seq} it was never that.");
        }
    }

    public async Task<bool> SetFenceAsync()
    {
        if (Random.Next(2) == 0) _epoch++;
        var epoch = Random.Next(6) == 0 ? Math.Max(0, _epoch - 3) : _epoch;
        var before = Model.FenceEpoch;
        return await CallAsync($"fence {epoch}", () => Store.SetFenceAsync(epoch), model => model.FenceEpoch = Math.Max(before, epoch));
    }

    public void SetCommit()
    {
        var seq = Random.NextInt64(Model.Base.Seq, Floor + 1);
        _trace.Add($"      commit {seq}");
        Model.CommitSeq = Math.Max(Model.CommitSeq, seq);
        Store.SetCommit(seq);
    }

    public async Task<bool> MaintainAsync() => await CallAsync("maintain", async () => await Store.MaintainAsync());

    public async Task<bool> TruncateAsync()
    {
        if (Model.IsRebuilding) return true;
        var lowest = Math.Max(Math.Max(Store.Status.LogStart.Seq, Model.CommitSeq), Model.Base.Seq);
        if (lowest > Model.Last.Seq) return true;
        var seq = Random.NextInt64(lowest, Model.Last.Seq + 1);
        if (!await CallAsync($"truncate {seq}", () => Store.TruncateAsync(seq), model => model.TruncateTo(seq), isDurable: true)) return false;

        // The same seqs are never issued again in the same epoch.
        _epoch++;
        return true;
    }

    /// <summary>Begins a rebuild from a made-up source, or goes on with one that a crash interrupted; copies while appends go on; ends.</summary>
    public async Task<bool> RebuildAsync()
    {
        _epoch++;
        var from = new LogPosition(_epoch - 1, Math.Max(Model.CommitSeq, Model.Last.Seq + Random.Next(-5, 50)));
        var (known, source) = (!Model.IsRebuilding, (long[])Model.Stamps.Clone());
        foreach (var index in Enumerable.Range(0, Random.Next(30)).Select(_ => Random.Next(TestBlocks.Count))) source[index] = Random.Next(3) == 0 ? 0 : _nextStamp++;
        var differing = known ? Enumerable.Range(0, source.Length).Where(i => source[i] != Model.Stamps[i] || Random.Next(20) == 0) : Enumerable.Range(0, source.Length);
        _equal = known ? [.. Enumerable.Range(0, source.Length).Where(i => source[i] == Model.Stamps[i] && source[i] != 0)] : [];
        var left = new Queue<int>(differing.OrderBy(_ => Random.Next()).ToArray());
        var baseSeq = Random.NextInt64(0, from.Seq + 1);
        if (!await CallAsync($"begin rebuild {from} base {baseSeq}", () => Store.BeginRebuildAsync(from, baseSeq), model => model.BeginRebuild(from, baseSeq, source), isDurable: true)) return false;
        StoreChecks.CheckStatus(this);
        while (left.Count > 0)
        {
            var alive = Random.Next(8) switch
            {
                0 => await AppendAsync(NextBatch()),
                1 => await MaintainAsync(),
                2 => await FlushAsync(),
                _ => await CopyAsync(left),
            };
            if (!alive) return false;
        }

        if (Random.Next(4) == 0) return true; // Goes on under way: the next one starts it again.
        if (!await CallAsync("end rebuild", () => Store.EndRebuildAsync(), model => model.EndRebuild(), isDurable: true)) return false;
        TrustTail();
        return true;
    }

    public async Task<bool> RepairAsync()
    {
        var index = Random.Next(TestBlocks.Count);
        var count = RunLength(index, 4);
        var stamps = Model.Stamps.AsSpan(index, count).ToArray();
        var operation = TestBlocks.Write(TestBlocks.BlockAt(index), stamps);
        return await CallAsync($"repair {operation.Block}+{count}", () => Store.RepairAsync(operation.Block, count, operation.Data, operation.Checksums));
    }

    public async Task<bool> ReopenAsync()
    {
        if (!await CallAsync("close", async () => await Store.CloseAsync()))
        {
            _mayHaveLostTail = null;
            return false;
        }

        await Store.DisposeAsync();
        Floor = Model.Last.Seq;
        _outcomes = [(Model, Floor)];
        (_closedCleanly, _appendedSinceOpen) = (true, false);
        return await OpenAsync();
    }

    public void Fail(string message) => throw new InvalidOperationException($"Seed {seed}: {message}\n{Trace}");

    public int RunLength(int index, int most)
    {
        var length = Random.Next(1, most + 1);
        for (var count = 1; count < length; count++)
        {
            if (index + count >= TestBlocks.Count || TestBlocks.BlockAt(index + count) != TestBlocks.BlockAt(index) + count) return count;
        }

        return length;
    }

    private long[] NextStamps(int count) => [.. Enumerable.Range(0, count).Select(_ => _nextStamp++)];

    private async Task<bool> CopyAsync(Queue<int> left)
    {
        var operations = new List<StoreOperation>();
        var copied = new List<int>();
        for (var count = Random.Next(1, MaxBatchBlocks); count > 0 && left.TryDequeue(out var index); count--)
        {
            copied.Add(index);
            var block = TestBlocks.BlockAt(index);
            if (_equal.Contains(index) && index % 4 > 0) operations.Add(new StoreOperation(OperationKind.Mark, block, 1, default, default));
            else operations.Add(Model.Stamps[index] == 0 ? TestBlocks.Unmap(block, 1) : TestBlocks.Write(block, [Model.Stamps[index]]));
        }

        return await CallAsync($"copy {operations.Count} blocks", () => Store.CopyAsync(operations.ToArray()), model => model.Copy(copied));
    }

    private void TrustTail()
    {
        _settledDoubt |= _mayHaveLostTail == true;
        _mayHaveLostTail = false;
    }

    /// <summary>StoreStatus.MayHaveLostTail: see there.</summary>
    private void CheckLostTail(StoreStatus status, bool lost)
    {
        var rebooted = host.Device?.BootId != _bootId;
        _bootId = host.Device?.BootId;
        var inDoubt = !_closedCleanly && rebooted;
        if (inDoubt && (lost || (_appendedSinceOpen && _mayHaveLostTail is not null))) _mayHaveLostTail = true;
        else if (inDoubt && _mayHaveLostTail == false) _mayHaveLostTail = null;
        if (_mayHaveLostTail is { } expected && status.MayHaveLostTail != expected) Fail($"MayHaveLostTail is {status.MayHaveLostTail}.");
        if (lost && !status.MayHaveLostTail) Fail("Operations were lost without MayHaveLostTail.");
        _mayHaveLostTail = status.MayHaveLostTail;
    }

    /// <summary>The flag as it must be now.</summary>
    public bool? ExpectedLostTail => _mayHaveLostTail;
}
