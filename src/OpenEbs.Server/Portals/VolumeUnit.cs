using System.Buffers;
using System.Diagnostics;
using System.Runtime.CompilerServices;
using OpenEbs.Buffers;
using OpenEbs.Grains.Gateways;
using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Server.Telemetry;
using OpenEbs.Volumes;

namespace OpenEbs.Server.Portals;

/// <summary>A volume as the store behind a logical unit. Nothing is copied: the portal rents its buffers from the pool whose buffers travel through the grains.</summary>
internal sealed class VolumeUnit(VolumeConnection volume, VolumeMeasures measures) : ILogicalUnitStore
{
    private KnownFacts? _known;

    public LogicalUnitFacts Facts
    {
        get
        {
            var attachment = volume.Attachment;
            var known = _known;
            if (known is null || !ReferenceEquals(known.Attachment, attachment)) _known = known = new KnownFacts(attachment, FactsOf(attachment));
            return known.Facts;
        }
    }

    public ValueTask<StoreIoResult> ReadAsync(long offsetBytes, int lengthBytes, CancellationToken cancellationToken) =>
        RunAsync(volume.ReadAsync(offsetBytes, lengthBytes, cancellationToken), VolumeOperation.Read, lengthBytes);

    public ValueTask<StoreIoResult> WriteAsync(long offsetBytes, IMemoryOwner<byte> data, int lengthBytes, bool forceUnitAccess, CancellationToken cancellationToken) =>
        RunAsync(volume.WriteAsync(offsetBytes, Buffer(data, lengthBytes), Flags(forceUnitAccess), cancellationToken), VolumeOperation.Write, lengthBytes);

    public ValueTask<StoreIoResult> FlushAsync(CancellationToken cancellationToken) => RunAsync(volume.FlushAsync(cancellationToken), VolumeOperation.Flush, 0);

    public ValueTask<StoreIoResult> WriteZeroesAsync(IReadOnlyList<MappedRange> ranges, bool forceUnitAccess, CancellationToken cancellationToken)
    {
        var bytes = new ByteRange[ranges.Count];
        for (var i = 0; i < bytes.Length; i++) bytes[i] = new ByteRange(ranges[i].OffsetBytes, ranges[i].LengthBytes);
        return RunAsync(volume.WriteZeroesAsync(bytes, Flags(forceUnitAccess), cancellationToken), VolumeOperation.WriteZeroes, bytes.Sum(range => range.LengthBytes));
    }

    public ValueTask<StoreIoResult> CompareAndWriteAsync(long offsetBytes, IMemoryOwner<byte> data, int lengthBytes, bool forceUnitAccess, CancellationToken cancellationToken) =>
        RunAsync(
            volume.CompareAndWriteAsync(offsetBytes, Buffer(data, lengthBytes), Flags(forceUnitAccess), cancellationToken), VolumeOperation.CompareAndWrite, lengthBytes / 2);

    public async ValueTask<IReadOnlyList<MappedRange>> GetMappedRangesAsync(long offsetBytes, int maxRanges, CancellationToken cancellationToken) =>
        [.. (await volume.GetProvisioningStatusAsync(offsetBytes, maxRanges, cancellationToken)).Select(range => new MappedRange(range.OffsetBytes, range.LengthBytes, range.Mapped))];

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<StoreIoResult> RunAsync(ValueTask<IoReply> command, VolumeOperation operation, long lengthBytes)
    {
        var started = Stopwatch.GetTimestamp();
        var reply = await command;
        measures.OnCommand(operation, reply.Status, lengthBytes, Stopwatch.GetElapsedTime(started));
        return new StoreIoResult(StatusOf(reply.Status), reply.Data, reply.MiscompareOffset);
    }

    private static LogicalUnitFacts FactsOf(VolumeAttachment attachment) => new()
    {
        SizeBytes = attachment.SizeBytes,
        BlockLength = attachment.BlockLength,
        WriteCache = attachment.WriteCache,
        Uid = attachment.Uid,
        DataLossCount = attachment.DataLossCount,
        IsWriteProtected = attachment.IsReadOnly,
    };

    private static IoBuffer Buffer(IMemoryOwner<byte> data, int lengthBytes)
    {
        var buffer = (IoBuffer)data;
        if (buffer.Length != lengthBytes) buffer.SetLength(lengthBytes);
        return buffer;
    }

    private static IoFlags Flags(bool forceUnitAccess) => forceUnitAccess ? IoFlags.ForceUnitAccess : IoFlags.None;

    private static StoreIoStatus StatusOf(IoStatus status) => status switch
    {
        IoStatus.Ok => StoreIoStatus.Ok,
        IoStatus.OutOfRange => StoreIoStatus.OutOfRange,
        IoStatus.NoSpace => StoreIoStatus.NoSpace,
        IoStatus.MediumError => StoreIoStatus.MediumError,
        IoStatus.Miscompare => StoreIoStatus.Miscompare,
        IoStatus.Gone => StoreIoStatus.Gone,
        IoStatus.WriteProtected => StoreIoStatus.WriteProtected,
        // Fenced stays inside the connection; whatever else comes, nothing is known of the outcome.
        _ => StoreIoStatus.TimedOut,
    };

    /// <summary>An attachment and what was made of it, replaced together.</summary>
    private sealed record KnownFacts(VolumeAttachment Attachment, LogicalUnitFacts Facts);
}
