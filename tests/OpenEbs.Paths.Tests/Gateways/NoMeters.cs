using System.Diagnostics.Metrics;

namespace OpenEbs.Paths.Tests.Gateways;

/// <summary>Meters that nobody listens to.</summary>
internal sealed class NoMeters : IMeterFactory
{
    public static readonly NoMeters Instance = new();

    private readonly Meter _meter = new("none");

    public Meter Create(MeterOptions options) => _meter;

    public void Dispose()
    {
        // It lives as long as the tests.
    }
}
