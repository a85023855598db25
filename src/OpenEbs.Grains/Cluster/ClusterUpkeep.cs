using Microsoft.Extensions.Logging;
using OpenEbs.Grains.Hosting;
using OpenEbs.Grains.Pools;
using OpenEbs.Volumes;

namespace OpenEbs.Grains.Cluster;

/// <summary>Has the cluster grain do its upkeep, from every silo: as long as one lives, volumes are kept open.</summary>
internal sealed partial class ClusterUpkeep(IGrainFactory grains, OpenEbsSiloOptions options, LocalPools pools, TimeProvider time, ILogger<ClusterUpkeep> logger) : ILifecycleParticipant<ISiloLifecycle>, IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private Task _running = Task.CompletedTask;

    public void Participate(ISiloLifecycle lifecycle) => lifecycle.Subscribe(
        nameof(ClusterUpkeep),
        ServiceLifecycleStage.Active + 1,
        _ =>
        {
            _running = Task.Run(RunAsync, CancellationToken.None);
            pools.FullnessChanged += OnFullnessChanged;
            return Task.CompletedTask;
        },
        async _ =>
        {
            pools.FullnessChanged -= OnFullnessChanged;
            await _stop.CancelAsync();
            await _running;
        });

    public void Dispose() => _stop.Dispose();

    /// <summary>The cluster looks at the pools at once: who waits for the next round may hear of a full pool by the writes that it refuses.</summary>
    private void OnFullnessChanged() => _ = Task.Run(async () =>
    {
        try
        {
            await grains.GetGrain<IClusterGrain>(0).ListPoolsAsync().WaitAsync(_stop.Token);
        }
        catch (Exception failure)
        {
            LogFailed(failure.Message);
        }
    });

    private async Task RunAsync()
    {
        try
        {
            while (true)
            {
                await KeepOnceAsync();
                await Task.Delay(options.KeepInterval, time, _stop.Token);
            }
        }
        catch (OperationCanceledException)
        {
            // The silo stops.
        }
    }

    private async Task KeepOnceAsync()
    {
        try
        {
            await grains.GetGrain<IClusterKeeper>(0).KeepAsync().WaitAsync(_stop.Token);
        }
        catch (Exception failure) when (failure is not OperationCanceledException)
        {
            LogFailed(failure.Message);
        }
    }

    [LoggerMessage(1430, LogLevel.Debug, "Cluster upkeep did not run: {Reason}")]
    private partial void LogFailed(string reason);
}
