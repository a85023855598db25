using OpenEbs.Storage.Devices;
using OpenEbs.Storage.Formats;

namespace OpenEbs.Storage.Store;

/// <summary>Finds or makes the superblock of a store.</summary>
internal static class SuperblockFile
{
    public static async ValueTask<(IStorageFile File, Superblock Superblock)> OpenAsync(IStorageDevice device, ReplicaStoreOptions options)
    {
        var names = device.List();
        var exists = names.Contains(Superblock.FileName);
        var others = names.Any(n => n.StartsWith("segment-", StringComparison.Ordinal) || n.StartsWith("map-", StringComparison.Ordinal));
        var file = exists ? device.Open(Superblock.FileName) : null;
        try
        {
            var slots = new byte[Superblock.FileBytes];
            if (file is not null && file.LengthBytes == Superblock.FileBytes && await ReadAsync(file, slots) is { } found)
            {
                if (found.ReplicaId != options.ReplicaId)
                    throw new StoreForeignException($"{device.Path} holds replica {found.ReplicaId}, not {options.ReplicaId}. Give each replica a directory of its own.");

                // A killed process may have left the newer copy in the page cache only; the next write replaces the other one, which then would be the only one on media.
                await file.FlushAsync();
                await MakeEqualAsync(file, slots, found);

                // And one killed while it made the store may have left the file's name there only.
                await device.SyncDirectoryAsync();
                return (file, found);
            }

            if (others)
                throw new StoreCorruptException($"{device.Path}: neither superblock checks, the replica cannot be opened. Let it be rebuilt from another replica, or restore it from a backup.");
            if (!options.CreateIfAbsent)
                throw new StoreNotFoundException($"{device.Path}: there is no replica here. If its disk was replaced, let it be rebuilt from another replica.");
            file?.Dispose();
            if (exists) device.Delete(Superblock.FileName);
            file = null;
            return await CreateAsync(device, options);
        }
        catch
        {
            file?.Dispose();
            throw;
        }
    }

    /// <summary>Either may be the first that the next write replaces: a crash then must find the other one good.</summary>
    private static async ValueTask MakeEqualAsync(IStorageFile file, byte[] slots, Superblock found)
    {
        var wanted = new byte[Superblock.SlotBytes];
        found.Write(wanted);
        for (var offset = 0; offset < slots.Length; offset += Superblock.SlotBytes)
        {
            if (slots.AsSpan(offset, Superblock.SlotBytes).SequenceEqual(wanted)) continue;
            file.Write(offset, wanted);
            await file.FlushAsync();
        }
    }

    private static async ValueTask<Superblock?> ReadAsync(IStorageFile file, byte[] slots)
    {
        await file.ReadAsync(0, slots);
        var first = Superblock.Read(slots.AsSpan(0, Superblock.SlotBytes));
        var second = Superblock.Read(slots.AsSpan(Superblock.SlotBytes));
        return first is null || second?.Revision > first.Revision ? second : first;
    }

    private static async ValueTask<(IStorageFile File, Superblock Superblock)> CreateAsync(IStorageDevice device, ReplicaStoreOptions options)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(options.SegmentBytes % FormatTags.PageBytes, 0, nameof(options));
        var superblock = new Superblock { ReplicaId = options.ReplicaId, BootId = options.BootId, SegmentBytes = options.SegmentBytes, ReplaySegment = 1, ReplayOffset = FormatTags.PageBytes, NextSegmentNumber = 1, Revision = 1, Rebuilding = options.CreateRebuilding };
        var slots = new byte[Superblock.FileBytes];
        superblock.Write(slots.AsSpan(0, Superblock.SlotBytes));
        superblock.Write(slots.AsSpan(Superblock.SlotBytes));
        var file = device.Create(Superblock.FileName, Superblock.FileBytes);
        file.Write(0, slots);
        await file.FlushAsync();
        await device.SyncDirectoryAsync();
        return (file, superblock);
    }
}
