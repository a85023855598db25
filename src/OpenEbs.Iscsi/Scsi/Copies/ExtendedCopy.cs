using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Iscsi.Portals;
using OpenEbs.Iscsi.Scsi.Reservations;
using OpenEbs.Iscsi.Scsi.Sense;
using OpenEbs.Iscsi.Scsi.Shared;

namespace OpenEbs.Iscsi.Scsi.Copies;

/// <summary>EXTENDED COPY(LID1) (SPC-4 §6.4): copies blocks within the unit, or between it and other volumes. Done when its status is sent.</summary>
internal static class ExtendedCopy
{
    private static readonly SenseData Unreachable = new(SenseKey.CopyAborted, AdditionalSense.CopyTargetDeviceNotReachable);
    private static readonly SenseData NoSuchTarget = new(SenseKey.CopyAborted, AdditionalSense.UnreachableCopyTarget);

    public static async ValueTask ExecuteAsync(ScsiCommand command, Nexus nexus)
    {
        // §6.4.1: "A parameter list length of zero specifies that the copy manager shall not transfer any data": not an error.
        if (command.DataOutLengthBytes == 0)
        {
            command.Finish();
            return;
        }

        var blockLength = nexus.Store.Facts.BlockLength;
        if (CopyList.Parse(command.DataOutSpan, blockLength, out var list) is { } wrong)
        {
            command.Fail(wrong);
            return;
        }

        var ends = new CopyEnd?[list.Targets.Count];
        var segments = 0;
        long bytes = 0;
        SenseData? failure = null;
        foreach (var segment in list.Segments)
        {
            failure = await PrepareAsync(command, nexus, list, ends, segment, blockLength)
                ?? await CopyAsync(command, ends[segment.Source]!, ends[segment.Destination]!, segment, blockLength);
            if (failure is not null) break;
            segments++;
            bytes += segment.BlockCount * blockLength;
        }

        if (list.HoldsResult) nexus.Copies.Hold(list.ListId, new CopyResult(failure is null, segments, bytes));
        if (failure is { } sense) command.Fail(sense);
        else command.Finish();
    }

    /// <summary>Finds both ends of a segment; what keeps it from being copied otherwise.</summary>
    private static async ValueTask<SenseData?> PrepareAsync(ScsiCommand command, Nexus nexus, CopyList list, CopyEnd?[] ends, CopySegment segment, int blockLength)
    {
        if (segment.Source >= ends.Length || segment.Destination >= ends.Length) return NoSuchTarget;
        foreach (var index in new[] { segment.Source, segment.Destination })
        {
            if ((ends[index] ??= await CopyEnd.FindAsync(command, nexus, list.Targets[index])) is null) return Unreachable;
        }

        var source = ends[segment.Source]!;
        var destination = ends[segment.Destination]!;

        // Blocks of another length would be other blocks.
        if (source.Store.Facts.BlockLength != blockLength || destination.Store.Facts.BlockLength != blockLength) return Unreachable;
        return source.Has(segment.SourceLba, segment.BlockCount) && destination.Has(segment.DestinationLba, segment.BlockCount)
            ? null
            : new SenseData(SenseKey.CopyAborted, AdditionalSense.None);
    }

    private static async ValueTask<SenseData?> CopyAsync(ScsiCommand command, CopyEnd source, CopyEnd destination, CopySegment segment, int blockLength)
    {
        var length = segment.BlockCount * blockLength;
        for (long done = 0; done < length;)
        {
            var count = (int)Math.Min(length - done, IscsiLimits.MaxStoreIoBytes);
            command.Aborted.ThrowIfCancellationRequested();
            StoreIoResult result;
            do result = await source.Store.ReadAsync(((long)segment.SourceLba * blockLength) + done, count, source.Version, command.Aborted);
            while (result.Status == StoreIoStatus.Outdated && source.MayGoOn(ReservationRule.Reads));
            if (result.Status != StoreIoStatus.Ok) return FailureOf(result);
            using var data = result.Data!;
            do result = await destination.Store.WriteAsync(((long)segment.DestinationLba * blockLength) + done, data, count, false, destination.Version, command.Aborted);
            while (result.Status == StoreIoStatus.Outdated && destination.MayGoOn(ReservationRule.Writes));
            if (result.Status != StoreIoStatus.Ok) return FailureOf(result);
            done += count;
        }

        return null;
    }

    /// <summary>A full pool must be told as such, or nobody could do anything about it; anything else is the third party's failure.</summary>
    private static SenseData FailureOf(in StoreIoResult result) => result.Status switch
    {
        StoreIoStatus.NoSpace => new SenseData(SenseKey.DataProtect, AdditionalSense.SpaceAllocationFailedWriteProtect),
        StoreIoStatus.Gone => Unreachable,
        _ => new SenseData(SenseKey.CopyAborted, AdditionalSense.ThirdPartyDeviceFailure),
    };

    /// <summary>One end of a copy. Its own unit is used as the nexus that sent the command; another as one that has registered nothing there.</summary>
    private sealed class CopyEnd(ILogicalUnitStore store, NexusId nexus)
    {
        public ILogicalUnitStore Store => store;

        /// <summary>Version of the shared state against which the reservations of the unit were checked.</summary>
        public long Version { get; private set; } = store.Shared.Version;

        public static async ValueTask<CopyEnd?> FindAsync(ScsiCommand command, Nexus nexus, byte[] designator)
        {
            if (designator.AsSpan().SequenceEqual(UnitDesignator.NaaOf(nexus.Store.Facts.Uid))) return new CopyEnd(nexus.Store, nexus.Id) { Version = command.StateVersion };

            // A volume that the initiator could not log in to is not there for its copies either: what it may not read it may not have copied.
            if (nexus.Identity is not { } initiator || await nexus.Unit.Directory.FindUnitAsync(designator, initiator, command.Aborted) is not { } other) return null;
            await other.RefreshAsync(IscsiLimits.ChangePatience, command.Aborted);
            var end = new CopyEnd(other, default);
            return end.MayGoOn(ReservationRule.Writes) ? end : null;
        }

        public bool Has(ulong lba, long blockCount)
        {
            var blocks = (ulong)(store.Facts.SizeBytes / store.Facts.BlockLength);
            return lba <= blocks && (ulong)blockCount <= blocks - lba;
        }

        /// <summary>Checks again what may have changed; false when the unit is reserved or write protected.</summary>
        public bool MayGoOn(ReservationRule rule)
        {
            var state = UnitState.Decode(store.Shared);
            Version = state.Version;
            return !ReservationRules.Conflicts(state.Reservations, nexus, rule) && !(state.WriteProtected && rule == ReservationRule.Writes);
        }
    }
}
