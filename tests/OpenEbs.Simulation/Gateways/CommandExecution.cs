using System.Buffers;
using OpenEbs.Replication.Volumes;
using OpenEbs.Simulation.Histories;

namespace OpenEbs.Simulation.Gateways;

/// <summary>What a coordinator answered; Found is what a read found.</summary>
internal readonly record struct Answer(VolumeIoResult Result, long[]? Found);

/// <summary>Carries out a command on a coordinator, in the coordinator's process and with its buffers.</summary>
internal static class CommandExecution
{
    public static async ValueTask<Answer> RunAsync(VolumeCommand command, IVolumeEndpoint volume, MemoryPool<byte> pool, bool splitsWrites)
    {
        var offset = command.FirstSector * SectorStamp.SectorBytes;
        var length = command.SectorCount * SectorStamp.SectorBytes;
        var fua = command.ForceUnitAccess;
        switch (command.Kind)
        {
            case CommandKind.Read:
                return Decode(command, await volume.ReadAsync(offset, length), length);
            case CommandKind.Write:
                if (splitsWrites && length > 8192) return new Answer(await WriteInHalvesAsync(command, volume, pool), null);
                var data = pool.Rent(length);
                SectorStamp.Fill(data.Memory.Span[..length], command.FirstSector, command.WriteId);
                return new Answer(await volume.WriteAsync(offset, data, length, fua), null);
            case CommandKind.WriteZeroes:
                return new Answer(await volume.WriteZeroesAsync(offset, length, fua), null);
            case CommandKind.CompareAndWrite:
                var both = pool.Rent(2 * length);
                SectorStamp.Fill(both.Memory.Span[..length], command.FirstSector, command.Expected);
                SectorStamp.Fill(both.Memory.Span[length..(2 * length)], command.FirstSector, command.WriteId);
                return new Answer(await volume.CompareAndWriteAsync(offset, both, 2 * length, fua), null);
            case CommandKind.Flush:
                return new Answer(await volume.FlushAsync(), null);
            default:
                throw new ArgumentOutOfRangeException(nameof(command), command.Kind, "Unknown command.");
        }
    }

    /// <summary>What a gateway must not do: a crash or a read may come between the halves.</summary>
    private static async ValueTask<VolumeIoResult> WriteInHalvesAsync(VolumeCommand command, IVolumeEndpoint volume, MemoryPool<byte> pool)
    {
        var first = command.SectorCount / 2;
        foreach (var (begin, count) in new[] { (0, first), (first, command.SectorCount - first) })
        {
            var length = count * SectorStamp.SectorBytes;
            var data = pool.Rent(length);
            SectorStamp.Fill(data.Memory.Span[..length], command.FirstSector + begin, command.WriteId);
            var result = await volume.WriteAsync((command.FirstSector + begin) * SectorStamp.SectorBytes, data, length, command.ForceUnitAccess);
            if (result.Status != VolumeIoStatus.Ok) return result;
        }

        return new VolumeIoResult(VolumeIoStatus.Ok);
    }

    private static Answer Decode(VolumeCommand command, VolumeIoResult result, int length)
    {
        if (result.Data is null) return new Answer(result, null);
        using var data = result.Data;
        var found = SectorStamp.DecodeAll(data.Memory.Span[..length], command.FirstSector);
        var corrupt = Array.IndexOf(found, SectorStamp.Corrupt);
        if (corrupt >= 0) throw new PromiseBrokenException(Promise.BadBlocksAreHidden, $"{command} returned data that nobody wrote, in sector {command.FirstSector + corrupt}.");
        return new Answer(result with { Data = null }, found);
    }
}
