using System.Collections.Concurrent;
using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using OpenEbs.Grains.Replicas;
using Orleans.Runtime;

namespace OpenEbs.Grains.Volumes;

/// <summary>The volumes whose grain is active on this silo. When the silo stops they step down first: flushed and closed while the replicas of this silo can still be reached, and before Orleans
/// waits for their calls to end; the coordinators of its replicas, wherever they are, let go of them first.</summary>
internal sealed partial class LocalVolumes(IGrainFactory grains, ILocalSiloDetails local, LocalReplicas replicas, ILogger<LocalVolumes> logger) : ILifecycleParticipant<ISiloLifecycle>
{
    private readonly ConcurrentDictionary<string, VolumeGrain> _active = new();

    /// <summary>True from when the silo begins to stop.</summary>
    public bool IsStopping { get; private set; }

    /// <summary>Silos that are being drained: volumes go elsewhere, and the gateways there do not draw them back.</summary>
    public IReadOnlySet<SiloAddress> Draining { get; set; } = ImmutableHashSet<SiloAddress>.Empty;

    /// <summary>Volumes are not to be on that silo, if there is another.</summary>
    public bool IsLeaving(SiloAddress silo) => Draining.Contains(silo) || (IsStopping && silo.Equals(local.SiloAddress));

    public void Add(string volume, VolumeGrain grain) => _active[volume] = grain;

    public void Remove(string volume, VolumeGrain grain) => _active.TryRemove(KeyValuePair.Create(volume, grain));

    public void Participate(ISiloLifecycle lifecycle) =>
        lifecycle.Subscribe(nameof(LocalVolumes), ServiceLifecycleStage.Active + 1, _ => Task.CompletedTask, StepDownAllAsync);

    private async Task StepDownAllAsync(CancellationToken cancellationToken)
    {
        IsStopping = true;

        // A host that gives no time wants to die as it is.
        if (cancellationToken.IsCancellationRequested) return;
        try
        {
            // Replicas first: those that open the volumes next then need not wait for anything here.
            await replicas.LeaveAllAsync(cancellationToken);
            await Task.WhenAll(_active.Keys.Select(StepDownAsync)).WaitAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            // The host's shutdown timeout has passed; what was not flushed is retained by the replicas' logs.
        }
    }

    private async Task StepDownAsync(string volume)
    {
        try
        {
            await grains.GetGrain<IVolumeControl>(volume).StepDownAsync();
        }
        catch (Exception failure)
        {
            LogStepDownFailed(volume, failure.Message);
        }
    }

    [LoggerMessage(1020, LogLevel.Warning, "Volume {Volume}: did not step down cleanly: {Reason}")]
    private partial void LogStepDownFailed(string volume, string reason);
}
