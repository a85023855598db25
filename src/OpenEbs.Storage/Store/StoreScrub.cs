using OpenEbs.Storage.Formats;

namespace OpenEbs.Storage.Store;

/// <summary>Reads what a store has beside the blocks from media, a bounded step at a time: superblocks, the pages of the installed checkpoint, segment headers and the headers of records. (Blocks are read
/// by whoever can compare them with other replicas.) Nothing of it is read while the store runs: without a scrub, damage shows when the store is opened again, when others may have lost theirs too.</summary>
/// <remarks>Each step is made under the maintenance turn: no checkpoint is installed, no page and no segment freed, meanwhile.</remarks>
internal sealed class StoreScrub(StoreState state, Maintenance maintenance, Evacuation evacuation)
{
    private readonly MapScrub _map = new(state, maintenance);
    private readonly SegmentScrub _segments = new(state, maintenance, evacuation);
    private Phase _phase = Phase.Done;

    private enum Phase : byte
    {
        Superblocks,
        Map,
        Segments,
        Done,
    }

    public async ValueTask<StoreScrubStep> StepAsync(bool restart)
    {
        if (restart) _phase = Phase.Superblocks;
        var findings = new ScrubFindings();
        switch (_phase)
        {
            case Phase.Superblocks:
                findings.CheckedBytes = Superblock.FileBytes;
                if (await state.RepairSuperblocksAsync() is > 0 and var count) findings.Repaired.Add($"{count} of 2 superblocks were damaged: written anew");
                _map.Restart();
                _phase = Phase.Map;
                break;
            case Phase.Map:
                if (!await _map.StepAsync(findings)) break;
                _segments.Restart(_map.HighestLive);
                _phase = Phase.Segments;
                break;
            case Phase.Segments:
                if (await _segments.StepAsync(findings)) _phase = Phase.Done;
                break;
        }

        return new StoreScrubStep(_phase == Phase.Done, findings.CheckedBytes, findings.Repaired, findings.Damage);
    }
}
