using OpenEbs.Replication.Volumes;

namespace OpenEbs.Simulation.Breakages;

/// <summary>A metadata store that writes whatever it is given, whoever wrote before.</summary>
internal sealed class ForcedRecordStore(IVolumeRecordStore records) : IVolumeRecordStore
{
    public ValueTask<(VolumeRecord Record, string ETag)?> LoadAsync() => records.LoadAsync();

    public async ValueTask<string> CompareAndSwapAsync(VolumeRecord record, string etag)
    {
        while (true)
        {
            try
            {
                return await records.CompareAndSwapAsync(record, etag);
            }
            catch (VolumeRecordConflictException)
            {
                var loaded = await records.LoadAsync();
                etag = loaded!.Value.ETag;
                if (loaded.Value.Record.Epoch > record.Epoch) record = record with { Epoch = loaded.Value.Record.Epoch };
            }
        }
    }
}
