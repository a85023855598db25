using System.Collections;
using System.Diagnostics.Metrics;
using OpenEbs.Server.Configuration;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace OpenEbs.Server.Telemetry;

/// <summary>Metrics for Prometheus, and export of metrics and traces over OTLP when OTEL_EXPORTER_OTLP_ENDPOINT is set. Without it there is no trace listener:
/// starting an activity then costs a null check.</summary>
internal static class NodeTelemetry
{
    /// <summary>Meters and activity sources of this program.</summary>
    public const string OwnSources = "OpenEbs.*";

    private const string MetricsPath = "/metrics";

    /// <summary>Label sets of one instrument of Orleans or of the runtime: grain types, mostly.</summary>
    private const int MaxForeignLabelSets = 100;

    public static void Add(WebApplicationBuilder builder, NodeOptions options)
    {
        // OpenTelemetry looks for its variables in the host's configuration, where the rest of the environment has no business.
        builder.Configuration.AddInMemoryCollection(Environment.GetEnvironmentVariables().Cast<DictionaryEntry>()
            .Where(variable => ((string)variable.Key).StartsWith("OTEL_", StringComparison.Ordinal))
            .Select(variable => KeyValuePair.Create((string)variable.Key, (string?)variable.Value)));
        var exports = !string.IsNullOrEmpty(builder.Configuration["OTEL_EXPORTER_OTLP_ENDPOINT"]);
        var telemetry = builder.Services.AddOpenTelemetry()
            .ConfigureResource(resource => resource
                .AddService("openebs", serviceVersion: ProgramVersion.Text, serviceInstanceId: options.NodeName)
                .AddAttributes([new("openebs.cluster", options.ClusterId)]))
            .WithMetrics(metrics =>
            {
                metrics.AddMeter(OwnSources, "Microsoft.Orleans").AddRuntimeInstrumentation().AddPrometheusExporter();
                // The exporter reserves room for 2,000 label sets of every instrument at once: 60 MiB for Orleans' hundred.
                metrics.AddView(instrument => IsOwn(instrument) ? null : new MetricStreamConfiguration { CardinalityLimit = MaxForeignLabelSets });
                if (exports) metrics.AddOtlpExporter();
            });
        builder.Services.AddSingleton<VolumeInstruments>();
        builder.Services.AddSingleton<ClusterGauges>();
        if (!exports) return;
        builder.Services.AddHostedService<GaugeRefresher>();
        telemetry.WithTracing(traces => traces
            .AddSource(OwnSources)
            .SetSampler(new ParentBasedSampler(new TraceIdRatioBasedSampler(options.TraceRatio)))
            .AddOtlpExporter());
    }

    /// <summary><c>/metrics</c> in Prometheus' format.</summary>
    public static void Map(WebApplication app)
    {
        var gauges = app.Services.GetRequiredService<ClusterGauges>();
        app.Use(async (context, next) =>
        {
            if (context.Request.Path == MetricsPath) await gauges.RefreshAsync(context.RequestAborted);
            await next(context);
        });
        app.MapPrometheusScrapingEndpoint(MetricsPath);
    }

    private static bool IsOwn(Instrument instrument) => instrument.Meter.Name.StartsWith("OpenEbs.", StringComparison.Ordinal);
}
