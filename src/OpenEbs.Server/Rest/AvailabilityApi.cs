using OpenEbs.Pools;
using OpenEbs.Rest;
using OpenEbs.Volumes;

namespace OpenEbs.Server.Rest;

/// <summary>What is done to nodes and pools: cordon, uncordon, drain, remove.</summary>
internal static class AvailabilityApi
{
    private const string Problem = "application/problem+json";

    public static void Map(RouteGroupBuilder api)
    {
        MapNodes(api.MapGroup("/nodes").WithTags("Nodes").ProducesProblem(StatusCodes.Status404NotFound, Problem));
        MapPools(api.MapGroup("/pools").WithTags("Pools").ProducesProblem(StatusCodes.Status404NotFound, Problem));
    }

    private static void MapNodes(RouteGroupBuilder nodes)
    {
        nodes.MapGet("{name}", GetNodeAsync).WithName("GetNode").WithSummary("Describes a node.").Produces<NodeResource>();
        nodes.MapPost("{name}/cordon", (string name, IGrainFactory grains) => SetNodeAsync(grains, name, Availability.Cordoned))
            .WithName("CordonNode").WithSummary("Has a node's pools take no new replicas.").Produces<NodeResource>();
        nodes.MapPost("{name}/uncordon", (string name, IGrainFactory grains) => SetNodeAsync(grains, name, Availability.Available))
            .WithName("UncordonNode").WithSummary("Has a node's pools take replicas again, and stops its drain.").Produces<NodeResource>();
        nodes.MapPost("{name}/drain", (string name, IGrainFactory grains) => SetNodeAsync(grains, name, Availability.Draining))
            .WithName("DrainNode").WithSummary("Moves all replicas from a node, in the background.").WithDescription("Returns at once; asking again, or GET, tells how far it is. It ends with the event NodeDrained.")
            .Produces<NodeResource>();
        nodes.MapGet("{name}/drain-plan", async (string name, IGrainFactory grains) => (await Cluster(grains).PlanNodeDrainAsync(name)).ToResource())
            .WithName("PlanNodeDrain").WithSummary("Says what draining a node would do.").Produces<DrainPlanResource>();
        nodes.MapDelete("{name}", RemoveNodeAsync).WithName("RemoveNode").WithSummary("Forgets a node that has stopped for good, and its pools.")
            .Produces(StatusCodes.Status204NoContent).ProducesProblem(StatusCodes.Status409Conflict, Problem);
    }

    private static void MapPools(RouteGroupBuilder pools)
    {
        pools.MapGet("{id}", GetPoolAsync).WithName("GetPool").WithSummary("Describes a pool.").Produces<PoolResource>();
        pools.MapPost("{id}/cordon", (string id, IGrainFactory grains) => SetPoolAsync(grains, id, Availability.Cordoned))
            .WithName("CordonPool").WithSummary("Has a pool take no new replicas.").Produces<PoolResource>();
        pools.MapPost("{id}/uncordon", (string id, IGrainFactory grains) => SetPoolAsync(grains, id, Availability.Available))
            .WithName("UncordonPool").WithSummary("Has a pool take replicas again, and stops its drain.").Produces<PoolResource>();
        pools.MapPost("{id}/drain", (string id, IGrainFactory grains) => SetPoolAsync(grains, id, Availability.Draining))
            .WithName("DrainPool").WithSummary("Moves all replicas from a pool, in the background.").WithDescription("Returns at once; asking again, or GET, tells how far it is. It ends with the event PoolDrained.")
            .Produces<PoolResource>();
        pools.MapGet("{id}/drain-plan", async (string id, IGrainFactory grains) => (await Cluster(grains).PlanPoolDrainAsync(id)).ToResource())
            .WithName("PlanPoolDrain").WithSummary("Says what draining a pool would do.").Produces<DrainPlanResource>();
        pools.MapDelete("{id}", RemovePoolAsync).WithName("RemovePool").WithSummary("Forgets a pool that is gone for good.")
            .Produces(StatusCodes.Status204NoContent).ProducesProblem(StatusCodes.Status409Conflict, Problem);
    }

    private static async Task<IResult> GetNodeAsync(string name, IGrainFactory grains) =>
        (await Cluster(grains).ListNodesAsync()).FirstOrDefault(node => node.Name == name) is { } view ? Results.Ok(view.ToResource()) : RestProblems.NoNode(name);

    private static async Task<IResult> GetPoolAsync(string id, IGrainFactory grains) =>
        (await Cluster(grains).ListPoolsAsync()).FirstOrDefault(pool => pool.Id == id) is { } view ? Results.Ok(view.ToResource()) : RestProblems.NoPool(id);

    private static async Task<NodeResource> SetNodeAsync(IGrainFactory grains, string name, Availability availability) => (await Cluster(grains).SetNodeAvailabilityAsync(name, availability)).ToResource();

    private static async Task<PoolResource> SetPoolAsync(IGrainFactory grains, string id, Availability availability) => (await Cluster(grains).SetPoolAvailabilityAsync(id, availability)).ToResource();

    private static async Task<IResult> RemoveNodeAsync(string name, IGrainFactory grains)
    {
        await Cluster(grains).RemoveNodeAsync(name);
        return Results.NoContent();
    }

    private static async Task<IResult> RemovePoolAsync(string id, IGrainFactory grains)
    {
        await Cluster(grains).RemovePoolAsync(id);
        return Results.NoContent();
    }

    private static IClusterGrain Cluster(IGrainFactory grains) => grains.GetGrain<IClusterGrain>(0);
}
