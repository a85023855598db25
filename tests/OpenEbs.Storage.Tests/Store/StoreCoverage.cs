using OpenEbs.Storage.Formats;
using OpenEbs.Testing.Devices;

namespace OpenEbs.Storage.Tests.Store;

/// <summary>What a history made the store do, read from its files: tests that claim to cover something assert it.</summary>
internal sealed class StoreCoverage
{
    private readonly HashSet<uint> _begun = [];

    public Dictionary<RecordKind, int> Records { get; } = [];

    public int RecycledSegments { get; private set; }

    public ulong HighestCheckpoint { get; private set; }

    public void Add(SimulatedStorageDevice device, string replicaId)
    {
        foreach (var name in device.List().Where(name => name.StartsWith("segment-", StringComparison.Ordinal)))
        {
            var bytes = device.ReadAllBytes(name);
            if (SegmentHeader.Read(bytes) is not { } header) continue;
            if (_begun.Add(header.Number) && header.Number > Convert.ToUInt32(name["segment-".Length..], 16)) RecycledSegments++;
            var home = new RecordHome(header.Number, (uint)header.Revision, OpenEbs.Storage.Store.StoreState.TagOf(replicaId));
            for (var offset = FormatTags.PageBytes; offset < bytes.Length;)
            {
                var length = RecordHeader.Peek(bytes.AsSpan(offset), home, bytes.Length - offset).HeaderBytes;
                if (length == 0 || RecordHeader.Read(bytes.AsSpan(offset, length), bytes.Length - offset) is not { } record) break;
                Records[record.Kind] = Records.GetValueOrDefault(record.Kind) + 1;
                offset += record.TotalBytes;
            }
        }

        if (Superblock.Read(device.ReadAllBytes(Superblock.FileName).AsSpan(0, Superblock.SlotBytes)) is { } superblock) HighestCheckpoint = Math.Max(HighestCheckpoint, superblock.CheckpointLsn);
    }

    public override string ToString() =>
        $"{string.Join(", ", Records.OrderBy(r => r.Key).Select(r => $"{r.Value} {r.Key}"))}; {RecycledSegments} recycled segments, checkpoint at record {HighestCheckpoint}";
}
