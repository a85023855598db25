using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using OpenEbs.Buffers;
using OpenEbs.Grains.Cluster;
using OpenEbs.Grains.Gateways;
using OpenEbs.Grains.Hosting;
using OpenEbs.Grains.Membership;
using OpenEbs.Grains.Nodes;
using OpenEbs.Grains.Pools;
using OpenEbs.Grains.Replicas;
using OpenEbs.Replication.Rebuilds;
using OpenEbs.Replication.Replicas;
using OpenEbs.Replication.Volumes;
using OpenEbs.Volumes;
using Orleans.Concurrency;
using Orleans.Dashboard;
using Orleans.Placement;
using Orleans.Runtime;
using Orleans.Runtime.Placement;

namespace OpenEbs.Grains.Volumes;

/// <summary>Hosts the coordinator of one volume: feeds it calls, gives it the metadata store and the replicas, and ends with it when it is fenced.</summary>
/// <remarks>Two activations at once are harmless: the one whose coordinator opened later has fenced the other at every replica.</remarks>
[SuppressMessage("Design", "CA1001", Justification = "OnDeactivateAsync ends what the activation owns.")]
[Reentrant, KeepAlive, Immovable, VolumePlacement, NoProfiling, GrainType(TypeName)]
internal sealed partial class VolumeGrain : Grain, IVolumeGrain, IVolumeControl
{
    public const string TypeName = "openebs.volume";

    private static readonly TimeSpan AttachPatience = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan ChangePatience = TimeSpan.FromSeconds(20);

    private readonly OpenEbsSiloOptions _options;
    private readonly VolumeRecords _records;
    private readonly NodeDirectory _nodes;
    private readonly LocalPools _pools;
    private readonly LocalVolumes _localVolumes;
    private readonly RebuildSlots _rebuildSlots;
    private readonly ProcessSentinel _sentinel;
    private readonly TimeProvider _time;
    private readonly ILogger<VolumeGrain> _logger;
    private readonly SessionReports _sessions;
    private readonly string _name;
    private VolumeCoordinator? _coordinator;
    private Task? _stepDown;
    private bool _isClosing;
    private IoReply _done = IoReply.Done;
    private int _doneFor;
    private string _concern = "";

    public VolumeGrain(
        IGrainContext context,
        OpenEbsSiloOptions options,
        VolumeRecords records,
        NodeDirectory nodes,
        LocalPools pools,
        LocalVolumes localVolumes,
        RebuildSlots rebuildSlots,
        ProcessSentinel sentinel,
        TimeProvider time,
        ILogger<VolumeGrain> logger)
    {
        _options = options;
        _records = records;
        _nodes = nodes;
        _pools = pools;
        _localVolumes = localVolumes;
        _rebuildSlots = rebuildSlots;
        _sentinel = sentinel;
        _time = time;
        _logger = logger;
        _name = context.GrainId.Key.ToString()!;
        _sessions = new SessionReports(time, options.Connections.ReportInterval * 3, name => nodes.ListActive().Any(node => node.Name == name));
    }

    private VolumeDataCalls Calls => field ??= new VolumeDataCalls(() => _coordinator, NotHere, Done);

    private VolumeCoordinator Coordinator => _coordinator ?? throw new VolumeNotFoundException(NotHere().Detail);

    public override async Task OnActivateAsync(CancellationToken cancellationToken)
    {
        // A message that was sent here before the silo began to stop activates the grain here, whatever placement says.
        if (_localVolumes.IsStopping) throw new SiloUnavailableException($"Node '{_options.NodeName}' is going down; volume '{_name}' opens on another.");
        if (await ExistsAsync(cancellationToken)) Open();
    }

    public override async Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken)
    {
        _localVolumes.Remove(_name, this);
        await CloseAsync(flush: !cancellationToken.IsCancellationRequested);
        LogClosed(_name, reason.Description);
    }

    public async ValueTask<VolumeAttachment> AttachAsync()
    {
        if (WantsToMove(out var gateway))
        {
            LogMoving(_name, gateway);
            await StepDownAsync();
            throw new VolumeMovingException($"Volume '{_name}' moves to the gateway that attaches to it.");
        }

        var coordinator = Coordinator;
        VolumeRecord record;
        try
        {
            record = await coordinator.WhenOpenAsync(AttachPatience);
        }
        catch (TimeoutException) when (coordinator.Record is not null)
        {
            // What a gateway must know is known. It may let its initiators in, whose I/O waits here: with a volume that is away for long, logins that hang would only be more trouble.
            record = coordinator.Record;
        }
        catch (InvalidOperationException) when (coordinator.State == CoordinatorState.Gone)
        {
            throw new VolumeNotFoundException($"Volume '{_name}' is deleted or being deleted.");
        }

        return VolumeViews.AttachmentOf(record, Done(coordinator).FactsVersion, coordinator.IsReadOnly) with { Portal = _nodes.Find(_nodes.Local)?.Facts?.Portal ?? "" };
    }

    public async ValueTask<VolumeView> DescribeAsync()
    {
        var coordinator = Coordinator;
        await coordinator.RefreshUsageAsync();
        var snapshot = coordinator.Snapshot();
        return VolumeViews.Of(_name, snapshot, _options.NodeName, _nodes, _sessions.List()) with { Concern = _concern };
    }

    public async ValueTask ResizeAsync(long sizeBytes)
    {
        var record = await Coordinator.WhenOpenAsync(ChangePatience);
        if (sizeBytes < record.SizeBytes)
        {
            throw new VolumeRequestInvalidException(
                $"Volume '{_name}' has {record.SizeBytes} bytes and cannot shrink to {sizeBytes}: what lies beyond would be lost. Create a smaller volume and copy to it.");
        }

        var problems = new VolumeSpec { SizeBytes = sizeBytes }.Problems().ToList();
        if (problems.Count > 0) throw new VolumeRequestInvalidException($"Volume '{_name}' cannot be resized: {string.Join("; ", problems)}.");
        if (sizeBytes == record.SizeBytes) return;
        var pools = await GrainFactory.GetGrain<IClusterGrain>(0).ListPoolsAsync();
        if (PoolChoice.ProblemOfGrowth([.. record.Replicas.Select(replica => replica.Pool)], pools, sizeBytes - record.SizeBytes, _options.MaxOverprovisioning) is { } full)
            throw new VolumeUnavailableException($"Volume '{_name}' cannot grow to {sizeBytes} bytes: {full}.");
        await Coordinator.Policies.ResizeAsync(sizeBytes);
        LogResized(_name, record.SizeBytes, sizeBytes);
    }

    public async ValueTask ScrubAsync()
    {
        await Coordinator.WhenOpenAsync(ChangePatience);
        Coordinator.Scrub();
    }

    public async ValueTask SetRebuildLimitAsync(long? bytesPerSecond)
    {
        if (bytesPerSecond is < 0) throw new VolumeRequestInvalidException($"The rebuild limit of volume '{_name}' cannot be {bytesPerSecond} bytes/s; give a positive number, or 0 for no limit.");
        await Coordinator.WhenOpenAsync(ChangePatience);
        await Coordinator.Rebuilds.SetLimitAsync(bytesPerSecond);
    }

    public async ValueTask SetTimeoutAsync(TimeSpan? ioTimeout, TimeoutAction? onTimeout)
    {
        var coordinator = Coordinator;

        // Not only when the volume serves: this is wanted most when it does not.
        var record = coordinator.Record ?? await coordinator.WhenOpenAsync(ChangePatience);
        var spec = VolumeViews.SpecOf(record);
        var problems = (spec with { IoTimeout = ioTimeout ?? spec.IoTimeout, OnTimeout = onTimeout ?? spec.OnTimeout }).Problems().ToList();
        if (problems.Count > 0) throw new VolumeRequestInvalidException($"Volume '{_name}' cannot be changed so: {string.Join("; ", problems)}.");
        await coordinator.Policies.SetTimeoutAsync(ioTimeout, onTimeout is { } action ? VolumeViews.PolicyOf(action) : null).AsTask().WaitAsync(ChangePatience, _time);
    }

    public ValueTask<IoReply> ReadAsync(long offsetBytes, int lengthBytes, long unitVersion) => Calls.ReadAsync(offsetBytes, lengthBytes, unitVersion);

    public ValueTask<IoReply> WriteAsync(long offsetBytes, IoBuffer data, IoFlags flags, long unitVersion) => Calls.WriteAsync(offsetBytes, data, flags, unitVersion);

    public ValueTask<IoReply> FlushAsync(long unitVersion) => Calls.FlushAsync(unitVersion);

    public ValueTask<IoReply> WriteZeroesAsync(IReadOnlyList<ByteRange> ranges, IoFlags flags, long unitVersion) => Calls.WriteZeroesAsync(ranges, flags, unitVersion);

    public ValueTask<IoReply> CompareAndWriteAsync(long offsetBytes, IoBuffer compareThenWrite, IoFlags flags, long unitVersion) =>
        Calls.CompareAndWriteAsync(offsetBytes, compareThenWrite, flags, unitVersion);

    public async ValueTask<UnitReply> GetUnitAsync(long knownVersion)
    {
        if (_coordinator is not { } coordinator) return new UnitReply { Status = NotHere().Status };
        var (status, unit) = await coordinator.Unit.ReadAsync();
        return VolumeReplies.Of(status, unit, knownVersion, Done(coordinator).FactsVersion);
    }

    public async ValueTask<UnitReply> ChangeUnitAsync(UnitChange change)
    {
        if (_coordinator is not { } coordinator) return new UnitReply { Status = NotHere().Status };
        var status = await coordinator.Unit.ChangeAsync(new UnitRecordChange(change.Id, change.FromVersion, change.Lasting, change.Passing, change.Drains));
        return VolumeReplies.Of(status, coordinator.Unit.Present, change.FromVersion, Done(coordinator).FactsVersion);
    }

    public async ValueTask<IReadOnlyList<ProvisioningRange>> GetProvisioningStatusAsync(long offsetBytes, int maxRanges)
    {
        var ranges = await Coordinator.ListAllocatedAsync(offsetBytes, maxRanges);
        return [.. ranges.Select(range => new ProvisioningRange(range.OffsetBytes, range.LengthBytes, range.Mapped))];
    }

    public ValueTask ReportSessionsAsync(string node, IReadOnlyList<SessionView> sessions)
    {
        if (_coordinator is null) NotHere();
        _sessions.Report(node, sessions);
        return ValueTask.CompletedTask;
    }

    public async ValueTask DeleteAsync()
    {
        var records = _records.Of(_name);
        while (await records.LoadAsync() is var (record, etag) && !record.Deleting)
        {
            try
            {
                // From now on no coordinator can change the record, and none can open the volume.
                await records.CompareAndSwapAsync(record with { Deleting = true }, etag);
            }
            catch (VolumeRecordConflictException)
            {
                // A coordinator, perhaps our own, changed the record meanwhile.
            }
        }

        await CloseAsync(flush: false);
        DeactivateOnIdle();
    }

    public ValueTask KeepOpenAsync()
    {
        if (_coordinator is null) NotHere();
        return ValueTask.CompletedTask;
    }

    public async ValueTask<string> AddReplicaAsync(string pool, string cause) => await Coordinator.Members.AddAsync(pool, cause);

    public async ValueTask<bool> RemoveReplicaAsync(string replicaId, string cause) => await Coordinator.Members.RemoveAsync(replicaId, cause);

    public async ValueTask ForgetReplicasAsync(IReadOnlyList<string> replicaIds) => await Coordinator.Members.ForgetAsync(replicaIds);

    public async ValueTask SetWantedReplicasAsync(int replicas, int minInSync, bool isMinInSyncChosen)
    {
        await Coordinator.Members.SetWantedAsync(replicas, minInSync, isMinInSyncChosen);
        LogWanted(_name, replicas, minInSync);
    }

    public ValueTask SetConcernAsync(string concern)
    {
        _concern = concern;
        return ValueTask.CompletedTask;
    }

    public async ValueTask LeaveAsync(IReadOnlyList<string> nodes)
    {
        if (!nodes.Contains(_options.NodeName)) return;
        if (FindHome(nodes, isHinted: true) is { } home) RequestContext.Set(IPlacementDirector.PlacementHintKey, home);
        await StepDownAsync();
    }

    public async ValueTask<bool> LetGoAsync(string replicaId, Guid incarnation) => await Coordinator.Members.LetGoAsync(replicaId, incarnation);

    public async ValueTask StepDownAsync()
    {
        if (RequestContext.Get(IPlacementDirector.PlacementHintKey) is null && FindHome([_options.NodeName], isHinted: false) is { } home) RequestContext.Set(IPlacementDirector.PlacementHintKey, home);
        await (_stepDown ??= StepDownOnceAsync());
    }

    private SiloAddress? FindHome(IReadOnlyList<string> leaving, bool isHinted) =>
        VolumeHome.Find(_nodes, leaving, _localVolumes, _sessions.List(), isHinted ? [] : _coordinator?.Snapshot().Replicas ?? []);

    /// <summary>Migrates (with nothing to carry along) rather than deactivates: silos that still think the volume is here are then sent on, and do not bring it back here.
    /// The new place is the placement hint of the call, if it has one.</summary>
    private async Task StepDownOnceAsync()
    {
        this.MigrateOnIdle();
        await CloseAsync(flush: true);
    }

    private async ValueTask<bool> ExistsAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                return await _records.Of(_name).LoadAsync() is { Record.Deleting: false };
            }
            catch (Exception failure) when (failure is not OperationCanceledException)
            {
                // The metadata store is away: whoever asks waits.
                LogRecordUnreadable(_name, failure.Message);
                await Task.Delay(TimeSpan.FromMilliseconds(200), _time, cancellationToken);
            }
        }
    }

    private void Open()
    {
        var options = _options.Coordinator with
        {
            Place = $"on node {_options.NodeName}",
            RebuildSlots = _rebuildSlots,
            Process = _nodes.Local.ToParsableString(),
            HasEnded = _sentinel.HasEnded,
        };
        _coordinator = new VolumeCoordinator(_records.Of(_name), Connect, options, _time, IoBufferPool.Shared, OnFenced, _logger);
        _coordinator.Start();
        _localVolumes.Add(_name, this);
        LogOpening(_name);
    }

    private GrainReplicaChannel Connect(ReplicaEntry replica) =>
        new(GrainFactory.GetGrain<IReplicaGrain>($"{replica.Pool}/{replica.Id}"), replica.Pool, isLocal: _pools.Find(replica.Pool) is not null, _nodes);

    /// <summary>The coordinator has ended: fenced by another activation, deleted, or closed by us.</summary>
    private void OnFenced()
    {
        if (_isClosing) return;
        LogFenced(_name);
        DeactivateOnIdle();
    }

    private async Task CloseAsync(bool flush)
    {
        if (_coordinator is not { } coordinator) return;
        _isClosing = true;
        try
        {
            if (flush) await coordinator.CloseAsync();
        }
        catch (Exception failure)
        {
            // The next coordinator finds what this one left: closing cleanly only saves it work.
            LogCloseFailed(_name, failure.Message);
        }

        await coordinator.DisposeAsync();
    }

    /// <summary>An activation for a volume that does not exist (yet) must not outlive the call that brought it about.</summary>
    private IoReply NotHere()
    {
        DeactivateOnIdle();
        return new IoReply(IoStatus.Gone, detail: $"There is no volume '{_name}'.");
    }

    /// <summary>The reply to success without data. It bears the current facts version even when nobody has attached to this activation yet.</summary>
    private IoReply Done(VolumeCoordinator coordinator)
    {
        var facts = coordinator.FactsCount;
        if ((_doneFor != facts || _done.FactsVersion == 0) && coordinator.Record is { } record) _done = new IoReply(IoStatus.Ok, factsVersion: (record.Epoch << 16) + (_doneFor = facts));
        return _done;
    }

    /// <summary>The volume follows its initiator: to the silo of a gateway that attaches (or attaches again, now and then) for a session, unless there are sessions elsewhere.</summary>
    private bool WantsToMove(out SiloAddress gateway)
    {
        gateway = RequestContext.Get(VolumeAttaching.GatewayKey) as SiloAddress ?? _nodes.Local;
        if (gateway.Equals(_nodes.Local) || _nodes.Find(gateway) is not { IsActive: true } node) return false;
        return _coordinator is { State: CoordinatorState.Serving } && !_sessions.AnyElsewhere(node.Name);
    }

    [LoggerMessage(1000, LogLevel.Information, "Volume {Volume}: opening")]
    private partial void LogOpening(string volume);

    [LoggerMessage(1001, LogLevel.Information, "Volume {Volume}: closed here ({Reason})")]
    private partial void LogClosed(string volume, string reason);

    [LoggerMessage(1002, LogLevel.Warning, "Volume {Volume}: another activation has opened it; this one ends")]
    private partial void LogFenced(string volume);

    [LoggerMessage(1003, LogLevel.Information, "Volume {Volume}: moving to {Gateway}")]
    private partial void LogMoving(string volume, SiloAddress gateway);

    [LoggerMessage(1004, LogLevel.Information, "Volume {Volume}: resized from {OldSizeBytes} to {NewSizeBytes} bytes")]
    private partial void LogResized(string volume, long oldSizeBytes, long newSizeBytes);

    [LoggerMessage(1007, LogLevel.Information, "Volume {Volume}: is to have {Replicas} replicas and to serve with {MinInSync}")]
    private partial void LogWanted(string volume, int replicas, int minInSync);

    [LoggerMessage(1005, LogLevel.Warning, "Volume {Volume}: its record cannot be read, trying again: {Reason}")]
    private partial void LogRecordUnreadable(string volume, string reason);

    [LoggerMessage(1006, LogLevel.Warning, "Volume {Volume}: could not be closed cleanly: {Reason}")]
    private partial void LogCloseFailed(string volume, string reason);
}
