using System.Buffers;
using System.Diagnostics;
using System.Net;
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
    private KnownState? _shared;

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

    public SharedState Shared
    {
        get
        {
            var state = volume.Unit.State;
            var shared = _shared;
            if (shared is null || !ReferenceEquals(shared.Origin, state)) _shared = shared = new KnownState(state, new SharedState(state.Version, state.Lasting, state.Passing));
            return shared.State;
        }
    }

    public async ValueTask<StoreIoStatus> RefreshAsync(TimeSpan patience, CancellationToken cancellationToken) =>
        await volume.Unit.RefreshAsync(patience, cancellationToken) ? StoreIoStatus.Ok : StoreIoStatus.TimedOut;

    public async ValueTask<StoreIoStatus> ChangeSharedAsync(SharedStateChange change, CancellationToken cancellationToken) =>
        StatusOf(await volume.Unit.ChangeAsync(change.FromVersion, change.Lasting, change.Passing, change.Drains, cancellationToken));

    public ValueTask<StoreIoResult> ReadAsync(long offsetBytes, int lengthBytes, long version, CancellationToken cancellationToken) =>
        RunAsync(volume.ReadAsync(offsetBytes, lengthBytes, version, cancellationToken), VolumeOperation.Read, lengthBytes);

    public ValueTask<StoreIoResult> WriteAsync(long offsetBytes, IMemoryOwner<byte> data, int lengthBytes, bool forceUnitAccess, long version, CancellationToken cancellationToken) =>
        RunAsync(volume.WriteAsync(offsetBytes, Buffer(data, lengthBytes), Flags(forceUnitAccess), version, cancellationToken), VolumeOperation.Write, lengthBytes);

    public ValueTask<StoreIoResult> FlushAsync(long version, CancellationToken cancellationToken) => RunAsync(volume.FlushAsync(version, cancellationToken), VolumeOperation.Flush, 0);

    public ValueTask<StoreIoResult> WriteZeroesAsync(IReadOnlyList<MappedRange> ranges, bool forceUnitAccess, long version, CancellationToken cancellationToken)
    {
        var bytes = new ByteRange[ranges.Count];
        for (var i = 0; i < bytes.Length; i++) bytes[i] = new ByteRange(ranges[i].OffsetBytes, ranges[i].LengthBytes);
        return RunAsync(volume.WriteZeroesAsync(bytes, Flags(forceUnitAccess), version, cancellationToken), VolumeOperation.WriteZeroes, bytes.Sum(range => range.LengthBytes));
    }

    public ValueTask<StoreIoResult> CompareAndWriteAsync(long offsetBytes, IMemoryOwner<byte> data, int lengthBytes, bool forceUnitAccess, long version, CancellationToken cancellationToken) =>
        RunAsync(
            volume.CompareAndWriteAsync(offsetBytes, Buffer(data, lengthBytes), Flags(forceUnitAccess), version, cancellationToken), VolumeOperation.CompareAndWrite, lengthBytes / 2);

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
        OptimizedPort = IPEndPoint.TryParse(attachment.Portal, out var portal) ? PortalGroup.TagOf(portal) : null,
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
        IoStatus.Outdated => StoreIoStatus.Outdated,
        // Fenced stays inside the connection; whatever else comes, nothing is known of the outcome.
        _ => StoreIoStatus.TimedOut,
    };

    private sealed record KnownState(UnitState Origin, SharedState State);

    /// <summary>An attachment and what was made of it, replaced together.</summary>
    private sealed record KnownFacts(VolumeAttachment Attachment, LogicalUnitFacts Facts);
}
