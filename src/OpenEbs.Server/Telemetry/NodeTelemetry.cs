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

    public static void Add(WebApplicationBuilder builder, NodeOptions options)
    {
        var exports = !string.IsNullOrEmpty(Environment.GetEnvironmentVariable("OTEL_EXPORTER_OTLP_ENDPOINT"));
        var telemetry = builder.Services.AddOpenTelemetry()
            .ConfigureResource(resource => resource
                .AddService("openebs", serviceVersion: ProgramVersion.Text, serviceInstanceId: options.NodeName)
                .AddAttributes([new("openebs.cluster", options.ClusterId)]))
            .WithMetrics(metrics =>
            {
                metrics.AddMeter(OwnSources, "Microsoft.Orleans").AddRuntimeInstrumentation().AddPrometheusExporter();
                if (exports) metrics.AddOtlpExporter();
            });
        if (!exports) return;
        telemetry.WithTracing(traces => traces
            .AddSource(OwnSources)
            .SetSampler(new ParentBasedSampler(new TraceIdRatioBasedSampler(options.TraceRatio)))
            .AddOtlpExporter());
    }
}
