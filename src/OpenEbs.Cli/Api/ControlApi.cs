using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Serialization;
using OpenEbs.Rest;

namespace OpenEbs.Cli.Api;

/// <summary>The server's REST interface. Every failure is a <see cref="CommandFailedException"/> that says what to do.</summary>
internal sealed class ControlApi(Uri server) : IDisposable
{
    /// <summary>Creating and deleting may wait for nodes.</summary>
    private static readonly TimeSpan Timeout = TimeSpan.FromMinutes(2);

    private readonly HttpClient _http = new() { BaseAddress = new Uri(server, "/api/v1/"), Timeout = Timeout };

    public static JsonSerializerOptions Json { get; } = new(JsonSerializerDefaults.Web)
    {
        Converters = { new JsonStringEnumConverter() },
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        WriteIndented = true,
    };

    public Task<VolumeResource[]> ListVolumesAsync(CancellationToken cancellationToken) => GetAsync<VolumeResource[]>("volumes", cancellationToken);

    public Task<VolumeResource> GetVolumeAsync(string name, CancellationToken cancellationToken) => GetAsync<VolumeResource>(VolumePath(name), cancellationToken);

    public Task<ReplicaResource[]> ListReplicasAsync(CancellationToken cancellationToken) => GetAsync<ReplicaResource[]>("replicas", cancellationToken);

    public Task<PoolResource[]> ListPoolsAsync(CancellationToken cancellationToken) => GetAsync<PoolResource[]>("pools", cancellationToken);

    public Task<NodeResource[]> ListNodesAsync(CancellationToken cancellationToken) => GetAsync<NodeResource[]>("nodes", cancellationToken);

    public Task<NodeResource> GetNodeAsync(string name, CancellationToken cancellationToken) => GetAsync<NodeResource>(NodePath(name), cancellationToken);

    public Task<PoolResource> GetPoolAsync(string id, CancellationToken cancellationToken) => GetAsync<PoolResource>(PoolPath(id), cancellationToken);

    public Task<DrainPlanResource> PlanNodeDrainAsync(string name, CancellationToken cancellationToken) => GetAsync<DrainPlanResource>($"{NodePath(name)}/drain-plan", cancellationToken);

    public Task<DrainPlanResource> PlanPoolDrainAsync(string id, CancellationToken cancellationToken) => GetAsync<DrainPlanResource>($"{PoolPath(id)}/drain-plan", cancellationToken);

    /// <summary>Cordons, uncordons or drains a node.</summary>
    public Task<NodeResource> ChangeNodeAsync(string name, string verb, CancellationToken cancellationToken) => PostAsync<NodeResource>($"{NodePath(name)}/{verb}", cancellationToken);

    /// <summary>Cordons, uncordons or drains a pool.</summary>
    public Task<PoolResource> ChangePoolAsync(string id, string verb, CancellationToken cancellationToken) => PostAsync<PoolResource>($"{PoolPath(id)}/{verb}", cancellationToken);

    public Task RemoveNodeAsync(string name, CancellationToken cancellationToken) => DeleteAsync(NodePath(name), cancellationToken);

    public Task RemovePoolAsync(string id, CancellationToken cancellationToken) => DeleteAsync(PoolPath(id), cancellationToken);

    public Task<EventResource[]> ListEventsAsync(string? volume, int limit, CancellationToken cancellationToken) =>
        GetAsync<EventResource[]>($"events?limit={limit}{(volume is null ? "" : $"&volume={Uri.EscapeDataString(volume)}")}", cancellationToken);

    public Task<VersionResource> GetVersionAsync(CancellationToken cancellationToken) => GetAsync<VersionResource>("version", cancellationToken);

    /// <summary>The volume, and whether it is new.</summary>
    public async Task<(VolumeResource Volume, bool IsNew)> CreateVolumeAsync(CreateVolumeRequest request, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(HttpMethod.Post, "volumes", request, cancellationToken);
        return (await ReadAsync<VolumeResource>(response, cancellationToken), response.StatusCode == HttpStatusCode.Created);
    }

    /// <summary>Where the volume's replicas would be.</summary>
    public async Task<PlacementResource> PlanVolumeAsync(CreateVolumeRequest request, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(HttpMethod.Post, "volumes/plan", request, cancellationToken);
        return await ReadAsync<PlacementResource>(response, cancellationToken);
    }

    public Task<PlacementResource> ExplainPlacementAsync(string name, CancellationToken cancellationToken) => GetAsync<PlacementResource>($"{VolumePath(name)}/placement", cancellationToken);

    public async Task<VolumeResource> ChangeVolumeAsync(string name, ChangeVolumeRequest request, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(HttpMethod.Patch, VolumePath(name), request, cancellationToken);
        return await ReadAsync<VolumeResource>(response, cancellationToken);
    }

    public Task<VolumeResource> ScrubVolumeAsync(string name, CancellationToken cancellationToken) => PostAsync<VolumeResource>($"{VolumePath(name)}/scrub", cancellationToken);

    public Task DeleteVolumeAsync(string name, CancellationToken cancellationToken) => DeleteAsync(VolumePath(name), cancellationToken);

    public Task<OrphanResource[]> ListOrphansAsync(CancellationToken cancellationToken) => GetAsync<OrphanResource[]>("orphans", cancellationToken);

    public async Task<VolumeResource> ImportVolumeAsync(Guid uid, ImportVolumeRequest request, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(HttpMethod.Post, $"orphans/{uid}/import", request, cancellationToken);
        return await ReadAsync<VolumeResource>(response, cancellationToken);
    }

    public async Task<bool> DeleteOrphanAsync(Guid uid, string replica, bool evenIfLast, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(HttpMethod.Delete, $"orphans/{uid}/replicas/{Uri.EscapeDataString(replica)}?evenIfLast={(evenIfLast ? "true" : "false")}", null, cancellationToken);
        return true;
    }

    public Task<AccessResource> GetAccessAsync(string volume, CancellationToken cancellationToken) => GetAsync<AccessResource>($"{VolumePath(volume)}/access", cancellationToken);

    public Task<AccessResource> SetAccessAsync(string volume, AccessRequest request, CancellationToken cancellationToken) =>
        SendAsync<AccessResource>(HttpMethod.Put, $"{VolumePath(volume)}/access", request, cancellationToken);

    public Task<AccessResource> ClearAccessAsync(string volume, CancellationToken cancellationToken) => SendAsync<AccessResource>(HttpMethod.Delete, $"{VolumePath(volume)}/access", null, cancellationToken);

    public Task<CredentialResource[]> ListCredentialsAsync(CancellationToken cancellationToken) => GetAsync<CredentialResource[]>("credentials", cancellationToken);

    public Task<CredentialResource> PutCredentialAsync(string name, CredentialRequest request, bool isReplacement, CancellationToken cancellationToken) =>
        SendAsync<CredentialResource>(isReplacement ? HttpMethod.Put : HttpMethod.Post, $"credentials/{Uri.EscapeDataString(name)}", request, cancellationToken);

    public Task DeleteCredentialAsync(string name, CancellationToken cancellationToken) => DeleteAsync($"credentials/{Uri.EscapeDataString(name)}", cancellationToken);

    public Task<SessionResource[]> ListSessionsAsync(string? volume, CancellationToken cancellationToken) =>
        GetAsync<SessionResource[]>(volume is null ? "sessions" : $"sessions?volume={Uri.EscapeDataString(volume)}", cancellationToken);

    public Task CloseSessionAsync(string id, CancellationToken cancellationToken) => DeleteAsync($"sessions/{Uri.EscapeDataString(id)}", cancellationToken);

    public void Dispose() => _http.Dispose();

    private static string VolumePath(string name) => $"volumes/{Uri.EscapeDataString(name)}";

    private static string NodePath(string name) => $"nodes/{Uri.EscapeDataString(name)}";

    private static string PoolPath(string id) => $"pools/{Uri.EscapeDataString(id)}";

    private async Task<T> PostAsync<T>(string path, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(HttpMethod.Post, path, null, cancellationToken);
        return await ReadAsync<T>(response, cancellationToken);
    }

    private async Task<T> SendAsync<T>(HttpMethod method, string path, object? body, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(method, path, body, cancellationToken);
        return await ReadAsync<T>(response, cancellationToken);
    }

    private async Task DeleteAsync(string path, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(HttpMethod.Delete, path, null, cancellationToken);
    }

    private async Task<T> GetAsync<T>(string path, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(HttpMethod.Get, path, null, cancellationToken);
        return await ReadAsync<T>(response, cancellationToken);
    }

    private async Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, object? body, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(method, path);
        if (body is not null) request.Content = JsonContent.Create(body, body.GetType(), options: Json);
        HttpResponseMessage response;
        try
        {
            response = await _http.SendAsync(request, cancellationToken);
        }
        catch (HttpRequestException exception)
        {
            throw new CommandFailedException(
                ExitCode.Unreachable, $"no server answers at {server}: {exception.Message} Is it running ('openebs dev')? Another address: --server URL or OPENEBS_SERVER.");
        }
        catch (TaskCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new CommandFailedException(ExitCode.Unreachable, $"the server at {server} did not answer within {Timeout.TotalSeconds:0} s.");
        }

        if (response.IsSuccessStatusCode) return response;
        using (response) throw await ExplainAsync(response, cancellationToken);
    }

    private async Task<T> ReadAsync<T>(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        try
        {
            return await response.Content.ReadFromJsonAsync<T>(Json, cancellationToken) ?? throw new JsonException("the answer is null");
        }
        catch (JsonException exception)
        {
            throw new CommandFailedException(ExitCode.Unreachable, $"{server} answers, but not as an OpenEBS server of this version does: {exception.Message}");
        }
    }

    private async Task<CommandFailedException> ExplainAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var code = response.StatusCode switch
        {
            HttpStatusCode.BadRequest => ExitCode.Usage,
            HttpStatusCode.NotFound => ExitCode.NotFound,
            HttpStatusCode.Conflict => ExitCode.Conflict,
            HttpStatusCode.ServiceUnavailable => ExitCode.Unavailable,
            _ => ExitCode.Failed,
        };
        if (response.Content.Headers.ContentType?.MediaType != "application/problem+json")
        {
            return new CommandFailedException(ExitCode.Unreachable, $"{server} answers with HTTP {(int)response.StatusCode}, but not as an OpenEBS server. Check --server.");
        }

        var problem = await response.Content.ReadFromJsonAsync<ProblemResource>(Json, cancellationToken);
        if (code == ExitCode.NotFound && problem?.Detail is null)
        {
            return new CommandFailedException(ExitCode.Unreachable, $"{server} has no REST interface: does that node have the role control?");
        }

        return new CommandFailedException(code, problem?.Detail ?? problem?.Title ?? $"HTTP {(int)response.StatusCode}");
    }

    private sealed record ProblemResource(string? Title, string? Detail);
}
