using System.Text.Json;
using Orleans;
using Orleans.Runtime;
using Orleans.Storage;

namespace OpenEbs.Placement;

/// <summary>Keeps the registry in memory and counts how often it is written; on demand also what it comes to as JSON, which is how it is stored.</summary>
internal sealed class MemoryRegistryStorage : IGrainStorage
{
    public int Writes { get; private set; }

    /// <summary>Of the next write, how many bytes it has; it takes as long as the real one but for the disk.</summary>
    public bool Measures { get; set; }

    public long MeasuredBytes { get; private set; }

    public Task ReadStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState) => Task.CompletedTask;

    public Task WriteStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        Writes++;
        if (Measures) MeasuredBytes = JsonSerializer.SerializeToUtf8Bytes(grainState.State).Length;
        grainState.ETag = Writes.ToString(System.Globalization.CultureInfo.InvariantCulture);
        grainState.RecordExists = true;
        return Task.CompletedTask;
    }

    public Task ClearStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState) => Task.CompletedTask;
}
