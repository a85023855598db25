using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Iscsi.Portals;

namespace OpenEbs.Iscsi.Scsi.Blocks;

/// <summary>ORWRITE(16) (SBC-3 §5.7): what is there, OR what is sent.</summary>
internal static class OrWrite
{
    /// <summary>One compare and write has both halves in one store I/O.</summary>
    private const int StepBytes = IscsiLimits.MaxStoreIoBytes / 2;

    /// <summary>The store has no OR, but it compares and writes in one step: done again when somebody else wrote between reading and writing.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public static async ValueTask ExecuteAsync(ScsiCommand command, ILogicalUnitStore store)
    {
        for (var done = 0; done < command.PieceLengthBytes;)
        {
            var length = Math.Min(command.PieceLengthBytes - done, StepBytes);
            var status = await StepAsync(command, store, done, length);
            if (status == StoreIoStatus.Miscompare) continue;
            if (status != StoreIoStatus.Ok) return;
            done += length;
        }

        command.Finish();
    }

    /// <summary>Ok, Miscompare when it is to be done again; with any other status the command has ended.</summary>
    private static async ValueTask<StoreIoStatus> StepAsync(ScsiCommand command, ILogicalUnitStore store, int offset, int length)
    {
        command.Aborted.ThrowIfCancellationRequested();
        var at = ((long)command.Lba * command.BlockLength) + command.PieceOffset + offset;
        StoreIoResult result;
        do result = await store.ReadAsync(at, length, command.StateVersion, command.Aborted);
        while (command.IsToRepeat(result));
        if (result.Status != StoreIoStatus.Ok)
        {
            command.Fail(result, isWrite: false);
            return result.Status;
        }

        using var both = command.Pool.Rent(2 * length);
        using (result.Data)
        {
            var before = result.Data!.Memory.Span[..length];
            before.CopyTo(both.Memory.Span);
            Or(before, command.DataOutSpan.Slice(offset, length), both.Memory.Span.Slice(length, length));
        }

        do result = await store.CompareAndWriteAsync(at, both, 2 * length, command.ForceUnitAccess, command.StateVersion, command.Aborted);
        while (command.IsToRepeat(result));
        if (result.Status is not (StoreIoStatus.Ok or StoreIoStatus.Miscompare)) command.Fail(result, isWrite: true);
        return result.Status;
    }

    /// <summary>Whole blocks, so whole words.</summary>
    private static void Or(ReadOnlySpan<byte> left, ReadOnlySpan<byte> right, Span<byte> result)
    {
        var a = MemoryMarshal.Cast<byte, ulong>(left);
        var b = MemoryMarshal.Cast<byte, ulong>(right);
        var c = MemoryMarshal.Cast<byte, ulong>(result);
        for (var i = 0; i < c.Length; i++) c[i] = a[i] | b[i];
    }
}
