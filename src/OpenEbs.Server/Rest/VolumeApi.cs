using Microsoft.AspNetCore.Mvc;
using OpenEbs.Access;
using OpenEbs.Rest;
using OpenEbs.Server.Configuration;
using OpenEbs.Volumes;

namespace OpenEbs.Server.Rest;

/// <summary>REST under <c>/api/v1</c>, with its OpenAPI document at <c>/openapi/v1.json</c>.</summary>
internal static class VolumeApi
{
    private static readonly TimeSpan AccessPatience = TimeSpan.FromSeconds(2);

    private const string Problem = "application/problem+json";

    public static void AddServices(IServiceCollection services)
    {
        services.ConfigureHttpJsonOptions(json => RestJson.Configure(json.SerializerOptions));
        services.Configure<RouteHandlerOptions>(routes => routes.ThrowOnBadRequest = true);
        services.AddProblemDetails();
        services.AddExceptionHandler<RestProblems>();
        services.AddOpenApi("v1", openApi => openApi.AddDocumentTransformer((document, _, _) =>
        {
            document.Info.Title = "OpenEBS on Orleans";
            document.Info.Version = "v1";
            document.Info.Description =
                "Replicated block volumes over iSCSI. Sizes are in bytes. Every error is application/problem+json (RFC 9457) and says what to do in 'detail'; " +
                "a request with several problems lists them in 'errors'.";
            return Task.CompletedTask;
        }));
    }

    public static void Map(IEndpointRouteBuilder endpoints)
    {
        endpoints.MapOpenApi("/openapi/{documentName}.json");
        var api = endpoints.MapGroup("/api/v1").ProducesProblem(StatusCodes.Status503ServiceUnavailable, Problem);
        MapVolumes(api);
        MapViews(api);
        AvailabilityApi.Map(api);
        OrphanApi.Map(api);
        AccessApi.Map(api);
    }

    private static void MapVolumes(RouteGroupBuilder api)
    {
        var volumes = api.MapGroup("/volumes").WithTags("Volumes");
        volumes.MapGet("", ListAsync).WithName("ListVolumes").WithSummary("Lists all volumes.").Produces<VolumeResource[]>();
        volumes.MapGet("{name}", GetAsync).WithName("GetVolume").WithSummary("Describes a volume.")
            .Produces<VolumeResource>().ProducesProblem(StatusCodes.Status404NotFound, Problem);
        volumes.MapPost("", CreateAsync).WithName("CreateVolume").WithSummary("Creates a volume.")
            .WithDescription("Idempotent: 201 when the volume is new, 200 when it exists with the same spec, 409 when it exists with another one.")
            .Produces<VolumeResource>(StatusCodes.Status201Created).Produces<VolumeResource>()
            .ProducesProblem(StatusCodes.Status400BadRequest, Problem).ProducesProblem(StatusCodes.Status409Conflict, Problem);
        volumes.MapPost("plan", PlanAsync).WithName("PlanVolume").WithSummary("Says where a new volume's replicas would be, and why; creates nothing.")
            .Produces<PlacementResource>().ProducesProblem(StatusCodes.Status400BadRequest, Problem);
        volumes.MapGet("{name}/placement", ExplainAsync).WithName("ExplainPlacement").WithSummary("Says where a volume's replicas are and where the next would be, and why.")
            .Produces<PlacementResource>().ProducesProblem(StatusCodes.Status404NotFound, Problem);
        volumes.MapPatch("{name}", ChangeAsync).WithName("ChangeVolume").WithSummary("Changes a volume's size or replicas.")
            .WithDescription("Initiators are told of a new size by a unit attention; they may have to rescan the device. Replicas are added and removed in the background.")
            .Produces<VolumeResource>().ProducesProblem(StatusCodes.Status400BadRequest, Problem).ProducesProblem(StatusCodes.Status404NotFound, Problem);
        volumes.MapPost("{name}/scrub", ScrubAsync).WithName("ScrubVolume").WithSummary("Begins to read and compare all replicas of a volume.")
            .WithDescription("Returns at once; the volume tells how far it is, events what was found. Without being asked a volume is scrubbed once within ScrubPeriod (a week by default), at an even and low rate.")
            .Produces<VolumeResource>(StatusCodes.Status202Accepted).ProducesProblem(StatusCodes.Status404NotFound, Problem);
        volumes.MapDelete("{name}", DeleteAsync).WithName("DeleteVolume").WithSummary("Deletes a volume and all its data.")
            .Produces(StatusCodes.Status204NoContent).ProducesProblem(StatusCodes.Status404NotFound, Problem);
    }

    private static void MapViews(RouteGroupBuilder api)
    {
        api.MapGet("/replicas", async (IGrainFactory grains) => (await Cluster(grains).ListReplicasAsync()).Select(view => view.ToResource()).OrderBy(r => r.Id, StringComparer.Ordinal))
            .WithName("ListReplicas").WithSummary("Lists the replicas of all volumes.").WithTags("Replicas").Produces<ReplicaResource[]>();
        api.MapGet("/pools", async (IGrainFactory grains) => (await Cluster(grains).ListPoolsAsync()).Select(view => view.ToResource()).OrderBy(p => p.Id, StringComparer.Ordinal))
            .WithName("ListPools").WithSummary("Lists the pools of all nodes.").WithTags("Pools").Produces<PoolResource[]>();
        api.MapGet("/nodes", async (IGrainFactory grains) => (await Cluster(grains).ListNodesAsync()).Select(view => view.ToResource()).OrderBy(n => n.Name, StringComparer.Ordinal))
            .WithName("ListNodes").WithSummary("Lists the nodes of the cluster.").WithTags("Nodes").Produces<NodeResource[]>();
        api.MapGet("/events", ListEventsAsync)
            .WithName("ListEvents").WithSummary("Lists what happened, the newest last.").WithDescription("To one volume, or to all and to the cluster. 100 events are kept of each volume, 500 of the cluster.")
            .WithTags("Events").Produces<EventResource[]>().ProducesProblem(StatusCodes.Status400BadRequest, Problem).ProducesProblem(StatusCodes.Status404NotFound, Problem);
        api.MapGet("/version", (NodeOptions options) => new VersionResource { Version = ProgramVersion.Text, ClusterId = options.ClusterId, Node = options.NodeName })
            .WithName("GetVersion").WithSummary("Says who answers.").WithTags("Nodes").Produces<VersionResource>();
    }

    private static async Task<IResult> ListEventsAsync(IGrainFactory grains, string? volume = null, int limit = 1000)
    {
        if (limit is < 1 or > 100_000) return RestProblems.Invalid([$"limit is {limit}; give 1 to 100000"]);
        if (volume is not null && !VolumeName.TryParse(volume, out _)) return RestProblems.NotFound(volume);
        return Results.Ok((await Cluster(grains).ListEventsAsync(volume, limit)).Select(view => view.ToResource()));
    }

    private static async Task<IResult> ListAsync(IGrainFactory grains) =>
        Results.Ok((await Cluster(grains).ListVolumesAsync()).Select(view => view.ToResource()).OrderBy(volume => volume.Name, StringComparer.Ordinal));

    private static async Task<IResult> GetAsync(string name, IGrainFactory grains) =>
        VolumeName.TryParse(name, out _) ? Results.Ok(await WithAccessAsync((await grains.GetGrain<IVolumeGrain>(name).DescribeAsync()).ToResource(), grains)) : RestProblems.NotFound(name);

    /// <summary>Adds who may log in; leaves it out when the metadata store, which knows, does not answer: the rest is wanted most then.</summary>
    private static async Task<VolumeResource> WithAccessAsync(VolumeResource volume, IGrainFactory grains)
    {
        try
        {
            return volume with { Access = (await Access(grains).GetAccessAsync(volume.Name).WaitAsync(AccessPatience)).ToResource() };
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            return volume;
        }
    }

    private static async Task<IResult> CreateAsync([FromBody] CreateVolumeRequest request, IGrainFactory grains)
    {
        var spec = request.ToSpec();
        var problems = spec.Problems().ToList();
        if (!VolumeName.TryParse(request.Name, out _))
        {
            problems.Insert(
                0, $"name is '{request.Name}'; use 1 to {VolumeName.MaxLength} lower-case letters, digits, '-' or '.', starting and ending with a letter or digit");
        }

        var rule = request.Access?.ToRule().Normalize();
        problems.AddRange(rule?.Problems() ?? []);
        if (problems.Count > 0) return RestProblems.Invalid(problems);
        if (rule is not null) await EnsureAccessAsync(request.Name, rule, grains);
        // Between the two calls somebody may create or delete it: then the code is off by one, the outcome is not.
        var existed = (await Cluster(grains).ListVolumeNamesAsync()).Contains(request.Name);
        var volume = (await Cluster(grains).CreateVolumeAsync(request.Name, spec)).ToResource();
        if (rule is not null) await Access(grains).SetAccessAsync(request.Name, rule);
        volume = await WithAccessAsync(volume, grains);
        return existed ? Results.Ok(volume) : Results.Created($"/api/v1/volumes/{volume.Name}", volume);
    }

    /// <summary>Before anything is created: credentials that there are not, and a volume that exists with another rule, are the user's mistakes.</summary>
    private static async Task EnsureAccessAsync(string name, AccessRule rule, IGrainFactory grains)
    {
        var known = (await Access(grains).ListCredentialsAsync()).Select(credential => credential.Name).ToHashSet();
        if (rule.Credentials.FirstOrDefault(credential => !known.Contains(credential)) is { } missing) throw new CredentialNotFoundException($"There is no credential '{missing}'. Create it first.");
        if (!(await Cluster(grains).ListVolumeNamesAsync()).Contains(name) || (await Access(grains).GetAccessAsync(name)).Rule is not { } present || rule.Equals(present)) return;
        throw new VolumeAlreadyExistsException($"Volume '{name}' exists with another access rule: {present}. PUT /api/v1/volumes/{name}/access ('openebsctl volume access') changes it.");
    }

    private static async Task<IResult> PlanAsync([FromBody] CreateVolumeRequest request, IGrainFactory grains) => Results.Ok((await Cluster(grains).PlanVolumeAsync(request.Name, request.ToSpec())).ToResource());

    private static async Task<IResult> ExplainAsync(string name, IGrainFactory grains) =>
        VolumeName.TryParse(name, out _) ? Results.Ok((await Cluster(grains).ExplainPlacementAsync(name)).ToResource()) : RestProblems.NotFound(name);

    private static async Task<IResult> ChangeAsync(string name, [FromBody] ChangeVolumeRequest request, IGrainFactory grains)
    {
        if (!VolumeName.TryParse(name, out _)) return RestProblems.NotFound(name);
        if (request is { SizeBytes: null, ReplicaCount: null, MinInSync: null, RebuildLimitBytesPerSecond: null, IoTimeoutSeconds: null, OnTimeout: null })
            return RestProblems.Invalid(["nothing is asked for; give sizeBytes, replicaCount, minInSync, ioTimeoutSeconds, onTimeout or rebuildLimitBytesPerSecond"]);
        var volume = grains.GetGrain<IVolumeGrain>(name);
        var old = (await volume.DescribeAsync()).Spec;
        var changed = old with { SizeBytes = request.SizeBytes ?? old.SizeBytes, Replicas = request.ReplicaCount ?? old.Replicas, MinInSync = request.MinInSync, OnTimeout = request.OnTimeout ?? old.OnTimeout };
        var ioTimeout = request.IoTimeoutSeconds is { } seconds ? ResourceMapping.Seconds(seconds) : (TimeSpan?)null;
        changed = changed with { IoTimeout = ioTimeout ?? old.IoTimeout };
        var problems = changed.Problems().ToList();
        if (request.RebuildLimitBytesPerSecond is < -1 and var limit) problems.Add($"rebuildLimitBytesPerSecond is {limit}; give a positive number, 0 for no limit, or -1 for the cluster's default");
        if (problems.Count > 0) return RestProblems.Invalid(problems);
        if (request.RebuildLimitBytesPerSecond is { } bytesPerSecond) await volume.SetRebuildLimitAsync(bytesPerSecond < 0 ? null : bytesPerSecond);
        if (ioTimeout is not null || request.OnTimeout is not null) await volume.SetTimeoutAsync(ioTimeout, request.OnTimeout);
        if (request.SizeBytes is { } sizeBytes) await volume.ResizeAsync(sizeBytes);
        if (request is { ReplicaCount: not null } or { MinInSync: not null }) await Cluster(grains).SetReplicasAsync(name, changed.Replicas, request.MinInSync);
        return Results.Ok((await volume.DescribeAsync()).ToResource());
    }

    private static async Task<IResult> ScrubAsync(string name, IGrainFactory grains)
    {
        if (!VolumeName.TryParse(name, out _)) return RestProblems.NotFound(name);
        var volume = grains.GetGrain<IVolumeGrain>(name);
        await volume.ScrubAsync();
        return Results.Accepted($"/api/v1/volumes/{name}", (await volume.DescribeAsync()).ToResource());
    }

    private static async Task<IResult> DeleteAsync(string name, IGrainFactory grains) =>
        VolumeName.TryParse(name, out _) && await Cluster(grains).DeleteVolumeAsync(name) ? Results.NoContent() : RestProblems.NotFound(name);

    private static IAccessGrain Access(IGrainFactory grains) => grains.GetGrain<IAccessGrain>(0);

    private static IClusterGrain Cluster(IGrainFactory grains) => grains.GetGrain<IClusterGrain>(0);
}
