using System.Buffers;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using OpenEbs.Replication.Rebuilds;
using OpenEbs.Replication.Replicas;
using OpenEbs.Storage.Store;

namespace OpenEbs.Replication.Volumes;

/// <summary>
/// The one sequenced log of a volume (design section 4): gives every operation its seq, sends it to all in-sync replicas, and acknowledges it when all have it. There may be two coordinators
/// of a volume for a while; what keeps them apart is the epoch, which each raises in the volume's record and in every replica before it serves.
/// </summary>
/// <remarks>
/// States: Opening -> Serving or Frozen -> Fenced or Gone; Serving and Frozen alternate as replicas come and go; Closing comes before Fenced when it was asked to end while it served. I/O given
/// in Opening or Closing waits, and so do writes in Frozen; for how long, and what becomes of them then, the volume's policy says (<see cref="VolumeFreeze"/>). Not thread-safe: all calls and
/// continuations run in one scheduling context (a grain activation, or the simulation).
/// </remarks>
public sealed partial class VolumeCoordinator : ILinkOwner, IAsyncDisposable
{
    private readonly VolumeContext _context;
    private readonly Func<ReplicaEntry, IReplicaChannel> _connect;
    private readonly Action _onFenced;
    private readonly ILogger _logger;
    private readonly VolumeReads _reads;
    private readonly WriteOrder _order;
    private readonly VolumeWrites _writes;
    private readonly InSyncSet _inSync;
    private readonly Scrubs.VolumeScrub _scrub;
    private readonly VolumeLeases _leases;
    private readonly VolumeFreeze _freeze;
    private readonly IoGate _gate;
    private readonly VolumeHandOver _handOver;
    private VolumeOpening? _opening;
    private bool _watching;
    private bool _opened;

    /// <param name="records">The volume's record.</param>
    /// <param name="connect">Makes the way to a replica.</param>
    /// <param name="options">Times and limits.</param>
    /// <param name="time">Clock of this node; its time stamps go on while the process is stopped.</param>
    /// <param name="pool">Lends buffers.</param>
    /// <param name="onFenced">Called once when another coordinator has taken over: the host lets go of this one.</param>
    /// <param name="logger">Where changes of state are told.</param>
    public VolumeCoordinator(
        IVolumeRecordStore records, Func<ReplicaEntry, IReplicaChannel> connect, CoordinatorOptions options, TimeProvider time, MemoryPool<byte> pool, Action onFenced, ILogger logger)
        : this(records, connect, options, time, pool, onFenced, logger, CoordinatorFaults.None)
    {
    }

    internal VolumeCoordinator(
        IVolumeRecordStore records, Func<ReplicaEntry, IReplicaChannel> connect, CoordinatorOptions options, TimeProvider time, MemoryPool<byte> pool, Action onFenced, ILogger logger,
        CoordinatorFaults faults)
    {
        _context = new VolumeContext(new RecordKeeper(records, options.Place, time, options.RetryDelay * 5), options, time, pool, logger, faults);
        _connect = connect;
        _onFenced = onFenced;
        _logger = logger;
        _gate = new IoGate(_context);
        _leases = new VolumeLeases(_context, this);
        _freeze = new VolumeFreeze(_context, () => VolumeFreeze.FindObstacle(_context, State, _opening), this);
        _reads = new VolumeReads(_context, _leases, this);
        _order = new WriteOrder(_context, Watch);
        _writes = new VolumeWrites(_context, _reads, _order, Watch);
        _inSync = new InSyncSet(_context, _reads, this);
        _scrub = new Scrubs.VolumeScrub(_context, _reads, _order, this);
        _handOver = new VolumeHandOver(_context, _order, _gate);
        Members = new ReplicaMembership(_context, _inSync, this, connect, () => _opened && !_context.IsStopped);
    }

    public CoordinatorState State { get; private set; }

    /// <summary>Which replicas the volume has.</summary>
    public ReplicaMembership Members { get; }

    /// <summary>What the volume's gateways share.</summary>
    public SharedUnit Unit => field ??= new SharedUnit(_context, _leases, this, () => _opened && !_context.IsStopped, () => PassGateAsync(Deadline(), isRead: true));

    public VolumeRebuilds Rebuilds => field ??= new VolumeRebuilds(_context);

    public VolumePolicies Policies => field ??= new VolumePolicies(_context);

    /// <summary>Rises whenever something changes that gateways must know: size, losses, time limits, whether writes are refused.</summary>
    public int FactsCount => _context.Keeper.FactsCount + _freeze.RefusalCount;

    /// <summary>The record; null while it has not been read.</summary>
    public VolumeRecord? Record => _context.Keeper.Record;

    /// <summary>Writes are refused as on a write-protected disk until they can be acknowledged again.</summary>
    public bool IsReadOnly => _freeze.Refusal == VolumeIoStatus.WriteProtected;

    /// <summary>Begins to open the volume; I/O given meanwhile waits.</summary>
    public void Start() => _ = OpenAsync();

    /// <summary>Reads bytes. When Ok, the first <paramref name="lengthBytes"/> bytes of the result's data are what was read.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<VolumeIoResult> ReadAsync(long offsetBytes, int lengthBytes)
    {
        var deadline = Deadline();
        if (State != CoordinatorState.Serving && await PassGateAsync(deadline, isRead: true) is var refused && refused != VolumeIoStatus.Ok) return new VolumeIoResult(refused);
        if (!_context.IsInside(offsetBytes, lengthBytes)) return new VolumeIoResult(VolumeIoStatus.OutOfRange);
        using var passage = _gate.Enter();
        var (block, count) = VolumeBlocks.Covering(offsetBytes, lengthBytes);
        var range = _context.Ranges.Enter(block, count, _context.Faults.SkipReadWait ? RangeUse.Write : RangeUse.Read);
        Watch();
        try
        {
            if (!await range.GrantedAsync(deadline)) return new VolumeIoResult(VolumeIoStatus.TimedOut);
            var result = await _reads.ReadAsync(block, count, deadline);
            _context.Pace.OnClientIo(deadline.StartedAt);
            return result.Status == VolumeIoStatus.Ok ? _reads.Trim(result, (int)(offsetBytes - (block * VolumeBlocks.BlockBytes)), lengthBytes) : result;
        }
        finally
        {
            _context.Ranges.Exit(range);
        }
    }

    /// <summary>Writes bytes: one operation, atomic up to 1 MiB. Takes over one reference to <paramref name="data"/>, of which the first <paramref name="lengthBytes"/> bytes count.</summary>
    public ValueTask<VolumeIoResult> WriteAsync(long offsetBytes, IMemoryOwner<byte> data, int lengthBytes, bool forceUnitAccess)
    {
        if (State == CoordinatorState.Serving && _freeze.Refusal == VolumeIoStatus.Ok && _context.IsInside(offsetBytes, lengthBytes) && _writes.TryWrite(offsetBytes, data, lengthBytes, forceUnitAccess, Deadline()) is { } operation)
            return operation.AsValueTask();
        return WriteSlowlyAsync(offsetBytes, data, lengthBytes, forceUnitAccess);
    }

    /// <summary>Acknowledged when everything sequenced before is on stable media of every in-sync replica (promise P2).</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<VolumeIoResult> FlushAsync()
    {
        var deadline = Deadline();
        if (State != CoordinatorState.Serving && await PassGateAsync(deadline) is var refused && refused != VolumeIoStatus.Ok)
            return new VolumeIoResult(refused == VolumeIoStatus.WriteProtected ? VolumeIoStatus.TimedOut : refused);
        using var passage = _gate.Enter();
        var askedAt = _context.Now;
        var status = _freeze.Refusal != VolumeIoStatus.Ok && _context.CommitSeq < _context.Log.LastSeq ? VolumeIoStatus.TimedOut : await _order.FlushAsync(deadline);

        // Who was overtaken knows nothing of what was written since, and would find nothing left to flush.
        return new VolumeIoResult(status == VolumeIoStatus.Ok ? await _leases.ConfirmAsync(askedAt, deadline) : status);
    }

    /// <summary>Makes the ranges read as zeros and frees their whole blocks, one range after the other.</summary>
    public async ValueTask<VolumeIoResult> WriteZeroesAsync(IReadOnlyList<BlockByteRange> ranges, bool forceUnitAccess)
    {
        var deadline = Deadline();
        if (State != CoordinatorState.Serving && await PassGateAsync(deadline) is var refused && refused != VolumeIoStatus.Ok) return new VolumeIoResult(refused);
        if (_freeze.Refusal != VolumeIoStatus.Ok) return new VolumeIoResult(_freeze.Refusal);
        if (ranges.Any(range => !_context.IsInside(range.OffsetBytes, range.LengthBytes))) return new VolumeIoResult(VolumeIoStatus.OutOfRange);
        using var passage = _gate.Enter();
        return await _writes.ZeroAsync(ranges, forceUnitAccess, deadline);
    }

    /// <summary>Compares the first half of the data with the volume and, if equal, writes the second half there, as one step. Takes over one reference to the data.</summary>
    public async ValueTask<VolumeIoResult> CompareAndWriteAsync(long offsetBytes, IMemoryOwner<byte> compareThenWrite, int lengthBytes, bool forceUnitAccess)
    {
        using (compareThenWrite)
        {
            var deadline = Deadline();
            if (State != CoordinatorState.Serving && await PassGateAsync(deadline) is var refused && refused != VolumeIoStatus.Ok) return new VolumeIoResult(refused);
            if (_freeze.Refusal != VolumeIoStatus.Ok) return new VolumeIoResult(_freeze.Refusal);
            if (!_context.IsInside(offsetBytes, lengthBytes / 2)) return new VolumeIoResult(VolumeIoStatus.OutOfRange);
            using var passage = _gate.Enter();
            return await _writes.CompareAndWriteAsync(offsetBytes, compareThenWrite.Memory[..lengthBytes], forceUnitAccess, deadline);
        }
    }

    /// <summary>At most <paramref name="maxRanges"/> runs from the offset on, alternately mapped and unmapped.</summary>
    public async ValueTask<IReadOnlyList<AllocatedByteRange>> ListAllocatedAsync(long offsetBytes, int maxRanges)
    {
        var deadline = Deadline();
        if (State != CoordinatorState.Serving && await PassGateAsync(deadline, isRead: true) != VolumeIoStatus.Ok) return [];
        using var passage = _gate.Enter();
        return await _reads.ListAllocatedAsync(offsetBytes, maxRanges, deadline);
    }

    /// <summary>The record, once the volume is open (it may be frozen). Throws <see cref="TimeoutException"/> when that takes too long and <see cref="InvalidOperationException"/> when fenced or gone.</summary>
    public async ValueTask<VolumeRecord> WhenOpenAsync(TimeSpan patience)
    {
        var status = await PassGateAsync(IoDeadline.Within(_context.Now, _context.Ticks(patience)), isRead: true);
        return status switch
        {
            VolumeIoStatus.Ok => _context.Keeper.Record!,
            VolumeIoStatus.TimedOut => throw new TimeoutException($"The volume is not open yet: {Snapshot().Reason}"),
            _ => throw new InvalidOperationException($"The volume's coordinator is {State}."),
        };
    }

    /// <summary>Reads and compares all replicas from the volume's beginning on, at once.</summary>
    public void Scrub() => _scrub.Hurry();

    /// <summary>Asks the replicas how much they occupy, for the next <see cref="Snapshot"/>; those that do not answer soon keep their old figure.</summary>
    public ValueTask RefreshUsageAsync() => _inSync.RefreshUsageAsync();

    public CoordinatorSnapshot Snapshot()
    {
        var record = _context.Keeper.Record;
        var last = _context.Log.LastSeq;
        var replicas = _context.Links.Select(l => new ReplicaSnapshot(
            l.Entry.Id, l.Entry.Pool, l.Standing, l.AckedSeq, l.DurableSeq, Math.Max(0, last - l.AckedSeq), l.UsedBytes, l.Plight,
            l.WritableBytes == long.MaxValue ? null : l.WritableBytes, l.Rebuild?.Progress?.Snapshot()));
        return new CoordinatorSnapshot(State == CoordinatorState.Serving && _freeze.IsFrozen ? CoordinatorState.Frozen : State, _freeze.Reason, record, last, _context.CommitSeq, [.. replicas], _scrub.Progress, _scrub.IsHurried, _scrub.Tally);
    }

    /// <summary>Ends in order: makes everything durable while it serves on, then holds what comes, lets what is under way end, and gives its leases up at the replicas, so that the next
    /// coordinator opens at once. Where that takes too long it ends all the same; I/O that then still waits ends as Fenced.</summary>
    public async ValueTask CloseAsync()
    {
        if (State == CoordinatorState.Serving)
        {
            await _handOver.PrepareAsync();
            if (State == CoordinatorState.Serving) State = CoordinatorState.Closing;
        }

        var heldSince = _context.Now;
        if (State == CoordinatorState.Closing) await _handOver.DrainAsync();
        if (_context.IsStopped) return;
        LogClosed(_context.Time.GetElapsedTime(heldSince).TotalMilliseconds, _gate.InsideCount);
        End(CoordinatorState.Fenced);
        if (_opened) await _handOver.ReleaseAsync();
    }

    public ValueTask DisposeAsync()
    {
        End(CoordinatorState.Fenced);
        return ValueTask.CompletedTask;
    }

    void ILinkOwner.OnProgress()
    {
        if (_context.IsStopped || !_opened) return;
        _order.Advance();
        UpdateServing();
        _freeze.WatchIfFrozen();
    }

    void ILinkOwner.OnDown(ReplicaLink link)
    {
        if (_context.IsStopped) return;
        LogDown(link.Entry.Id, link.Reason);
        _ = _inSync.RejoinAsync(link);
        if (link.Channel.Obstacle is not null || link.IsLeaving) _inSync.Watch(_opened);
        Watch();
    }

    void ILinkOwner.OnFenced(string reason) => Fence(reason);

    private async Task OpenAsync()
    {
        try
        {
            var record = await _context.Keeper.OpenAsync(_context.Stopped);
            if (record is null)
            {
                End(CoordinatorState.Gone);
                return;
            }

            foreach (var entry in record.Replicas) _context.Add(new ReplicaLink(_context, this, entry, _connect(entry)));
            _opening = new VolumeOpening(_context, this);
            Watch();
            await _opening.RunAsync();
            _opening = null;
            _opened = true;
            State = CoordinatorState.Frozen;
            LogOpened(record.Name, record.Epoch, _context.Log.LastSeq);

            // The first operation of the epoch: once it is acknowledged, so is all that earlier epochs left unacknowledged.
            _order.Mark(Deadline());
            UpdateServing();
            _ = _inSync.BeatAsync();
            _ = _scrub.RunAsync();
            foreach (var link in _context.Links.Where(l => l.State == LinkState.Down)) _ = _inSync.RejoinAsync(link);
        }
        catch (VolumeRecordConflictException e)
        {
            Fence(e.Message);
        }
        catch (OperationCanceledException) when (_context.IsStopped)
        {
        }
        catch (Exception e)
        {
            LogOpenFailed(e);
            Fence(e.Message);
        }
    }

    /// <summary>Serves while enough replicas are in sync.</summary>
    private void UpdateServing()
    {
        if (State is not (CoordinatorState.Serving or CoordinatorState.Frozen)) return;
        var enough = _context.Links.Count(l => l.Standing == ReplicaStanding.InSync) >= _context.Keeper.Record!.MinInSync;
        State = enough ? CoordinatorState.Serving : CoordinatorState.Frozen;
        if (!enough) return;
        _gate.Answer(VolumeIoStatus.Ok);
    }

    private void Fence(string reason)
    {
        if (_context.IsStopped) return;
        LogFenced(reason);
        End(CoordinatorState.Fenced);
    }

    private void End(CoordinatorState state)
    {
        if (_context.IsStopped) return;
        State = state;
        _context.Stop();
        var status = state == CoordinatorState.Gone ? VolumeIoStatus.Gone : VolumeIoStatus.Fenced;
        _gate.Answer(status);
        _reads.Watch();
        _order.Stop(status);
        _onFenced();
    }

    private ValueTask<VolumeIoStatus> PassGateAsync(IoDeadline deadline, bool isRead = false)
    {
        switch (State)
        {
            case CoordinatorState.Serving: return ValueTask.FromResult(VolumeIoStatus.Ok);
            case CoordinatorState.Frozen when isRead: return ValueTask.FromResult(VolumeIoStatus.Ok);
            case CoordinatorState.Frozen or CoordinatorState.Opening when !isRead && _freeze.Refusal != VolumeIoStatus.Ok: return ValueTask.FromResult(_freeze.Refusal);
            case CoordinatorState.Gone: return ValueTask.FromResult(VolumeIoStatus.Gone);
            case CoordinatorState.Fenced: return ValueTask.FromResult(VolumeIoStatus.Fenced);
            default:
                Watch();
                return _gate.WaitAsync(deadline);
        }
    }

    private async ValueTask<VolumeIoResult> WriteSlowlyAsync(long offsetBytes, IMemoryOwner<byte> data, int lengthBytes, bool forceUnitAccess)
    {
        var deadline = Deadline();
        var refused = VolumeIoStatus.Ok;
        if (State != CoordinatorState.Serving) refused = await PassGateAsync(deadline);
        if (refused == VolumeIoStatus.Ok) refused = _freeze.Refusal;
        if (refused == VolumeIoStatus.Ok && !_context.IsInside(offsetBytes, lengthBytes)) refused = VolumeIoStatus.OutOfRange;
        using var passage = _gate.Enter();
        if (refused == VolumeIoStatus.Ok) return await _writes.WriteAsync(offsetBytes, data, lengthBytes, forceUnitAccess, deadline);
        data.Dispose();
        return new VolumeIoResult(refused);
    }

    /// <summary>Starts looking for overdue calls and I/O, until there is none for a while.</summary>
    private void Watch()
    {
        if (_watching || _context.IsStopped) return;
        _watching = true;
        _ = WatchAsync();
    }

    private async Task WatchAsync()
    {
        try
        {
            for (var idle = 0; idle < 20 && !_context.IsStopped;)
            {
                await _context.Delay(_context.Options.WatchInterval);
                _reads.Watch();
                _order.Watch();
                _inSync.Watch(_opened);
                _gate.Expire();
                _context.Ranges.Expire(_context);
                _freeze.Watch();
                var busy = !_reads.IsIdle || !_order.IsIdle || !_gate.IsIdle || _context.Links.Any(l => l.Standing == ReplicaStanding.InSync && l.State == LinkState.Down);
                idle = busy ? 0 : idle + 1;
            }
        }
        catch (OperationCanceledException) when (_context.IsStopped)
        {
        }
        catch (VolumeRecordConflictException e)
        {
            Fence(e.Message);
        }
        finally
        {
            _watching = false;
        }
    }

    private IoDeadline Deadline() => IoDeadline.OfUser(_context.Now);

    [LoggerMessage(2401, LogLevel.Information, "Volume {Volume} is open at epoch {Epoch}, its log ends at seq {Seq}")]
    private partial void LogOpened(string volume, long epoch, long seq);

    [LoggerMessage(2402, LogLevel.Information, "This coordinator ends: {Reason}")]
    private partial void LogFenced(string reason);

    [LoggerMessage(2403, LogLevel.Warning, "Replica {Replica} went down: {Reason}")]
    private partial void LogDown(string replica, string reason);

    [LoggerMessage(2405, LogLevel.Error, "The volume could not be opened")]
    private partial void LogOpenFailed(Exception exception);

    [LoggerMessage(2407, LogLevel.Information, "This coordinator ends because it was asked to: {HeldMs} ms of I/O held, {UnderWay} I/Os cut off")]
    private partial void LogClosed(double heldMs, int underWay);
}
