using Microsoft.AspNetCore.Routing.Patterns;
using Microsoft.Extensions.Primitives;
using Orleans.Dashboard;

namespace OpenEbs.Server.Dashboard;

/// <summary>The Orleans dashboard at <c>/orleans</c>, mapped when somebody first asks for it: mapping unpacks and compresses its pages, half a second of work at every start
/// and 35 MiB that most nodes never need.</summary>
internal sealed class DashboardEndpoints : EndpointDataSource, IDisposable
{
    private const string Prefix = "/orleans";

    private readonly IEndpointRouteBuilder _outer;
    private readonly Lock _lock = new();
    private CancellationTokenSource _changed = new();
    private IReadOnlyList<Endpoint> _endpoints;
    private bool _isMapped;

    private DashboardEndpoints(IEndpointRouteBuilder outer)
    {
        _outer = outer;
        _endpoints =
        [
            new RouteEndpointBuilder(OnFirstRequest, RoutePatternFactory.Parse($"{Prefix}/{{**path}}"), order: 0) { DisplayName = "Orleans dashboard, not yet mapped" }.Build(),
        ];
    }

    public override IReadOnlyList<Endpoint> Endpoints => Volatile.Read(ref _endpoints);

    public static void Map(IEndpointRouteBuilder endpoints) => endpoints.DataSources.Add(new DashboardEndpoints(endpoints));

    public override IChangeToken GetChangeToken()
    {
        lock (_lock) return new CancellationChangeToken(_changed.Token);
    }

    public void Dispose() => _changed.Dispose();

    /// <summary>Maps the real endpoints and has the client ask again: this request was routed by the old ones.</summary>
    private Task OnFirstRequest(HttpContext context)
    {
        MapOnce();
        context.Response.StatusCode = StatusCodes.Status307TemporaryRedirect;
        context.Response.Headers.Location = context.Request.PathBase.ToUriComponent() + context.Request.Path.ToUriComponent() + context.Request.QueryString.ToUriComponent();
        return Task.CompletedTask;
    }

    private void MapOnce()
    {
        CancellationTokenSource changed;
        lock (_lock)
        {
            if (_isMapped) return;
            var inner = new CollectingRouteBuilder(_outer);
            inner.MapOrleansDashboard(Prefix);
            Volatile.Write(ref _endpoints, [.. inner.DataSources.SelectMany(source => source.Endpoints)]);
            _isMapped = true;
            changed = _changed;
            _changed = new CancellationTokenSource();
        }

        changed.Cancel();
    }

    private sealed class CollectingRouteBuilder(IEndpointRouteBuilder outer) : IEndpointRouteBuilder
    {
        public IServiceProvider ServiceProvider => outer.ServiceProvider;

        public ICollection<EndpointDataSource> DataSources { get; } = [];

        public IApplicationBuilder CreateApplicationBuilder() => outer.CreateApplicationBuilder();
    }
}
