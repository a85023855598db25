using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Iscsi.Scsi.Sense;

namespace OpenEbs.Iscsi.Scsi.Blocks;

/// <summary>Turns the store's failures into sense data.</summary>
internal static class StoreFailures
{
    /// <summary>Sense data of a store I/O that did not end Ok.</summary>
    public static SenseData ToSense(in StoreIoResult result, bool isWrite) => result.Status switch
    {
        StoreIoStatus.OutOfRange => SenseData.IllegalRequest(AdditionalSense.LogicalBlockAddressOutOfRange),

        // SBC-3 §4.7.3.6: the thin volume could not grow; nothing of the write was done.
        StoreIoStatus.NoSpace => new SenseData(SenseKey.DataProtect, AdditionalSense.SpaceAllocationFailedWriteProtect),

        // The outcome of a write is unknown: the initiator decides whether to send it again.
        StoreIoStatus.TimedOut => SenseData.Aborted(AdditionalSense.CommandTimeoutDuringProcessing),
        StoreIoStatus.WriteProtected => new SenseData(SenseKey.DataProtect, AdditionalSense.LogicalUnitSoftwareWriteProtected),
        StoreIoStatus.MediumError => new SenseData(SenseKey.MediumError, isWrite ? AdditionalSense.WriteError : AdditionalSense.UnrecoveredReadError),

        // SBC-3 §5.2: INFORMATION holds the offset of the first byte that differs.
        StoreIoStatus.Miscompare => Miscompare(result.MiscompareOffset),
        StoreIoStatus.Gone => SenseData.IllegalRequest(AdditionalSense.LogicalUnitNotSupported),
        _ => new SenseData(SenseKey.HardwareError, AdditionalSense.InternalTargetFailure),
    };

    public static SenseData Miscompare(long offsetBytes) =>
        new(SenseKey.Miscompare, AdditionalSense.MiscompareDuringVerify) { Information = (ulong)offsetBytes };
}
