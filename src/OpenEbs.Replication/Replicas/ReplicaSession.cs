using System.Buffers;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using OpenEbs.Storage;
using OpenEbs.Storage.Devices;
using OpenEbs.Storage.Scheduling;
using OpenEbs.Storage.Store;

namespace OpenEbs.Replication.Replicas;

/// <summary>One life (incarnation) of a replica: guards its store. It refuses callers of a lower epoch (the fence) and those that talk to an earlier life, and applies operations
/// strictly in order of seq. What the coordinator believes of a replica rests on these checks alone (design section 4).</summary>
/// <remarks>Not thread-safe: everything runs in one scheduling context, overlapping only across awaits.</remarks>
/// <param name="openStore">Opens the store.</param>
/// <param name="discardStore">Deletes it; it is not open.</param>
/// <param name="incarnation">A value never used before for this replica.</param>
/// <param name="pool">Lends the buffers of reads.</param>
/// <param name="logger">Where failures of the store are told.</param>
public sealed partial class ReplicaSession(Func<StoreOpening, ValueTask<IReplicaStore>> openStore, Func<ValueTask> discardStore, Guid incarnation, MemoryPool<byte> pool, ILogger logger)
    : IReplicaChannel, IAsyncDisposable
{
    private readonly ILogger _logger = logger;

    /// <summary>Whatever changes the log, except flushes, happens one at a time.</summary>
    private readonly AsyncTurn _writeTurn = new();
    private IReplicaStore? _store;
    private string? _failure;
    private bool _closed;
    private bool _leaving;
    private readonly StepOrder _steps = new();
    private readonly Tenures _tenures = new();

    public Guid Incarnation { get; } = incarnation;

    public bool IsLocal => true;

    /// <summary>What the store has; null before it was opened.</summary>
    public StoreStatus? Status => _store?.Status;

    /// <summary>Why the replica cannot serve, for people; null when it can.</summary>
    public string? Failure => _failure;

    /// <summary>Told of everything that was found damaged on the media: a name for it, the same each time it is found.</summary>
    public Action<string> NoteFault { get; init; } = _ => { };

    internal ReplicaFaults Faults { get; init; } = ReplicaFaults.None;

    internal IReplicaStore Store => _store!;

    internal MemoryPool<byte> Pool => pool;

    private ReplicaQueries Queries => field ??= new ReplicaQueries(this, _logger);

    public async ValueTask<OpenReply> OpenAsync(OpenRequest request)
    {
        await _writeTurn.EnterAsync();
        try
        {
            if (_closed || _leaving) return new OpenReply(ReplicaOutcome.Failed, Incarnation, null, _leaving ? LeavingReason : Obstacle);
            _store ??= await openStore(request.Opening);
            if (_failure is not null) return new OpenReply(ReplicaOutcome.Failed, Incarnation, null, _failure);
            if (request.Epoch < _store.FenceEpoch && !Faults.SkipEpochCheck)
                return new OpenReply(ReplicaOutcome.StaleEpoch, Incarnation, _store.Status);
            var fence = _store.FenceEpoch;
            await _store.SetFenceAsync(request.Epoch);
            _steps.Open(request.Epoch, request.StepNumber);
            return new OpenReply(ReplicaOutcome.Ok, Incarnation, _store.Status, Predecessor: _tenures.Open(fence, request.Epoch, request.Opener));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            if (_store is not null) Fail("open", e);
            var isLost = _store is null && e is StoreCorruptException or StoreNotFoundException;
            if (_store is null && e is StoreCorruptException) NoteFault("its store cannot be opened");
            return new OpenReply(isLost ? ReplicaOutcome.Lost : ReplicaOutcome.Failed, Incarnation, null, e.Message);
        }
        finally
        {
            _writeTurn.Leave();
        }
    }

    public async ValueTask<ReplicaOutcome> DiscardAsync(long epoch, Guid incarnation)
    {
        await _writeTurn.EnterAsync();
        try
        {
            if (_closed || _failure is not null) return ReplicaOutcome.Failed;
            if (incarnation != Incarnation) return ReplicaOutcome.Restarted;
            if (DamagedStore.RefuseToDiscard(_store?.Status, epoch) is { } refusal) return refusal;
            if (_store is { } store)
            {
                _store = null;
                await store.DisposeAsync();
            }

            await discardStore();
            return ReplicaOutcome.Ok;
        }
        finally
        {
            _writeTurn.Leave();
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<AppendReply> AppendAsync(AppendRequest request)
    {
        await _writeTurn.EnterAsync();
        try
        {
            var refusal = Check(request.Epoch, request.Incarnation);
            if (refusal is not ReplicaOutcome.Ok) return Reply(refusal);
            var store = _store!;
            var last = store.Last.Seq;
            var batch = request.Batch;
            if (batch.FirstSeq > last + 1) return Reply(ReplicaOutcome.SeqGap);
            if (batch.Epoch > store.Last.Epoch && batch.FirstSeq <= last) return Reply(ReplicaOutcome.Failed) with { Reason = $"its log ends at {store.Last}: it has other operations than epoch {batch.Epoch}" };
            if (batch.LastSeq > last)
            {
                // A repeated request may begin with operations that are here already: apply the rest.
                var skip = (int)(last + 1 - batch.FirstSeq);
                var rest = skip == 0 ? batch : batch with { FirstSeq = last + 1, Operations = batch.Operations[skip..] };
                // A rebuild leaves the last space to others, and so does what flows to its replica meanwhile.
                await store.AppendAsync(rest with { MayUseReserve = store.Consistency == ReplicaConsistency.Prefix });
            }

            store.IsReadElsewhere = request.IsReadElsewhere;
            store.SetCommit(Math.Min(request.CommitSeq, store.Last.Seq));
        }
        catch (StorageFullException)
        {
            return Reply(ReplicaOutcome.NoSpace);
        }
        catch (IOException e)
        {
            return Fail("append", e);
        }
        finally
        {
            _writeTurn.Leave();
            request.Dispose();
        }

        return request.Flush ? await FlushAsync(request.Epoch, request.Incarnation, request.CommitSeq, flush: true) : Reply(ReplicaOutcome.Ok);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<AppendReply> FlushAsync(long epoch, Guid incarnation, long commitSeq, bool flush)
    {
        var refusal = Check(epoch, incarnation);
        if (refusal is not ReplicaOutcome.Ok) return Reply(refusal);
        try
        {
            _store!.SetCommit(Math.Min(commitSeq, _store.Last.Seq));
            if (flush) await _store.FlushAsync();
        }
        catch (IOException e)
        {
            return Fail("flush", e);
        }

        return Reply(Check(epoch, incarnation));
    }

    public ValueTask<ReplicaOutcome> ReleaseAsync(long epoch, Guid incarnation, long commitSeq)
    {
        var outcome = Check(epoch, incarnation);
        if (outcome is not ReplicaOutcome.Ok) return ValueTask.FromResult(outcome);
        _store!.SetCommit(Math.Min(commitSeq, _store.Last.Seq));
        _tenures.Release(epoch);
        return ValueTask.FromResult(outcome);
    }

    public ValueTask<ReadReply> ReadAsync(long epoch, Guid incarnation, long block, int blockCount) => ReadAsync(epoch, incarnation, block, blockCount, fromMedia: false);

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    internal async ValueTask<ReadReply> ReadAsync(long epoch, Guid incarnation, long block, int blockCount, bool fromMedia)
    {
        var refusal = Check(epoch, incarnation);
        if (refusal is not ReplicaOutcome.Ok) return new ReadReply(refusal, null, Reason: Obstacle);
        if (_store!.Consistency != ReplicaConsistency.Prefix) return new ReadReply(ReplicaOutcome.NotReadable, null);
        var lengthBytes = blockCount * VolumeBlocks.BlockBytes;
        var data = pool.Rent(lengthBytes);
        try
        {
            var read = fromMedia ? _store.ReadMediaAsync(block, blockCount, data.Memory[..lengthBytes]) : _store.ReadAsync(block, blockCount, data.Memory[..lengthBytes]);
            await read;

            // The epoch may have been raised while the media was read, and the new coordinator may already have written:
            // what was read then belongs to no point in time of the caller's epoch.
            refusal = Check(epoch, incarnation);
            if (refusal is ReplicaOutcome.Ok)
            {
                var reply = new ReadReply(ReplicaOutcome.Ok, data);
                data = null;
                return reply;
            }

            return new ReadReply(refusal, null);
        }
        catch (BadBlockException e)
        {
            LogBadBlock(e.Block, e.Message);
            NoteFault($"block {e.Block}");
            return new ReadReply(ReplicaOutcome.BadBlock, null, e.Block, e.Message);
        }
        catch (IOException e)
        {
            return new ReadReply(Fail("read", e).Outcome, null, Reason: e.Message);
        }
        finally
        {
            data?.Dispose();
        }
    }

    public ValueTask<CheckReply> CheckAsync(long epoch, Guid incarnation, long block, int blockCount) => Queries.CheckAsync(epoch, incarnation, block, blockCount);

    public ValueTask<BlocksReply> DescribeBlocksAsync(long epoch, Guid incarnation, long block, int blockCount) => Queries.DescribeBlocksAsync(epoch, incarnation, block, blockCount);

    public ValueTask<StoreScrubReply> ScrubStoreAsync(long epoch, Guid incarnation, bool restart) => Queries.ScrubStoreAsync(epoch, incarnation, restart);

    public async ValueTask<LogReply> ReadLogAsync(long epoch, Guid incarnation, long fromSeq, int maxBytes)
    {
        var refusal = Check(epoch, incarnation);
        if (refusal is not ReplicaOutcome.Ok) return new LogReply(refusal, null, Obstacle);
        if (fromSeq <= _store!.Status.LogStart.Seq)
            return new LogReply(ReplicaOutcome.Failed, null, $"the log begins after seq {_store.Status.LogStart.Seq}; seq {fromSeq} is no longer in it");
        try
        {
            var batch = await _store.ReadLogAsync(fromSeq, maxBytes);
            refusal = Check(epoch, incarnation);
            return new LogReply(refusal, refusal is ReplicaOutcome.Ok ? batch : null);
        }
        catch (Exception e) when (e is IOException or ArgumentOutOfRangeException)
        {
            // The log may have been cut by a checkpoint while it was read; only media errors fail the replica, and those show in its other calls.
            return new LogReply(ReplicaOutcome.Failed, null, e.Message);
        }
    }

    public async ValueTask<RebuildReply> RebuildAsync(RebuildRequest request)
    {
        await _writeTurn.EnterAsync();
        try
        {
            if (CheckStep(request.Epoch, request.Incarnation, request.Number) is { } answer) return answer;
            await StoreSteps.CarryOutAsync(_store!, request);
            return _steps.Done(request.Epoch, request.Number, _store!.Status);
        }
        catch (StorageFullException e)
        {
            return new RebuildReply(ReplicaOutcome.NoSpace, _store!.Status, e.Message);
        }
        catch (Exception e) when (e is IOException or ArgumentOutOfRangeException)
        {
            return new RebuildReply(Fail("rebuild", e).Outcome, _store?.Status, e.Message);
        }
        finally
        {
            _writeTurn.Leave();
        }
    }

    public async ValueTask<RebuildReply> CopyAsync(AppendRequest request, bool repair)
    {
        await _writeTurn.EnterAsync();
        try
        {
            var number = request.Batch.FirstSeq;
            if (CheckStep(request.Epoch, request.Incarnation, number) is { } answer) return answer;
            await StoreSteps.CopyAsync(_store!, request.Batch.Operations, repair);
            return _steps.Done(request.Epoch, number, _store!.Status);
        }
        catch (StorageFullException e)
        {
            return new RebuildReply(ReplicaOutcome.NoSpace, _store!.Status, e.Message);
        }
        catch (IOException e)
        {
            return new RebuildReply(Fail("copy", e).Outcome, _store?.Status, e.Message);
        }
        finally
        {
            _writeTurn.Leave();
            request.Dispose();
        }
    }

    public ValueTask<DigestReply> DigestAsync(long epoch, Guid incarnation, long block, int blockCount) => Queries.DigestAsync(epoch, incarnation, block, blockCount);

    public ValueTask<ChangedReply> ListChangedAsync(long epoch, Guid incarnation, long sinceSeq, long fromBlock, int maxRuns) => Queries.ListChangedAsync(epoch, incarnation, sinceSeq, fromBlock, maxRuns);

    public ValueTask<AllocatedReply> ListAllocatedAsync(long epoch, Guid incarnation, long fromBlock, long blockCount, int maxRuns) => Queries.ListAllocatedAsync(epoch, incarnation, fromBlock, blockCount, maxRuns);

    /// <summary>One bounded step of the store's background work; false when there was nothing to do.</summary>
    public async ValueTask<bool> MaintainAsync()
    {
        if (_store is null || _failure is not null || _closed) return false;
        try
        {
            return await _store.MaintainAsync();
        }
        catch (StorageFullException)
        {
            return false;
        }
        catch (IOException e)
        {
            Fail("maintain", e);
            return false;
        }
    }

    /// <summary>The process is about to end: nobody opens the replica any more, so that a coordinator that has let go of it does not take it back at once. Whoever has opened it is served on.</summary>
    public void BeginLeaving() => _leaving = true;

    /// <summary>Closes the store cleanly. Later calls are refused.</summary>
    public async ValueTask CloseAsync()
    {
        await _writeTurn.EnterAsync();
        try
        {
            if (_closed) return;
            _closed = true;
            if (_store is not null && _failure is null) await _store.CloseAsync();
        }
        catch (IOException e)
        {
            // A full pool may have no room for the last checkpoint: what there is opens without.
            if (e is not StorageFullException) Fail("close", e);
        }
        finally
        {
            if (_store is not null) await _store.DisposeAsync();
            _writeTurn.Leave();
        }
    }

    /// <summary>Lets go of the store as a killed process would.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_closed) return;
        _closed = true;
        if (_store is not null) await _store.DisposeAsync();
    }

    /// <summary>What those say who are asked for a replica whose process is about to end.</summary>
    public const string LeavingReason = "its node is shutting down";

    internal string Obstacle => _failure ?? (_closed ? "it was shut down" : "");

    internal ReplicaOutcome Check(long epoch, Guid incarnation)
    {
        if (_closed || _failure is not null) return ReplicaOutcome.Failed;

        // A replica that was never opened in this life knows no fence: its caller opened an earlier one.
        if (_store is null || incarnation != Incarnation) return ReplicaOutcome.Restarted;
        return epoch < _store.FenceEpoch && !Faults.SkipEpochCheck ? ReplicaOutcome.StaleEpoch : ReplicaOutcome.Ok;
    }

    private RebuildReply? CheckStep(long epoch, Guid incarnation, long number)
    {
        var refusal = Check(epoch, incarnation);
        if (refusal is not ReplicaOutcome.Ok) return new RebuildReply(refusal, _store?.Status, Obstacle);
        return _steps.Answer(epoch, number, _store!.Status);
    }

    private AppendReply Reply(ReplicaOutcome outcome)
    {
        return _store is null
            ? new AppendReply(outcome, 0, 0, 0, Obstacle)
            : new AppendReply(outcome, _store.Last.Seq, _store.DurableSeq, _store.WritableBytes, Obstacle);
    }

    /// <summary>After an error of the media or the map nothing more is applied: what the store holds is no longer certain until it is opened anew.</summary>
    internal AppendReply Fail(string operation, Exception exception)
    {
        _failure ??= exception.Message;
        LogStoreFailed(operation, exception);
        if (exception is not StorageFullException) NoteFault($"its store failed to {operation}");

        // The next life must not run into the same again and again.
        if (exception is StoreCorruptException && _store is { } store) _ = DamagedStore.MarkAsync(store, _logger);
        return Reply(ReplicaOutcome.Failed);
    }

    [LoggerMessage(2001, LogLevel.Error, "The replica's store failed to {Operation}; the replica stops until it is opened anew")]
    private partial void LogStoreFailed(string operation, Exception exception);

    [LoggerMessage(2002, LogLevel.Warning, "Block {Block} is bad and will be repaired from another replica: {Reason}")]
    private partial void LogBadBlock(long block, string reason);
}
