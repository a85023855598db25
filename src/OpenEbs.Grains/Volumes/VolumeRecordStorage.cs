using OpenEbs.Grains.Hosting;
using OpenEbs.Replication.Volumes;
using Orleans.Runtime;
using Orleans.Storage;

namespace OpenEbs.Grains.Volumes;

/// <summary>What grain storage keeps for a volume.</summary>
internal sealed class StoredVolume
{
    public VolumeRecord? Record { get; set; }
}

/// <summary>A volume's record in Orleans grain storage, by compare-and-swap on its ETag. Used directly and not as persistent grain state: Orleans would drop the activation on a lost race,
/// and it is the coordinator that knows what that means.</summary>
internal sealed class VolumeRecordStorage(IGrainStorage storage, string volume) : IVolumeRecordStore
{
    private const string StateName = "volume";

    private readonly GrainId _grain = GrainId.Create(VolumeGrain.TypeName, volume);

    public async ValueTask<(VolumeRecord Record, string ETag)?> LoadAsync()
    {
        var state = new GrainState<StoredVolume>(new StoredVolume());
        await storage.ReadStateAsync(StateName, _grain, state);
        return state.RecordExists && state.State?.Record is { } record ? (record, state.ETag ?? "") : null;
    }

    public async ValueTask<string> CompareAndSwapAsync(VolumeRecord record, string etag)
    {
        var state = new GrainState<StoredVolume>(new StoredVolume { Record = record }, etag) { RecordExists = true };
        try
        {
            await storage.WriteStateAsync(StateName, _grain, state);
            return state.ETag ?? "";
        }
        catch (InconsistentStateException conflict)
        {
            throw new VolumeRecordConflictException($"The record of volume {volume} was changed by another activation: {conflict.Message}");
        }
    }

    /// <summary>Stores the first record of a new volume; false when there is one already.</summary>
    public async ValueTask<bool> TryCreateAsync(VolumeRecord record)
    {
        var state = new GrainState<StoredVolume>(new StoredVolume());
        await storage.ReadStateAsync(StateName, _grain, state);
        if (state.RecordExists && state.State?.Record is not null) return false;
        state.State = new StoredVolume { Record = record };
        try
        {
            await storage.WriteStateAsync(StateName, _grain, state);
            return true;
        }
        catch (InconsistentStateException)
        {
            return false;
        }
    }

    /// <summary>Removes the record; nothing happens when there is none.</summary>
    /// <exception cref="VolumeRecordConflictException">It was changed meanwhile.</exception>
    public async ValueTask RemoveAsync()
    {
        var state = new GrainState<StoredVolume>(new StoredVolume());
        await storage.ReadStateAsync(StateName, _grain, state);
        if (!state.RecordExists) return;
        try
        {
            await storage.ClearStateAsync(StateName, _grain, state);
        }
        catch (InconsistentStateException conflict)
        {
            throw new VolumeRecordConflictException($"The record of volume {volume} was changed while it was removed: {conflict.Message}");
        }
    }
}

/// <summary>Gives every volume its <see cref="VolumeRecordStorage"/>.</summary>
internal sealed class VolumeRecords([Microsoft.Extensions.DependencyInjection.FromKeyedServices(OpenEbsSiloBuilderExtensions.StorageName)] IGrainStorage storage)
{
    public VolumeRecordStorage Of(string volume) => new(storage, volume);
}
