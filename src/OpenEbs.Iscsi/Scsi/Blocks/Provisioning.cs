using System.Buffers.Binary;
using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Iscsi.Portals;
using OpenEbs.Iscsi.Scsi.Sense;
using OpenEbs.Iscsi.Scsi.Shared;

namespace OpenEbs.Iscsi.Scsi.Blocks;

/// <summary>UNMAP, WRITE SAME and GET LBA STATUS (SBC-3 §5.28, §5.42, §5.6).</summary>
internal static class Provisioning
{
    private const int UnmapHeaderBytes = 8;
    private const int DescriptorBytes = 16;

    /// <summary>UNMAP: the whole parameter list is checked before anything is unmapped.</summary>
    public static async ValueTask UnmapAsync(ScsiCommand command, ILogicalUnitStore store, LogicalUnitFacts facts)
    {
        // SBC-3 §5.28.2: "a PARAMETER LIST LENGTH of zero specifies that no data shall be transferred": not an error.
        var ranges = new List<MappedRange>();
        if (command.DataOutLengthBytes > 0 && ParseUnmapList(command.DataOutSpan, facts, ranges) is { } sense)
        {
            command.Fail(sense);
            return;
        }

        if (ranges.Count > 0)
        {
            StoreIoResult result;
            do result = await store.WriteZeroesAsync(ranges, forceUnitAccess: false, command.StateVersion, command.Aborted);
            while (command.IsToRepeat(result));
            if (result.Status != StoreIoStatus.Ok)
            {
                command.Fail(result, isWrite: true);
                return;
            }
        }

        command.Finish();
    }

    /// <summary>WRITE SAME: zeros become a map operation, any other block is written again and again in bounded pieces.</summary>
    public static async ValueTask WriteSameAsync(ScsiCommand command, ILogicalUnitStore store)
    {
        var offset = (long)command.Lba * command.BlockLength;
        var length = (long)command.BlockCount * command.BlockLength;

        // SBC-3 §5.42.2: with UNMAP a block that would not read back as the data sent is written instead of unmapped; since unmapped blocks
        // read as zeros (LBPRZ) the two cases are one.
        var isZero = command.DataOutLengthBytes == 0 || command.DataOutSpan.IndexOfAnyExcept((byte)0) < 0;
        if (isZero)
        {
            StoreIoResult zeroed;
            do zeroed = await store.WriteZeroesAsync([new MappedRange(offset, length, false)], forceUnitAccess: false, command.StateVersion, command.Aborted);
            while (command.IsToRepeat(zeroed));
            if (zeroed.Status == StoreIoStatus.Ok) command.Finish();
            else command.Fail(zeroed, isWrite: true);
            return;
        }

        var pieceBytes = (int)Math.Min(length, IscsiLimits.MaxStoreIoBytes);
        using var pattern = command.Pool.Rent(pieceBytes);
        for (var at = 0; at < pieceBytes; at += command.BlockLength) command.DataOutSpan[..command.BlockLength].CopyTo(pattern.Memory.Span[at..]);
        for (long done = 0; done < length;)
        {
            var count = (int)Math.Min(length - done, pieceBytes);
            command.Aborted.ThrowIfCancellationRequested();
            StoreIoResult result;
            do result = await store.WriteAsync(offset + done, pattern, count, forceUnitAccess: false, command.StateVersion, command.Aborted);
            while (command.IsToRepeat(result));
            if (result.Status != StoreIoStatus.Ok)
            {
                command.Fail(result, isWrite: true);
                return;
            }

            done += count;
        }

        command.Finish();
    }

    /// <summary>GET LBA STATUS: as many descriptors as fit, the first beginning at the LBA asked for.</summary>
    public static async ValueTask GetLbaStatusAsync(ScsiCommand command, ILogicalUnitStore store, LogicalUnitFacts facts)
    {
        if (!await UnitAccess.ConfirmAsync(command, command.Nexus!, IscsiLimits.ChangePatience)) return;
        var allocation = (long)command.Cdb32(10);
        var room = (int)Math.Clamp((allocation - UnmapHeaderBytes) / DescriptorBytes, 1, IscsiLimits.MaxLbaStatusDescriptors);
        var start = (long)command.Lba * facts.BlockLength;
        var ranges = await store.GetMappedRangesAsync(start, room, command.Aborted);
        WriteLbaStatus(command, facts, ranges, start, room, allocation);
        command.Finish();
    }

    private static void WriteLbaStatus(
        ScsiCommand command, LogicalUnitFacts facts, IReadOnlyList<MappedRange> ranges, long start, int room, long allocation)
    {
        Span<byte> descriptors = stackalloc byte[IscsiLimits.MaxLbaStatusDescriptors * DescriptorBytes];
        descriptors.Clear();
        var count = 0;
        var at = start;
        foreach (var range in ranges)
        {
            var end = Math.Min(range.OffsetBytes + range.LengthBytes, facts.SizeBytes);
            if (end <= at || range.OffsetBytes > at) continue;

            // NUMBER OF LOGICAL BLOCKS has 32 bits; a longer run takes several descriptors.
            while (at < end && count < room)
            {
                var blocks = Math.Min((end - at) / facts.BlockLength, uint.MaxValue);
                if (blocks == 0) break;
                var descriptor = descriptors[(count++ * DescriptorBytes)..];
                BinaryPrimitives.WriteUInt64BigEndian(descriptor, (ulong)(at / facts.BlockLength));
                BinaryPrimitives.WriteUInt32BigEndian(descriptor[8..], (uint)blocks);
                descriptor[12] = (byte)(range.Mapped ? 0 : 1);
                at += blocks * facts.BlockLength;
            }
        }

        var length = count * DescriptorBytes;
        var data = command.ReturnParameters(UnmapHeaderBytes + length, allocation);
        BinaryPrimitives.WriteUInt32BigEndian(data, (uint)(length + 4));
        descriptors[..length].CopyTo(data[UnmapHeaderBytes..]);
    }

    private static SenseData? ParseUnmapList(ReadOnlySpan<byte> list, LogicalUnitFacts facts, List<MappedRange> ranges)
    {
        if (list.Length < UnmapHeaderBytes) return SenseData.IllegalRequest(AdditionalSense.ParameterListLengthError);
        int descriptorBytes = BinaryPrimitives.ReadUInt16BigEndian(list[2..]);
        if (descriptorBytes > list.Length - UnmapHeaderBytes) return SenseData.IllegalRequest(AdditionalSense.ParameterListLengthError);

        // "If the UNMAP BLOCK DESCRIPTOR DATA LENGTH is not a multiple of 16, then the last unmap block descriptor is incomplete and shall be ignored."
        var count = descriptorBytes / DescriptorBytes;
        if (count > IscsiLimits.MaxUnmapDescriptors) return SenseData.InvalidParameter(2);
        var blocks = (ulong)(facts.SizeBytes / facts.BlockLength);
        ulong total = 0;
        for (var i = 0; i < count; i++)
        {
            var at = UnmapHeaderBytes + (i * DescriptorBytes);
            var lba = BinaryPrimitives.ReadUInt64BigEndian(list[at..]);
            var length = BinaryPrimitives.ReadUInt32BigEndian(list[(at + 8)..]);
            if (lba > blocks || length > blocks - lba)
            {
                return SenseData.IllegalRequest(AdditionalSense.LogicalBlockAddressOutOfRange) with { Information = lba };
            }

            total += length;
            if (total > IscsiLimits.MaxUnmapBlocks) return SenseData.InvalidParameter(at + 8);
            if (length > 0) ranges.Add(new MappedRange((long)lba * facts.BlockLength, (long)length * facts.BlockLength, false));
        }

        return null;
    }
}
