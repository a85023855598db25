namespace OpenEbs.Server.Telemetry;

/// <summary>Keeps the gauges current when metrics are pushed and nobody scrapes.</summary>
internal sealed class GaugeRefresher(ClusterGauges gauges, TimeProvider time) : BackgroundService
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        while (await timer.WaitForNextTickAsync(stoppingToken)) await gauges.RefreshAsync(stoppingToken);
    }
}
