using Microsoft.AspNetCore.Mvc;
using OpenEbs.Access;
using OpenEbs.Rest;
using OpenEbs.Volumes;

namespace OpenEbs.Server.Rest;

/// <summary>REST for access rules, credentials and sessions.</summary>
internal static class AccessApi
{
    private const string Problem = "application/problem+json";

    public static void Map(RouteGroupBuilder api)
    {
        MapRules(api.MapGroup("/volumes/{name}/access").WithTags("Access").ProducesProblem(StatusCodes.Status404NotFound, Problem));
        MapCredentials(api.MapGroup("/credentials").WithTags("Access"));
        MapSessions(api.MapGroup("/sessions").WithTags("Sessions"));
    }

    public static AccessResource ToResource(this VolumeAccessView view) => new()
    {
        HasRule = view.Rule is not null,
        Initiators = view.Rule?.Initiators ?? [],
        Credentials = view.Rule?.Credentials ?? [],
        Sharing = view.Rule?.Sharing ?? SharingMode.Shared,
        AdmitsNobody = view.AdmitsNobody,
        Summary = view.Summary,
    };

    public static AccessRule ToRule(this AccessRequest request) => new() { Initiators = request.Initiators, Credentials = request.Credentials, Sharing = request.Sharing };

    public static SessionResource ToResource(this SessionView view) => new()
    {
        Id = view.Id,
        Volume = view.Volume,
        Initiator = view.Initiator,
        Address = view.Address,
        Credential = view.Credential,
        Node = view.Node,
        Since = view.Since,
        HeaderDigest = view.HeaderDigest,
        DataDigest = view.DataDigest,
        ReadBytes = view.ReadBytes,
        WrittenBytes = view.WrittenBytes,
        CommandCount = view.CommandCount,
        LastCommandAt = view.LastCommandAt,
    };

    private static void MapRules(RouteGroupBuilder access)
    {
        access.MapGet("", async (string name, IGrainFactory grains) => (await Access(grains).GetAccessAsync(name)).ToResource())
            .WithName("GetAccess").WithSummary("Says who may log in to a volume.").Produces<AccessResource>();
        access.MapPut("", async (string name, [FromBody] AccessRequest request, IGrainFactory grains) => (await Access(grains).SetAccessAsync(name, request.ToRule())).ToResource())
            .WithName("SetAccess").WithSummary("Gives a volume an access rule, or another one.")
            .WithDescription("Sessions that the rule does not allow end before this returns, on gateways that do not answer within 10 s. Sessions of several initiators that are there when a volume becomes Exclusive stay.")
            .Produces<AccessResource>().ProducesProblem(StatusCodes.Status400BadRequest, Problem);
        access.MapDelete("", async (string name, IGrainFactory grains) => (await Access(grains).ClearAccessAsync(name)).ToResource())
            .WithName("ClearAccess").WithSummary("Takes a volume's access rule: the cluster's default holds then.").Produces<AccessResource>();
    }

    private static void MapCredentials(RouteGroupBuilder credentials)
    {
        credentials.MapGet("", async (IGrainFactory grains) => (await Access(grains).ListCredentialsAsync()).Select(ToResource))
            .WithName("ListCredentials").WithSummary("Lists the credentials, without their secrets.").Produces<CredentialResource[]>();
        credentials.MapPost("{name}", async (string name, [FromBody] CredentialRequest request, IGrainFactory grains) =>
                Results.Created($"/api/v1/credentials/{Uri.EscapeDataString(name)}", ToResource(await Access(grains).PutCredentialAsync(name, ToSpec(request), isReplacement: false))))
            .WithName("CreateCredential").WithSummary("Creates a credential.").WithDescription("Its secrets can be replaced, but nothing gives them back.")
            .Produces<CredentialResource>(StatusCodes.Status201Created).ProducesProblem(StatusCodes.Status400BadRequest, Problem).ProducesProblem(StatusCodes.Status409Conflict, Problem);
        credentials.MapPut("{name}", async (string name, [FromBody] CredentialRequest request, IGrainFactory grains) =>
                ToResource(await Access(grains).PutCredentialAsync(name, ToSpec(request), isReplacement: true)))
            .WithName("ReplaceCredential").WithSummary("Replaces a credential: logins use it from now on, sessions that there are go on.")
            .Produces<CredentialResource>().ProducesProblem(StatusCodes.Status400BadRequest, Problem).ProducesProblem(StatusCodes.Status404NotFound, Problem);
        credentials.MapDelete("{name}", async (string name, IGrainFactory grains) =>
            {
                await Access(grains).DeleteCredentialAsync(name);
                return Results.NoContent();
            })
            .WithName("DeleteCredential").WithSummary("Deletes a credential that no access rule names.")
            .Produces(StatusCodes.Status204NoContent).ProducesProblem(StatusCodes.Status404NotFound, Problem).ProducesProblem(StatusCodes.Status409Conflict, Problem);
    }

    private static void MapSessions(RouteGroupBuilder sessions)
    {
        sessions.MapGet("", async (IGrainFactory grains, string? volume = null) => (await Access(grains).ListSessionsAsync(volume)).Where(session => !session.IsPending).Select(session => session.ToResource()))
            .WithName("ListSessions").WithSummary("Lists the iSCSI sessions on all gateways, or those on one volume.").Produces<SessionResource[]>();
        sessions.MapDelete("{id}", async (string id, IGrainFactory grains) =>
                await Access(grains).CloseSessionAsync(id) ? Results.NoContent() : Results.Problem(
                    statusCode: StatusCodes.Status404NotFound, title: "There is no such session", detail: $"There is no session '{id}'. GET /api/v1/sessions lists those that there are."))
            .WithName("CloseSession").WithSummary("Ends a session.").WithDescription("The initiator is told, and may log in again if the volume's access rule lets it in.")
            .Produces(StatusCodes.Status204NoContent).ProducesProblem(StatusCodes.Status404NotFound, Problem);
    }

    private static CredentialSpec ToSpec(CredentialRequest request) =>
        new() { UserName = request.UserName, Secret = new SecretText(request.Secret), TargetUserName = request.TargetUserName, TargetSecret = new SecretText(request.TargetSecret) };

    private static CredentialResource ToResource(CredentialView view) => new()
    {
        Name = view.Name,
        UserName = view.UserName,
        TargetUserName = view.TargetUserName,
        HasTargetSecret = view.HasTargetSecret,
        ChangedAt = view.ChangedAt,
        Volumes = view.Volumes,
    };

    private static IAccessGrain Access(IGrainFactory grains) => grains.GetGrain<IAccessGrain>(0);
}
