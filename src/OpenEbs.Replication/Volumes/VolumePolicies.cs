namespace OpenEbs.Replication.Volumes;

/// <summary>What a user may change of a volume while it is in use.</summary>
public sealed class VolumePolicies
{
    private readonly VolumeContext _context;

    internal VolumePolicies(VolumeContext context) => _context = context;

    /// <summary>Makes the volume larger.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The size is smaller than the present one.</exception>
    /// <exception cref="VolumeRecordConflictException">The volume is open elsewhere by now.</exception>
    public async ValueTask ResizeAsync(long sizeBytes)
    {
        var old = _context.Keeper.Record!.SizeBytes;
        if (sizeBytes < old) throw new ArgumentOutOfRangeException(nameof(sizeBytes), sizeBytes, $"The volume has {old} bytes and cannot shrink; give at least that.");
        await _context.Keeper.ChangeAsync(
            record => record.SizeBytes == sizeBytes
                ? record
                : (record with { SizeBytes = sizeBytes }).Tell(new VolumeEvent(_context.UtcNow, VolumeEventKind.Resized, "", $"{record.SizeBytes} bytes", $"{sizeBytes} bytes", "asked for")),
            _context.Stopped);
    }

    /// <summary>Sets how long I/O waits for the volume and what becomes of it then; it holds for I/O that waits already, too.</summary>
    /// <param name="ioTimeout">Null to leave it as it is.</param>
    /// <param name="onTimeout">Null to leave it as it is.</param>
    /// <exception cref="VolumeRecordConflictException">The volume is open elsewhere by now.</exception>
    public async ValueTask SetTimeoutAsync(TimeSpan? ioTimeout, TimeoutPolicy? onTimeout) =>
        await _context.Keeper.ChangeAsync(
            record =>
            {
                var changed = record with { IoTimeout = ioTimeout ?? record.IoTimeout, OnTimeout = onTimeout ?? record.OnTimeout };
                return changed == record ? record : changed.Tell(new VolumeEvent(_context.UtcNow, VolumeEventKind.TimeoutChanged, "", Text(record), Text(changed), "asked for"));
            },
            _context.Stopped);

    private static string Text(VolumeRecord record) => record.OnTimeout switch
    {
        TimeoutPolicy.Wait => "I/O waits without end",
        TimeoutPolicy.Error => $"I/O fails after {record.IoTimeout}",
        TimeoutPolicy.ReadOnly => $"writes are refused after {record.IoTimeout}",
        _ => throw new ArgumentOutOfRangeException(nameof(record), record.OnTimeout, "Unknown policy."),
    };
}
