using System.Net;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using OpenEbs.Iscsi.Host;
using OpenEbs.Iscsi.Portals;

namespace OpenEbs.Iscsi.Tests.Initiators;

/// <summary>A portal with one target whose store the test controls.</summary>
internal sealed class TestPortal : IAsyncDisposable
{
    private TestPortal(IscsiPortalOptions options, TimeProvider time, int blockLength, long sizeBytes, ILogger logger)
    {
        Store = new GatedStore(new MemoryStore(sizeBytes, blockLength, Pool));
        Catalog.Add(TargetName, Store);
        Metrics = new IscsiMetrics();
        Portal = new IscsiPortal(options, Catalog, Pool, time, logger, Metrics);
    }

    public BufferPool Pool { get; } = new();

    public MemoryCatalog Catalog { get; } = new();

    public GatedStore Store { get; }

    public IscsiMetrics Metrics { get; }

    public IscsiPortal Portal { get; }

    public string TargetName => "iqn.2016-09.com.openebs.orleans:test";

    public IPEndPoint EndPoint => Portal.BoundEndPoint!;

    public static async Task<TestPortal> StartAsync(
        Action<IscsiPortalOptions>? configure = null, TimeProvider? time = null, int blockLength = 512, long sizeBytes = 64 << 20, ILogger? logger = null)
    {
        var options = new IscsiPortalOptions { StopTimeout = TimeSpan.FromMilliseconds(200) };
        configure?.Invoke(options);
        var portal = new TestPortal(options, time ?? TimeProvider.System, blockLength, sizeBytes, logger ?? NullLogger.Instance);
        await portal.Portal.StartAsync(new IPEndPoint(IPAddress.Loopback, 0));
        return portal;
    }

    /// <summary>Stops and checks that every session was released and every buffer returned.</summary>
    public async ValueTask DisposeAsync()
    {
        Store.Open();
        await Portal.StopAsync();
        Assert.Equal(0, Catalog.Attached);
        Assert.Equal(0, Pool.RentedBytes);
        await Portal.DisposeAsync();
        Metrics.Dispose();
        Store.Dispose();
        Pool.Dispose();
    }
}
