using Microsoft.AspNetCore.Mvc;
using OpenEbs.Replicas;
using OpenEbs.Rest;
using OpenEbs.Volumes;

namespace OpenEbs.Server.Rest;

/// <summary>REST for replicas on disk that the cluster does not know, <c>/api/v1/orphans</c>.</summary>
internal static class OrphanApi
{
    private const string Problem = "application/problem+json";

    public static void Map(RouteGroupBuilder api)
    {
        var orphans = api.MapGroup("/orphans").WithTags("Orphans");
        orphans.MapGet("", async (IGrainFactory grains) => (await Recovery(grains).ListOrphansAsync()).Select(ToResource))
            .WithName("ListOrphans").WithSummary("Lists volumes of which there are replicas on disk, and which the cluster does not know.")
            .WithDescription("The metadata store was lost or is older than they, or the volume was deleted while a pool was away. Every store found is opened: that may take a while.")
            .Produces<OrphanResource[]>();
        orphans.MapPost("{uid:guid}/import", ImportAsync).WithName("ImportVolume").WithSummary("Makes a volume of replicas found on disk.")
            .WithDescription("The replica with the highest epoch and sequence number is in sync, the others are brought level with it.")
            .Produces<VolumeResource>(StatusCodes.Status201Created).ProducesProblem(StatusCodes.Status400BadRequest, Problem)
            .ProducesProblem(StatusCodes.Status404NotFound, Problem).ProducesProblem(StatusCodes.Status409Conflict, Problem);
        orphans.MapDelete("{uid:guid}/replicas/{replica}", DeleteAsync).WithName("DeleteOrphan").WithSummary("Deletes the files of a replica that no volume knows.")
            .WithDescription("With evenIfLast=true also when it could be the last copy of its volume.")
            .Produces(StatusCodes.Status204NoContent).ProducesProblem(StatusCodes.Status400BadRequest, Problem).ProducesProblem(StatusCodes.Status404NotFound, Problem);
    }

    private static async Task<IResult> ImportAsync(Guid uid, [FromBody] ImportVolumeRequest request, IGrainFactory grains)
    {
        var volume = (await Recovery(grains).ImportVolumeAsync(uid, request.Name)).ToResource();
        return Results.Created($"/api/v1/volumes/{volume.Name}", volume);
    }

    private static async Task<IResult> DeleteAsync(Guid uid, string replica, IGrainFactory grains, bool evenIfLast = false)
    {
        await Recovery(grains).DeleteOrphanAsync(uid, replica, evenIfLast);
        return Results.NoContent();
    }

    private static OrphanResource ToResource(OrphanVolumeView view) => new()
    {
        Uid = view.Uid,
        Name = view.Name,
        SizeBytes = view.SizeBytes,
        IsImportable = view.IsImportable,
        Reason = view.Reason,
        Replicas =
        [
            .. view.Replicas.Select(replica => new OrphanReplicaResource
            {
                Id = replica.Id,
                Pool = replica.Pool,
                Node = replica.Node,
                Epoch = replica.Epoch,
                Seq = replica.Seq,
                UsedBytes = replica.UsedBytes,
                IsBest = replica.IsBest,
                Reason = replica.Reason,
            }),
        ],
    };

    private static IClusterRecovery Recovery(IGrainFactory grains) => grains.GetGrain<IClusterRecovery>(0);
}
