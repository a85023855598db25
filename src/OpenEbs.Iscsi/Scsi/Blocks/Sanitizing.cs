using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Iscsi.Scsi.Sense;

namespace OpenEbs.Iscsi.Scsi.Blocks;

/// <summary>SANITIZE (SBC-3 §5.23): BLOCK ERASE and EXIT FAILURE MODE.</summary>
/// <remarks>BLOCK ERASE deallocates every block on every replica and flushes: through no path is anything read of it again but zeros. The pools' files give the space back in their own time, and
/// what is beneath them is not overwritten; OVERWRITE and CRYPTOGRAPHIC ERASE, which would promise more, are refused.</remarks>
internal static class Sanitizing
{
    private const byte BlockErase = 2;

    /// <summary>Zeroed in one step: long enough to be few, short enough to let other commands pass between.</summary>
    private const long StepBytes = 64L << 30;

    /// <summary>§5.23.2.1: these service actions have no parameter list.</summary>
    public static SenseData? Check(ScsiCommand command) => command.Cdb16(7) == 0 ? null : SenseData.InvalidCdbField(7);

    /// <summary>IMMED only allows the status to come early; it comes when all is done. There is no failure mode to be left: what fails has failed with its command.</summary>
    public static async ValueTask ExecuteAsync(ScsiCommand command, ILogicalUnitStore store)
    {
        if ((command.Cdb[1] & 0x1f) != BlockErase)
        {
            command.Finish();
            return;
        }

        var size = store.Facts.SizeBytes;
        StoreIoResult result;
        for (long done = 0; done < size; done += StepBytes)
        {
            command.Aborted.ThrowIfCancellationRequested();
            do result = await store.WriteZeroesAsync([new MappedRange(done, Math.Min(StepBytes, size - done), false)], forceUnitAccess: false, command.StateVersion, command.Aborted);
            while (command.IsToRepeat(result));
            if (result.Status == StoreIoStatus.Ok) continue;
            command.Fail(result, isWrite: true);
            return;
        }

        do result = await store.FlushAsync(command.StateVersion, command.Aborted);
        while (command.IsToRepeat(result));
        if (result.Status == StoreIoStatus.Ok) command.Finish();
        else command.Fail(result, isWrite: true);
    }
}
