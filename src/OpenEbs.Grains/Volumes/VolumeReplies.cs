using System.Buffers;
using OpenEbs.Buffers;
using OpenEbs.Replication.Volumes;
using OpenEbs.Volumes;

namespace OpenEbs.Grains.Volumes;

/// <summary>Turns a coordinator's results into replies of the volume grain.</summary>
internal static class VolumeReplies
{
    /// <param name="result">What the coordinator answered; its data is handed on, not copied.</param>
    /// <param name="lengthBytes">Length of a read.</param>
    /// <param name="done">The reply to a successful operation without data.</param>
    public static IoReply From(in VolumeIoResult result, int lengthBytes, IoReply done)
    {
        if (result is { Status: VolumeIoStatus.Ok, Data: null }) return done;
        return new IoReply(StatusOf(result.Status), result.Data is null ? null : BufferOf(result.Data, lengthBytes), result.MiscompareOffset, result.Detail ?? "", done.FactsVersion);
    }

    /// <param name="status">How it ended.</param>
    /// <param name="unit">The present state; told only with Ok and Outdated, where it is known to be so.</param>
    /// <param name="knownVersion">What the asker has.</param>
    /// <param name="factsVersion">Of the volume's facts.</param>
    public static UnitReply Of(VolumeIoStatus status, UnitRecord? unit, long knownVersion, long factsVersion) => new()
    {
        Status = StatusOf(status),
        State = unit is null || unit.Version == knownVersion || status is not (VolumeIoStatus.Ok or VolumeIoStatus.Outdated) ? null : new UnitState { Version = unit.Version, Lasting = unit.Lasting, Passing = unit.Passing },
        FactsVersion = factsVersion,
    };

    public static IoStatus StatusOf(VolumeIoStatus status) => status switch
    {
        VolumeIoStatus.Ok => IoStatus.Ok,
        VolumeIoStatus.OutOfRange => IoStatus.OutOfRange,
        VolumeIoStatus.NoSpace => IoStatus.NoSpace,
        VolumeIoStatus.TimedOut => IoStatus.TimedOut,
        VolumeIoStatus.MediumError => IoStatus.MediumError,
        VolumeIoStatus.Miscompare => IoStatus.Miscompare,
        VolumeIoStatus.Gone => IoStatus.Gone,
        VolumeIoStatus.Fenced => IoStatus.Fenced,
        VolumeIoStatus.WriteProtected => IoStatus.WriteProtected,
        VolumeIoStatus.Outdated => IoStatus.Outdated,
        _ => throw new ArgumentOutOfRangeException(nameof(status), status, "Unknown outcome of an I/O."),
    };

    private static IoBuffer BufferOf(IMemoryOwner<byte> data, int lengthBytes)
    {
        if (data is IoBuffer buffer && buffer.Capacity >= lengthBytes)
        {
            if (buffer.Length != lengthBytes) buffer.SetLength(lengthBytes);
            return buffer;
        }

        using (data)
        {
            var copy = IoBufferPool.Shared.RentBuffer(lengthBytes);
            data.Memory.Span[..lengthBytes].CopyTo(copy.Span);
            return copy;
        }
    }
}
