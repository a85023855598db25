using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using OpenEbs.Grains.Access;
using OpenEbs.Grains.Hosting;
using OpenEbs.Grains.Nodes;
using OpenEbs.Grains.Volumes;
using OpenEbs.Access;
using OpenEbs.Events;
using OpenEbs.Nodes;
using OpenEbs.Pools;
using OpenEbs.Replicas;
using OpenEbs.Volumes;
using Orleans.Concurrency;
using Orleans.Placement;
using Orleans.Runtime;
using Orleans.Storage;

namespace OpenEbs.Grains.Cluster;

/// <summary>The cluster's registry: which volumes there are, and where their replicas were put. It is in no data path.</summary>
[SuppressMessage("Design", "CA1001", Justification = "OnDeactivateAsync ends what the activation owns.")]
[Reentrant, PreferLocalPlacement, GrainType("openebs.cluster")]
internal sealed partial class ClusterGrain : Grain, IClusterGrain, IClusterRecovery, IClusterKeeper
{
    private static readonly TimeSpan DescribePatience = TimeSpan.FromSeconds(3);

    private readonly OpenEbsSiloOptions _options;
    private readonly NodeDirectory _nodes;
    private readonly PoolCensus _census;
    private readonly VolumeRecords _records;
    private readonly Registry _registry;
    private readonly VolumeLifecycle _lifecycle;
    private readonly ReplicaScheduler _scheduler;
    private readonly ClusterEvents _events;
    private readonly PlacementLedger _ledger;
    private readonly Cordons _cordons;
    private readonly NodeRoster _roster;
    private readonly Drains _drains;
    private readonly DrainNotices _drainNotices;
    private readonly OrphanReplicas _orphans;
    private readonly SuspectPools _suspects;
    private readonly TimeProvider _time;
    private readonly ILogger<ClusterGrain> _logger;
    private Task? _upkeep;
    private long _keptAt;

    public ClusterGrain(
        IGrainContext context,
        [FromKeyedServices(OpenEbsSiloBuilderExtensions.StorageName)] IGrainStorage storage,
        OpenEbsSiloOptions options,
        NodeDirectory nodes,
        PoolCensus census,
        VolumeRecords records,
        TimeProvider time,
        ILogger<ClusterGrain> logger)
    {
        _options = options;
        _nodes = nodes;
        _census = census;
        _records = records;
        _registry = new Registry(storage, context.GrainId);
        _time = time;
        _logger = logger;
        _events = new ClusterEvents(_registry, records, nodes, time);
        _ledger = new PlacementLedger(_registry);
        _cordons = new Cordons(_registry, _ledger);
        _roster = new NodeRoster(_registry, _cordons, nodes);
        _drains = new Drains(_registry, _events, _cordons, _roster, nodes, records, time);
        _drainNotices = new DrainNotices(_cordons, nodes, GrainFactory, logger);
        _suspects = new SuspectPools(_registry, _events, _cordons, new MediaErrorRules(options.MediaErrorLimit, options.MediaErrorWindow), time);
        _lifecycle = new VolumeLifecycle(_registry, _events, _cordons, GrainFactory, records, new AccessRecords(storage), nodes, time, logger);
        _scheduler = new ReplicaScheduler(
            _registry, _events, _ledger, new MoveBudget(options.MaxMoves, options.MaxMovesPerNode), GrainFactory, records, Rules, time, logger);
        _orphans = new OrphanReplicas(_registry, _events, GrainFactory, records, nodes, time, logger);
    }

    private PlanRules Rules => new(_options.ReplacementDelay, _options.MaxOverprovisioning);

    public override Task OnActivateAsync(CancellationToken cancellationToken) => _registry.LoadAsync();

    public override Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken)
    {
        _registry.Dispose();
        return Task.CompletedTask;
    }

    public async Task<VolumeView> CreateVolumeAsync(string name, VolumeSpec spec)
    {
        Validate(name, spec);
        if (_registry.Current.Volumes.TryGetValue(name, out var existing))
        {
            if (existing.Stage == RegistrationStage.Deleting) throw new VolumeUnavailableException($"Volume '{name}' is being deleted; create it again when it is gone.");
            await EnsureSameAsync(name, existing, spec);
        }
        else
        {
            var pools = PoolChoice.Choose(RequestOf(name, spec), await TakeCensusAsync(), spec.Replicas);
            await RegisterAsync(name, spec, pools);
        }

        await _lifecycle.FinishCreateAsync(name);
        return await GrainFactory.GetGrain<IVolumeGrain>(name).DescribeAsync();
    }

    public async Task<bool> DeleteVolumeAsync(string name)
    {
        if (!_registry.Current.Volumes.ContainsKey(name)) return false;
        LogDeleting(name);
        await _registry.ChangeAsync(state =>
        {
            if (!state.Volumes.TryGetValue(name, out var volume) || volume.Stage == RegistrationStage.Deleting) return false;
            state.Volumes[name] = volume with { Stage = RegistrationStage.Deleting };
            return true;
        });
        await _lifecycle.FinishDeleteAsync(name);
        return true;
    }

    public async Task<VolumeView> SetReplicasAsync(string name, int replicas, int? minInSync)
    {
        if (!_registry.Current.Volumes.TryGetValue(name, out var registered) || registered.Stage == RegistrationStage.Deleting || await _records.Of(name).LoadAsync() is not (var record, _))
            throw new VolumeNotFoundException($"There is no volume '{name}'.");
        var old = VolumeViews.SpecOf(record);

        // Who never chose gets the default of the new number.
        var spec = old with { Replicas = replicas, MinInSync = minInSync ?? (record.IsMinInSyncChosen ? record.MinInSync : null) };
        Validate(name, spec, "changed");
        var pools = await TakeCensusAsync();
        var request = ReplicaPlan.RequestOf(record, pools, Rules, _time.GetUtcNow());
        if (replicas > old.Replicas) PoolChoice.Choose(request with { Holding = request.Staying }, pools, replicas - request.Staying.Count);
        var volume = GrainFactory.GetGrain<IVolumeGrain>(name);
        await volume.AttachAsync();
        await GrainFactory.GetGrain<IVolumeControl>(name).SetWantedReplicasAsync(replicas, spec.EffectiveMinInSync, spec.MinInSync is not null);

        // One a round, and the first at once.
        await _scheduler.KeepAsync(name, pools);
        return await volume.DescribeAsync();
    }

    public async Task<PlacementView> PlanVolumeAsync(string name, VolumeSpec spec)
    {
        Validate(name, spec);
        return PlacementExplanation.Of(RequestOf(name, spec), await TakeCensusAsync(), spec.Replicas, spec.Replicas);
    }

    public async Task<PlacementView> ExplainPlacementAsync(string name)
    {
        if (!_registry.Current.Volumes.ContainsKey(name) || await _records.Of(name).LoadAsync() is not (var record, _)) throw new VolumeNotFoundException($"There is no volume '{name}'.");
        var pools = await TakeCensusAsync();
        var request = ReplicaPlan.RequestOf(record, pools, Rules, _time.GetUtcNow());
        return PlacementExplanation.Of(request, pools, record.EffectiveReplicas, Math.Max(0, record.EffectiveReplicas - request.Staying.Count));
    }

    public Task<IReadOnlyList<string>> ListVolumeNamesAsync() =>
        Task.FromResult<IReadOnlyList<string>>([.. _registry.Current.Volumes.Keys.Order(StringComparer.Ordinal)]);

    public async Task<IReadOnlyList<VolumeView>> ListVolumesAsync()
    {
        var views = await Task.WhenAll(_registry.Current.Volumes.ToList().Select(entry => DescribeAsync(entry.Key, entry.Value)));
        return [.. views.OfType<VolumeView>().OrderBy(view => view.Name, StringComparer.Ordinal)];
    }

    public async Task<IReadOnlyList<ReplicaView>> ListReplicasAsync() => [.. (await ListVolumesAsync()).SelectMany(volume => volume.Replicas)];

    public Task<IReadOnlyList<EventView>> ListEventsAsync(string? volume, int limit) => _events.ListAsync(volume, limit);

    public Task<IReadOnlyList<OrphanVolumeView>> ListOrphansAsync() => _orphans.ListAsync();

    public async Task<VolumeView> ImportVolumeAsync(Guid uid, string? name) => await GrainFactory.GetGrain<IVolumeGrain>(await _orphans.ImportAsync(uid, name)).DescribeAsync();

    public Task DeleteOrphanAsync(Guid uid, string replicaId, bool evenIfLast) => _orphans.DeleteAsync(uid, replicaId, evenIfLast);

    public async Task<IReadOnlyList<PoolView>> ListPoolsAsync() => await TakeCensusAsync();

    public Task<IReadOnlyList<NodeView>> ListNodesAsync() => Task.FromResult(_roster.List());

    public async Task<NodeView> SetNodeAvailabilityAsync(string name, Availability availability)
    {
        await TakeCensusAsync();
        await _drains.SetNodeAsync(name, availability);

        // Coordinators leave at once, not with the next round.
        await _drainNotices.TellAsync();
        _keptAt = 0;
        KeepAsync().Ignore();
        return _roster.Get(name);
    }

    public async Task<PoolView> SetPoolAvailabilityAsync(string id, Availability availability)
    {
        await TakeCensusAsync();
        await _drains.SetPoolAsync(id, availability);
        return (await TakeCensusAsync()).Single(pool => pool.Id == id);
    }

    public async Task<DrainPlan> PlanNodeDrainAsync(string name)
    {
        var pools = await TakeCensusAsync();
        _roster.EnsureKnown(name);
        return await PlanDrainAsync(name, [.. pools.Where(pool => pool.Node == name).Select(pool => pool.Id)], pools);
    }

    public async Task<DrainPlan> PlanPoolDrainAsync(string id)
    {
        var pools = await TakeCensusAsync();
        _drains.EnsurePoolKnown(id);
        return await PlanDrainAsync(id, [id], pools);
    }

    public async Task RemoveNodeAsync(string name)
    {
        await TakeCensusAsync();
        await _drains.RemoveNodeAsync(name);
    }

    public async Task RemovePoolAsync(string id)
    {
        await TakeCensusAsync();
        await _drains.RemovePoolAsync(id);
    }

    public Task KeepAsync()
    {
        if (_upkeep is { IsCompleted: false } running) return running;
        if (_keptAt != 0 && _time.GetElapsedTime(_keptAt) < _options.KeepInterval / 2) return Task.CompletedTask;
        _keptAt = _time.GetTimestamp();
        return _upkeep = KeepOnceAsync();
    }

    public Task TellAsync(ClusterEventKind kind, string subject, string before, string after, string cause) => _registry.ChangeAsync(state =>
    {
        _events.Tell(state, kind, subject, before, after, cause);
        return true;
    });

    private static void Validate(string name, VolumeSpec spec, string what = "created")
    {
        var problems = spec.Problems().ToList();
        if (!VolumeName.TryParse(name, out _))
        {
            problems.Insert(0, $"'{name}' is not a volume name; use 1 to {VolumeName.MaxLength} lower-case letters, digits, '-' or '.', starting and ending with a letter or digit");
        }

        if (problems.Count > 0) throw new VolumeRequestInvalidException($"Volume '{name}' cannot be {what}: {string.Join("; ", problems)}.");
    }

    private async Task EnsureSameAsync(string name, RegisteredVolume existing, VolumeSpec spec)
    {
        // The record knows what it is now, the registration what it was created as: asking for either asks for this volume.
        var wanted = Normalize(spec);
        var created = Normalize(existing.Spec);
        var current = await _records.Of(name).LoadAsync() is var (record, _) ? Normalize(VolumeViews.SpecOf(record)) : created;
        if (wanted == created || wanted == current || wanted == created with { SizeBytes = current.SizeBytes }) return;
        throw new VolumeAlreadyExistsException(
            $"Volume '{name}' exists with another spec: it is {Text(current)}, asked for was {Text(wanted)}. Choose another name, or ask for the same.");

        static VolumeSpec Normalize(VolumeSpec spec) => spec with { MinInSync = spec.EffectiveMinInSync, Placement = spec.EffectivePlacement };
        static string Text(VolumeSpec spec) =>
            $"{spec.SizeBytes} bytes in {spec.Replicas} replicas (block length {spec.BlockLength}, write cache {(spec.WriteCache ? "on" : "off")}, min-in-sync {spec.MinInSync}, io-timeout {spec.IoTimeout}, on-timeout {spec.OnTimeout}, "
            + $"node anti-affinity {spec.EffectivePlacement.Node}, zone anti-affinity {spec.EffectivePlacement.Zone}, selector '{spec.EffectivePlacement.Selector}', "
            + $"locality {spec.EffectivePlacement.Locality}{(spec.EffectivePlacement.GatewayNode is { Length: > 0 } node ? $" at node {node}" : "")})";
    }

    private PlacementRequest RequestOf(string name, VolumeSpec spec) =>
        new() { Volume = name, SizeBytes = spec.SizeBytes, Policy = spec.EffectivePlacement, MaxOverprovisioning = _options.MaxOverprovisioning, Gateway = spec.EffectivePlacement.GatewayNode };

    private async Task RegisterAsync(string name, VolumeSpec spec, IReadOnlyList<PoolView> pools)
    {
        var uid = Guid.NewGuid();
        await _registry.ChangeAsync(state =>
        {
            if (state.Volumes.ContainsKey(name)) return false;
            state.Volumes[name] = new RegisteredVolume
            {
                Uid = uid,
                Spec = spec,
                Stage = RegistrationStage.Creating,
                Replicas = [.. pools.Select((pool, i) => new RegisteredReplica(pool.Id, $"{uid:N}-{i}"))],
            };
            _events.Tell(state, ClusterEventKind.VolumeCreated, name, "", $"{spec.SizeBytes} bytes on pools {string.Join(", ", pools.Select(pool => pool.Id))}", "asked for");
            if (_options.DefaultAccess == DefaultAccess.None)
                _events.Tell(state, ClusterEventKind.AccessMissing, name, "", "nobody may log in", $"it has no access rule yet: openebsctl volume access {name} --initiators NAME");
            return true;
        });

        // Another call may have been first: then it must have wanted the same.
        var registered = _registry.Current.Volumes[name];
        if (registered.Uid != uid) await EnsureSameAsync(name, registered, spec);
        else LogCreating(name, spec.SizeBytes, string.Join(", ", pools.Select(pool => pool.Id)));
    }

    private async Task<PoolMap> TakeCensusAsync()
    {
        var pools = await _census.TakeAsync(_registry.Current.Pools);
        await _registry.ChangeAsync(state => _events.Observe(state, pools));
        await _suspects.ObserveAsync(pools);
        return _ledger.Weigh(_cordons.Apply(pools));
    }

    private async Task<DrainPlan> PlanDrainAsync(string subject, IReadOnlyCollection<string> leaving, IReadOnlyList<PoolView> pools)
    {
        var concerned = _ledger.On(leaving).Select(placed => placed.Volume.Name).Distinct().ToList();
        var volumes = await Task.WhenAll(concerned.Select(LookAsync));
        var pace = new DrainPace(Rules, _options.KeepInterval, Math.Min(_options.MaxMoves, _options.MaxMovesPerNode));
        return DrainForecast.Of(subject, leaving, [.. volumes.OfType<DrainedVolume>()], pools, pace, _time.GetUtcNow());

        async Task<DrainedVolume?> LookAsync(string name)
        {
            if (!_registry.Current.Volumes.TryGetValue(name, out var registered) || registered.Stage == RegistrationStage.Deleting || await _records.Of(name).LoadAsync() is not (var record, _)) return null;
            var view = await DescribeAsync(name, registered);
            return new DrainedVolume(record, view?.Replicas.Where(replica => replica.UsedBytes > 0).ToDictionary(replica => replica.Id, replica => replica.UsedBytes) ?? []);
        }
    }

    private async Task<VolumeView?> DescribeAsync(string name, RegisteredVolume registered)
    {
        var reason = registered.Stage == RegistrationStage.Deleting ? "it is being deleted" : "its coordinator does not answer";
        if (registered.Stage != RegistrationStage.Deleting)
        {
            try
            {
                return await GrainFactory.GetGrain<IVolumeGrain>(name).DescribeAsync().AsTask().WaitAsync(DescribePatience, _time);
            }
            catch (Exception failure)
            {
                LogNoAnswer(name, failure.Message);
                reason += $": {failure.Message}";
            }
        }

        var state = registered.Stage == RegistrationStage.Deleting ? VolumeState.Deleting : VolumeState.Opening;
        var record = (await _records.Of(name).LoadAsync())?.Record ?? VolumeLifecycle.NewRecord(name, registered);
        return VolumeViews.Of(record, state, reason, _nodes);
    }

    private async Task KeepOnceAsync()
    {
        var pools = await TakeCensusAsync();
        var isComplete = true;
        await _drainNotices.TellAsync();
        foreach (var (name, volume) in _registry.Current.Volumes.ToList())
        {
            try
            {
                if (volume.Stage == RegistrationStage.Creating) await _lifecycle.FinishCreateAsync(name);
                else if (volume.Stage == RegistrationStage.Deleting) await _lifecycle.FinishDeleteAsync(name);
                else
                {
                    await _lifecycle.KeepOpenAsync(name, volume);
                    await _scheduler.KeepAsync(name, pools);
                }
            }
            catch (Exception failure)
            {
                // The next round tries again.
                isComplete = false;
                LogKeepFailed(name, failure.Message);
            }
        }

        await _lifecycle.RemoveLeftoversAsync();
        if (!isComplete) return;
        await _scheduler.EndRoundAsync();
        await _drains.ObserveAsync();
    }

    [LoggerMessage(1400, LogLevel.Information, "Volume {Volume}: creating with {SizeBytes} bytes on pools {Pools}")]
    private partial void LogCreating(string volume, long sizeBytes, string pools);

    [LoggerMessage(1401, LogLevel.Information, "Volume {Volume}: deleting")]
    private partial void LogDeleting(string volume);

    [LoggerMessage(1402, LogLevel.Debug, "Volume {Volume}: does not describe itself: {Reason}")]
    private partial void LogNoAnswer(string volume, string reason);

    [LoggerMessage(1403, LogLevel.Warning, "Volume {Volume}: upkeep failed and is tried again: {Reason}")]
    private partial void LogKeepFailed(string volume, string reason);
}
