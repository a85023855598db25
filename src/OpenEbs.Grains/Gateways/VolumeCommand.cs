using OpenEbs.Buffers;
using OpenEbs.Volumes;

namespace OpenEbs.Grains.Gateways;

/// <summary>What a command does; each is one method of <see cref="IVolumeGrain"/>.</summary>
internal enum VolumeCommandKind : byte
{
    Read,
    Write,
    Flush,
    WriteZeroes,
    CompareAndWrite,
}

/// <summary>One data command, as often as it must be sent.</summary>
internal readonly record struct VolumeCommand(
    VolumeCommandKind Kind,
    long OffsetBytes = 0,
    long LengthBytes = 0,
    IoBuffer? Data = null,
    IReadOnlyList<ByteRange>? Ranges = null,
    IoFlags Flags = IoFlags.None,
    long UnitVersion = 0)
{
    public bool Writes => Kind is VolumeCommandKind.Write or VolumeCommandKind.WriteZeroes or VolumeCommandKind.CompareAndWrite;

    /// <summary>Sent a second time, COMPARE AND WRITE would find its own data and report a miscompare.</summary>
    public bool MayRepeat => Kind != VolumeCommandKind.CompareAndWrite;

    public ValueTask<IoReply> SendAsync(IVolumeGrain volume) => Kind switch
    {
        VolumeCommandKind.Read => volume.ReadAsync(OffsetBytes, (int)LengthBytes, UnitVersion),
        VolumeCommandKind.Write => volume.WriteAsync(OffsetBytes, Data!, Flags, UnitVersion),
        VolumeCommandKind.Flush => volume.FlushAsync(UnitVersion),
        VolumeCommandKind.WriteZeroes => volume.WriteZeroesAsync(Ranges!, Flags, UnitVersion),
        VolumeCommandKind.CompareAndWrite => volume.CompareAndWriteAsync(OffsetBytes, Data!, Flags, UnitVersion),
        _ => throw new NotSupportedException($"There is no volume command {Kind}."),
    };
}
