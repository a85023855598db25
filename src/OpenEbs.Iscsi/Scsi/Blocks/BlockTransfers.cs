using System.Runtime.CompilerServices;
using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Iscsi.Portals;
using OpenEbs.Iscsi.Scsi.Sense;

namespace OpenEbs.Iscsi.Scsi.Blocks;

/// <summary>READ, WRITE, WRITE AND VERIFY, VERIFY and COMPARE AND WRITE (SBC-3 §5). A write's data-out comes in pieces of one store I/O.</summary>
internal static class BlockTransfers
{
    /// <summary>SBC-3 §5.8 READ. What the initiator has no room for is not read.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public static async ValueTask ReadAsync(ScsiCommand command, ILogicalUnitStore store)
    {
        var total = (long)command.BlockCount * command.BlockLength;
        var wanted = Math.Min(total, (command.DataInRoomBytes + command.BlockLength - 1) / command.BlockLength * command.BlockLength);
        command.DataInTotalBytes = total;
        for (long done = 0; done < wanted;)
        {
            var length = (int)Math.Min(wanted - done, IscsiLimits.MaxStoreIoBytes);
            StoreIoResult result;
            do result = await store.ReadAsync(((long)command.Lba * command.BlockLength) + done, length, command.StateVersion, command.Aborted);
            while (command.IsToRepeat(result));
            if (!Succeeded(command, result, length)) return;
            done += length;
            var usable = (int)Math.Min(length, command.DataInRoomBytes - (done - length));
            if (done >= wanted) command.ReturnData(result.Data, usable);
            else await command.Sink.PushDataInAsync(command, result.Data!, usable);
        }

        command.Finish();
    }

    /// <summary>SBC-3 §5.32 WRITE: one piece is one store I/O, so a write of up to one piece is atomic.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public static async ValueTask WriteAsync(ScsiCommand command, ILogicalUnitStore store)
    {
        var partial = command.PieceLengthBytes % command.BlockLength;
        var whole = command.PieceLengthBytes - partial;
        if (whole > 0)
        {
            var offset = ((long)command.Lba * command.BlockLength) + command.PieceOffset;
            StoreIoResult result;
            do result = await store.WriteAsync(offset, command.DataOut!, whole, command.ForceUnitAccess, command.StateVersion, command.Aborted);
            while (command.IsToRepeat(result));
            if (result.Status != StoreIoStatus.Ok)
            {
                command.Fail(result, isWrite: true);
                return;
            }
        }

        if (partial > 0) await WritePartialBlockAsync(command, store, command.PieceOffset + whole, partial);
        else command.Finish();
    }

    /// <summary>The initiator offered less than the CDB asks for and stopped within a block (residual overflow): the rest of that block stays.</summary>
    private static async ValueTask WritePartialBlockAsync(ScsiCommand command, ILogicalUnitStore store, long offsetBytes, int lengthBytes)
    {
        var at = ((long)command.Lba * command.BlockLength) + offsetBytes;
        StoreIoResult old, result;
        do old = await store.ReadAsync(at, command.BlockLength, command.StateVersion, command.Aborted);
        while (command.IsToRepeat(old));
        if (!Succeeded(command, old, command.BlockLength)) return;
        using var block = old.Data!;
        command.DataOutSpan[^lengthBytes..].CopyTo(block.Memory.Span);
        do result = await store.WriteAsync(at, block, command.BlockLength, command.ForceUnitAccess, command.StateVersion, command.Aborted);
        while (command.IsToRepeat(result));
        if (result.Status == StoreIoStatus.Ok) command.Finish();
        else command.Fail(result, isWrite: true);
    }

    /// <summary>SBC-3 §5.36 WRITE AND VERIFY: on stable media, then read back from there; BYTCHK compares.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public static async ValueTask WriteAndVerifyAsync(ScsiCommand command, ILogicalUnitStore store)
    {
        command.ForceUnitAccess = true;
        await WriteAsync(command, store);
        if (command.Status != ScsiStatus.Good) return;
        await CheckAsync(command, store, command.PieceOffset, command.PieceLengthBytes / command.BlockLength * command.BlockLength);
    }

    /// <summary>SBC-3 §5.25 VERIFY: BYTCHK 00b reads and checks the media, 01b compares all blocks, 11b compares each with the one block sent.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public static async ValueTask VerifyAsync(ScsiCommand command, ILogicalUnitStore store)
    {
        if (command.ByteCheck == 1) await CheckAsync(command, store, command.PieceOffset, command.PieceLengthBytes);
        else await CheckAsync(command, store, 0, (long)command.BlockCount * command.BlockLength);
    }

    /// <summary>SBC-3 §5.2 COMPARE AND WRITE: atomic in the store.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public static async ValueTask CompareAndWriteAsync(ScsiCommand command, ILogicalUnitStore store)
    {
        if (command.PieceLengthBytes > 0)
        {
            StoreIoResult result;
            do
            {
                result = await store.CompareAndWriteAsync((long)command.Lba * command.BlockLength, command.DataOut!, command.PieceLengthBytes,
                    command.ForceUnitAccess, command.StateVersion, command.Aborted);
            }
            while (command.IsToRepeat(result));
            if (result.Status != StoreIoStatus.Ok)
            {
                command.Fail(result, isWrite: true);
                return;
            }
        }

        command.Finish();
    }

    private static async ValueTask CheckAsync(ScsiCommand command, ILogicalUnitStore store, long offsetBytes, long lengthBytes)
    {
        for (long done = 0; done < lengthBytes;)
        {
            var length = (int)Math.Min(lengthBytes - done, IscsiLimits.MaxStoreIoBytes);
            StoreIoResult result;
            do result = await store.ReadAsync(((long)command.Lba * command.BlockLength) + offsetBytes + done, length, command.StateVersion, command.Aborted);
            while (command.IsToRepeat(result));
            using (result.Data)
            {
                if (!Succeeded(command, result, length, keepData: true)) return;
                var found = result.Data!.Memory.Span[..length];
                var difference = command.ByteCheck switch
                {
                    1 => Difference(found, command.DataOutSpan.Slice((int)done, length)),
                    3 => DifferenceFromPattern(found, command.DataOutSpan),
                    _ => -1,
                };
                if (difference >= 0)
                {
                    command.Fail(StoreFailures.Miscompare(offsetBytes + done + difference));
                    return;
                }
            }

            done += length;
        }

        command.Finish();
    }

    private static bool Succeeded(ScsiCommand command, in StoreIoResult result, int length, bool keepData = false)
    {
        if (result.Status == StoreIoStatus.Ok && result.Data is not null && result.Data.Memory.Length >= length) return true;

        // A store that says Ok and returns too little is broken; better an error than somebody else's bytes.
        if (result.Status == StoreIoStatus.Ok) command.Fail(new SenseData(SenseKey.HardwareError, AdditionalSense.InternalTargetFailure));
        else command.Fail(result, isWrite: false);
        if (!keepData) result.Data?.Dispose();
        return false;
    }

    private static int Difference(ReadOnlySpan<byte> found, ReadOnlySpan<byte> expected)
    {
        var same = found.CommonPrefixLength(expected);
        return same == found.Length ? -1 : same;
    }

    private static int DifferenceFromPattern(ReadOnlySpan<byte> found, ReadOnlySpan<byte> pattern)
    {
        for (var offset = 0; offset < found.Length; offset += pattern.Length)
        {
            var same = found.Slice(offset, pattern.Length).CommonPrefixLength(pattern);
            if (same < pattern.Length) return offset + same;
        }

        return -1;
    }
}
