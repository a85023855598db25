using OpenEbs.Replication.Volumes;

namespace OpenEbs.Replication.Rebuilds;

/// <summary>What a user may choose about a volume's rebuilds.</summary>
public sealed class VolumeRebuilds
{
    private readonly VolumeContext _context;

    internal VolumeRebuilds(VolumeContext context) => _context = context;

    /// <summary>Bounds how much data a second is copied to replicas of this volume, from now on.</summary>
    /// <param name="bytesPerSecond">0 for no limit; null for the cluster's default.</param>
    /// <exception cref="ArgumentOutOfRangeException">It is negative.</exception>
    /// <exception cref="VolumeRecordConflictException">The volume is open elsewhere by now.</exception>
    public async ValueTask SetLimitAsync(long? bytesPerSecond)
    {
        if (bytesPerSecond is { } value) ArgumentOutOfRangeException.ThrowIfNegative(value, nameof(bytesPerSecond));
        await _context.Keeper.ChangeAsync(
            record => record.RebuildLimitBytesPerSecond == bytesPerSecond
                ? record
                : (record with { RebuildLimitBytesPerSecond = bytesPerSecond }).Tell(new VolumeEvent(
                    _context.UtcNow, VolumeEventKind.RebuildLimited, "", Text(record.RebuildLimitBytesPerSecond), Text(bytesPerSecond), "asked for")),
            _context.Stopped);
    }

    private static string Text(long? limit) => limit is not { } bytes ? "the cluster's default" : bytes == 0 ? "no limit" : $"{bytes} bytes/s";
}
