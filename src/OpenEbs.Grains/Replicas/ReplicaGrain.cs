using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.Logging;
using OpenEbs.Buffers;
using OpenEbs.Grains.Gateways;
using OpenEbs.Grains.Pools;
using OpenEbs.Grains.Volumes;
using OpenEbs.Replication.Replicas;
using OpenEbs.Replication.Volumes;
using OpenEbs.Storage.Scheduling;
using OpenEbs.Storage.Store;
using Orleans.Concurrency;
using Orleans.Dashboard;
using Orleans.Placement;
using Orleans.Runtime;

namespace OpenEbs.Grains.Replicas;

/// <summary>Hosts one life of a replica over its directory in a pool of this silo, and runs its store's background work.</summary>
[SuppressMessage("Design", "CA1001", Justification = "OnDeactivateAsync ends what the activation owns.")]
[Reentrant, KeepAlive, Immovable, PoolPlacement, NoProfiling, GrainType("openebs.replica")]
internal sealed partial class ReplicaGrain : Grain, IReplicaGrain
{
    /// <summary>Steps of background work in one turn of the timer, so that calls get theirs in between.</summary>
    private const int MaxStepsPerTick = 4;
    private static readonly TimeSpan BusyDelay = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan AfterWriteDelay = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan IdleDelay = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan LongestIdleDelay = TimeSpan.FromSeconds(20);

    private readonly LocalPools _pools;
    private readonly IReplicaStoreProvider _stores;
    private readonly LocalReplicas _localReplicas;
    private readonly ILogger<ReplicaGrain> _logger;
    private readonly string _poolId;
    private readonly string _replicaId;
    private LocalPool? _pool;
    private int _poolLife;
    private ReplicaSession? _session;
    private IDisposable? _device;
    private IGrainTimer? _maintenance;
    private bool _isIdle = true;
    private TimeSpan _idleDelay = IdleDelay;
    private VolumeRecord? _record;
    private readonly AsyncTurn _opening = new();
    private readonly AsyncTurn _keeping = new();

    public ReplicaGrain(IGrainContext context, LocalPools pools, IReplicaStoreProvider stores, LocalReplicas localReplicas, ILogger<ReplicaGrain> logger)
    {
        _pools = pools;
        _stores = stores;
        _localReplicas = localReplicas;
        _logger = logger;
        var key = context.GrainId.Key.ToString()!;
        var slash = key.IndexOf('/');
        (_poolId, _replicaId) = slash > 0 ? (key[..slash], key[(slash + 1)..]) : ("", key);
    }

    public override Task OnActivateAsync(CancellationToken cancellationToken)
    {
        // Placement already saw to it; but what placed this may have known less than this silo does of itself.
        _pool = _pools.Find(_poolId) ?? throw new SiloUnavailableException($"Replica {_replicaId} was placed on a node that does not have its pool '{_poolId}'.");
        _poolLife = _pool.Life;
        _session = new ReplicaSession(OpenStoreAsync, DiscardStoreAsync, Guid.NewGuid(), IoBufferPool.Shared, _logger) { NoteFault = what => _pool.NoteMediaError(_replicaId, what) };
        _localReplicas.Add(this.GetPrimaryKeyString());
        _maintenance = this.RegisterGrainTimer(MaintainAsync, new GrainTimerCreationOptions { DueTime = AfterWriteDelay, Period = IdleDelay, Interleave = true });
        return Task.CompletedTask;
    }

    public override async Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken)
    {
        _localReplicas.Remove(this.GetPrimaryKeyString());
        if (_session is not { } session) return;
        if (!cancellationToken.IsCancellationRequested && _pool is { IsOnline: true } pool && pool.Life == _poolLife && session.Failure is null) await session.CloseAsync();
        else await session.DisposeAsync();
        _device?.Dispose();
    }

    public async ValueTask<OpenReply> OpenAsync(OpenRequest request)
    {
        if (CheckPool() is { } problem) return new OpenReply(ReplicaOutcome.Failed, _session!.Incarnation, null, problem);
        WakeMaintenance();
        var reply = await _session!.OpenAsync(request);

        // Beside the opening, on which failover waits.
        if (reply.Outcome == ReplicaOutcome.Ok && request.Record is { } record && !ReferenceEquals(record, _record)) _ = KeepRecordAsync(record);
        return reply;
    }

    public ValueTask<ReplicaOutcome> DiscardAsync(long epoch, Guid incarnation) => CheckPool() is null ? _session!.DiscardAsync(epoch, incarnation) : ValueTask.FromResult(ReplicaOutcome.Failed);

    public async ValueTask<ReplicaInspection> InspectAsync()
    {
        if (CheckPool() is { } problem) return new ReplicaInspection(null, null, problem);
        var path = _pool!.ReplicaPath(_replicaId);
        var record = ReplicaManifest.Read(path);
        await _opening.EnterAsync();
        try
        {
            if (_session!.Status is { } status) return new ReplicaInspection(status, record);
            var (store, device) = await _stores.OpenAsync(_pool, _replicaId, StoreOpening.Existing);
            await using (store)
            using (device)
            {
                return new ReplicaInspection(store.Status, record);
            }
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return new ReplicaInspection(null, record, failure.Message);
        }
        finally
        {
            _opening.Leave();
            if (_session!.Status is null) DeactivateOnIdle();
        }
    }

    public ValueTask<AppendReply> AppendAsync(AppendRequest request)
    {
        if (_isIdle) WakeMaintenance();
        return CallTraces.EndAsync(CallTraces.Begin("append"), _session!.AppendAsync(request));
    }

    public ValueTask<AppendReply> FlushAsync(long epoch, Guid incarnation, long commitSeq, bool flush) =>
        CallTraces.EndAsync(CallTraces.Begin("flush"), _session!.FlushAsync(epoch, incarnation, commitSeq, flush));

    public ValueTask<ReadReply> ReadAsync(long epoch, Guid incarnation, long block, int blockCount) =>
        CallTraces.EndAsync(CallTraces.Begin("read"), _session!.ReadAsync(epoch, incarnation, block, blockCount));

    public ValueTask<CheckReply> CheckAsync(long epoch, Guid incarnation, long block, int blockCount) => _session!.CheckAsync(epoch, incarnation, block, blockCount);

    public ValueTask<DigestReply> DigestAsync(long epoch, Guid incarnation, long block, int blockCount) => _session!.DigestAsync(epoch, incarnation, block, blockCount);

    public ValueTask<BlocksReply> DescribeBlocksAsync(long epoch, Guid incarnation, long block, int blockCount) => _session!.DescribeBlocksAsync(epoch, incarnation, block, blockCount);

    public async ValueTask<StoreScrubReply> ScrubStoreAsync(long epoch, Guid incarnation, bool restart)
    {
        var reply = await _session!.ScrubStoreAsync(epoch, incarnation, restart);
        return reply is { Outcome: ReplicaOutcome.Ok, IsDone: true } && await RepairRecordAsync() is { } repaired ? reply with { Repaired = [.. reply.Repaired, repaired] } : reply;
    }

    public ValueTask<LogReply> ReadLogAsync(long epoch, Guid incarnation, long fromSeq, int maxBytes) => _session!.ReadLogAsync(epoch, incarnation, fromSeq, maxBytes);

    public ValueTask<RebuildReply> RebuildAsync(RebuildRequest request) => _session!.RebuildAsync(request);

    public ValueTask<RebuildReply> CopyAsync(AppendRequest request, bool repair)
    {
        if (_isIdle) WakeMaintenance();
        return _session!.CopyAsync(request, repair);
    }

    public ValueTask<ChangedReply> ListChangedAsync(long epoch, Guid incarnation, long sinceSeq, long fromBlock, int maxRuns) =>
        _session!.ListChangedAsync(epoch, incarnation, sinceSeq, fromBlock, maxRuns);

    public ValueTask<AllocatedReply> ListAllocatedAsync(long epoch, Guid incarnation, long fromBlock, long blockCount, int maxRuns) =>
        _session!.ListAllocatedAsync(epoch, incarnation, fromBlock, blockCount, maxRuns);

    public ValueTask<ReplicaOutcome> ReleaseAsync(long epoch, Guid incarnation, long commitSeq) => _session!.ReleaseAsync(epoch, incarnation, commitSeq);

    public async ValueTask LeaveAsync()
    {
        // Only a coordinator tells a replica its volume's record: without, nobody rests on it.
        if (_session is not { Status: not null } session || _record is not { } record) return;
        session.BeginLeaving();
        await GrainFactory.GetGrain<IVolumeControl>(record.Name).LetGoAsync(_replicaId, session.Incarnation);
    }

    public async ValueTask DeleteAsync()
    {
        if (!_pool!.IsOnline) throw new SiloUnavailableException($"Pool '{_poolId}' is offline: {_pool.Reason}");
        await _session!.DisposeAsync();
        _device?.Dispose();
        await DeleteFilesAsync();
        LogDeleted(_replicaId, _poolId);
        DeactivateOnIdle();
    }

    private async ValueTask<IReplicaStore> OpenStoreAsync(StoreOpening opening)
    {
        // Not while somebody inspects it: two stores over the same files would be the end of them.
        await _opening.EnterAsync();
        try
        {
            var opened = await _stores.OpenAsync(_pool!, _replicaId, opening);
            _device = opened.Device;
            return opened.Store;
        }
        finally
        {
            _opening.Leave();
        }
    }

    private async ValueTask DiscardStoreAsync()
    {
        _device?.Dispose();
        _device = null;
        await DeleteFilesAsync();
        LogDiscarded(_replicaId, _poolId);
    }

    /// <summary>Not while the record is written there: the directory would not be empty, or be there again.</summary>
    private async Task DeleteFilesAsync()
    {
        _record = null;
        await _keeping.EnterAsync();
        try
        {
            await Task.Run(() => _pool!.DeleteReplicaAsync(_replicaId));
        }
        finally
        {
            _keeping.Leave();
        }
    }

    /// <summary>A copy for the day on which the metadata store is lost: the replica serves without.</summary>
    private async Task KeepRecordAsync(VolumeRecord record)
    {
        _record = record;

        // One after the other: two would use the same temporary file.
        await _keeping.EnterAsync();
        try
        {
            if (!ReferenceEquals(_record, record)) return;
            var path = _pool!.ReplicaPath(_replicaId);
            await Task.Run(() => ReplicaManifest.Write(path, record));
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            _record = null;
            LogRecordNotKept(_replicaId, _poolId, failure.Message);
        }
        finally
        {
            _keeping.Leave();
        }
    }

    /// <summary>Looks at the copy of the volume's record on media; says what was wrong when it had to be written anew.</summary>
    private async Task<string?> RepairRecordAsync()
    {
        await _keeping.EnterAsync();
        try
        {
            if (_record is not { } record) return null;
            var path = _pool!.ReplicaPath(_replicaId);
            if (!await Task.Run(() => ReplicaManifest.Repair(path, record))) return null;
            const string what = $"{ReplicaManifest.FileName} was damaged: written anew";
            _pool.NoteMediaError(_replicaId, what);
            return what;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            LogRecordNotKept(_replicaId, _poolId, failure.Message);
            return null;
        }
        finally
        {
            _keeping.Leave();
        }
    }

    /// <summary>What is wrong with the pool, or null. A pool that went away, even if it came back, ends this life of the replica: its files are of the past.</summary>
    private string? CheckPool()
    {
        if (_pool!.IsOnline && _pool.Life == _poolLife) return null;
        DeactivateOnIdle();
        return _pool.IsOnline ? $"pool '{_poolId}' went away and came back" : $"pool '{_poolId}' is offline: {_pool.Reason}";
    }

    private void WakeMaintenance()
    {
        _isIdle = false;
        _idleDelay = IdleDelay;
        _maintenance?.Change(AfterWriteDelay, IdleDelay);
    }

    private async Task MaintainAsync(CancellationToken cancellationToken)
    {
        if (CheckPool() is not null) return;
        if (_session!.Failure is { } failure)
        {
            // The next life may find the store good again; and if not, says why.
            LogRestarting(_replicaId, _poolId, failure);
            DeactivateOnIdle();
            return;
        }

        var steps = 0;
        while (steps < MaxStepsPerTick && !cancellationToken.IsCancellationRequested && await _session.MaintainAsync()) steps++;
        _isIdle = steps == 0;
        if (!_isIdle) _maintenance?.Change(steps == MaxStepsPerTick ? BusyDelay : AfterWriteDelay, _idleDelay = IdleDelay);
        else if (_idleDelay < LongestIdleDelay)
        {
            // A node with thousands of replicas has more to do than look after those that nobody uses.
            _idleDelay *= 2;
            _maintenance?.Change(_idleDelay, _idleDelay);
        }
    }

    [LoggerMessage(1100, LogLevel.Information, "Replica {Replica}: deleted from pool {Pool}")]
    private partial void LogDeleted(string replica, string pool);

    [LoggerMessage(1103, LogLevel.Warning, "Replica {Replica} on pool {Pool} was damaged: its files are deleted, it will be rebuilt")]
    private partial void LogDiscarded(string replica, string pool);

    [LoggerMessage(1102, LogLevel.Warning, "Replica {Replica} on pool {Pool} could not keep its volume's record beside its data: {Reason}")]
    private partial void LogRecordNotKept(string replica, string pool, string reason);

    [LoggerMessage(1101, LogLevel.Warning, "Replica {Replica} on pool {Pool} failed and starts anew: {Reason}")]
    private partial void LogRestarting(string replica, string pool, string reason);
}
