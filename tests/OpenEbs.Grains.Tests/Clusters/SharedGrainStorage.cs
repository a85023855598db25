using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Orleans.Runtime;
using Orleans.Storage;

namespace OpenEbs.Grains.Tests.Clusters;

/// <summary>A metadata store that outlives silos: one dictionary for all of them, compare-and-swap on ETags, and outages on demand.</summary>
internal sealed class SharedGrainStorage : IGrainStorage
{
    private static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web) { Converters = { new JsonStringEnumConverter() } };
    private readonly ConcurrentDictionary<string, (long Version, string Json)> _rows = new();
    private readonly Lock _lock = new();

    /// <summary>While true, every call fails; writes may or may not have been carried out.</summary>
    public bool IsDown { get; set; }

    public int Writes { get; private set; }

    public Task ReadStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        ThrowIfDown();
        if (_rows.TryGetValue(Key(stateName, grainId), out var row))
        {
            grainState.State = JsonSerializer.Deserialize<T>(row.Json, Options)!;
            grainState.ETag = row.Version.ToString(CultureInfo.InvariantCulture);
            grainState.RecordExists = true;
        }
        else
        {
            grainState.ETag = null;
            grainState.RecordExists = false;
        }

        return Task.CompletedTask;
    }

    public Task WriteStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        ThrowIfDown();
        lock (_lock)
        {
            var version = CheckETag(stateName, grainId, grainState.ETag) + 1;
            _rows[Key(stateName, grainId)] = (version, JsonSerializer.Serialize(grainState.State, Options));
            grainState.ETag = version.ToString(CultureInfo.InvariantCulture);
            grainState.RecordExists = true;
            Writes++;
        }

        return Task.CompletedTask;
    }

    public Task ClearStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        ThrowIfDown();
        lock (_lock)
        {
            CheckETag(stateName, grainId, grainState.ETag);
            _rows.TryRemove(Key(stateName, grainId), out _);
            grainState.ETag = null;
            grainState.RecordExists = false;
        }

        return Task.CompletedTask;
    }

    public IReadOnlyList<string> Keys() => [.. _rows.Keys];

    private static string Key(string stateName, GrainId grainId) => $"{stateName}|{grainId}";

    private long CheckETag(string stateName, GrainId grainId, string? etag)
    {
        var stored = _rows.TryGetValue(Key(stateName, grainId), out var row) ? row.Version : 0;
        var current = stored == 0 ? null : stored.ToString(CultureInfo.InvariantCulture);
        return current == etag ? stored : throw new InconsistentStateException($"The ETag of {grainId} is {current}, not {etag}.");
    }

    private void ThrowIfDown()
    {
        if (IsDown) throw new IOException("The metadata store is down (injected).");
    }
}
