using System.Net.Http.Json;
using System.Text.Json;
using OpenEbs.Rest;
using OpenEbs.Server.Rest;

namespace OpenEbs.Server.Nodes;

/// <summary>Sees to it that a new cluster has a volume to try.</summary>
internal static class FirstVolume
{
    public const string Name = "demo";
    private const long SizeBytes = 1L << 30;

    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(30);

    /// <summary>The volume that the welcome shows: demo, else the first there is; null when there is none.</summary>
    public static async Task<VolumeResource?> EnsureAsync(int httpPort, DevOptions options, CancellationToken cancellationToken)
    {
        using var client = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{httpPort}/api/v1/"), Timeout = Timeout };
        try
        {
            var volumes = await client.GetFromJsonAsync<VolumeResource[]>("volumes", RestJson.Options, cancellationToken) ?? [];
            if (volumes.Length > 0 || !options.Demo) return Array.Find(volumes, volume => volume.Name == Name) ?? volumes.FirstOrDefault();
            var orphans = await client.GetFromJsonAsync<OrphanResource[]>("orphans", RestJson.Options, cancellationToken) ?? [];
            if (orphans.Length > 0)
            {
                // The metadata store was lost. A new volume of a name that the user knows would look like an old one that lost its data.
                await Console.Error.WriteLineAsync($"The pools have replicas of {orphans.Length} volume(s) that the metadata store does not know, so no volume '{Name}' is created. 'openebsctl replica orphans' lists them, 'openebsctl volume import VOLUME' brings one back.");
                return null;
            }

            var request = new CreateVolumeRequest
            {
                Name = Name,
                SizeBytes = SizeBytes,
                ReplicaCount = Math.Min(3, options.Nodes * options.PoolsPerNode),
                BlockLength = options.BlockLength,
            };
            using var response = await client.PostAsJsonAsync("volumes", request, RestJson.Options, cancellationToken);
            if (response.IsSuccessStatusCode) return await response.Content.ReadFromJsonAsync<VolumeResource>(RestJson.Options, cancellationToken);
            await Console.Error.WriteLineAsync($"The volume '{Name}' could not be created: {await ReadDetailAsync(response, cancellationToken)}");
        }
        catch (Exception exception) when (exception is HttpRequestException or JsonException || exception is TaskCanceledException && !cancellationToken.IsCancellationRequested)
        {
            await Console.Error.WriteLineAsync($"The volume '{Name}' could not be created: {exception.Message}");
        }

        return null;
    }

    private static async Task<string> ReadDetailAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var problem = await response.Content.ReadFromJsonAsync<JsonElement>(cancellationToken);
        return problem.TryGetProperty("detail", out var detail) ? detail.GetString()! : $"HTTP {(int)response.StatusCode}";
    }
}
