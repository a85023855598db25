using System.Buffers.Binary;
using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Iscsi.Scsi.Sense;

namespace OpenEbs.Iscsi.Scsi.Copies;

/// <summary>A segment of an EXTENDED COPY: blocks from one unit to another (SPC-4 §6.4.6.5 and .13). Targets are indexes of the list of target descriptors.</summary>
internal readonly record struct CopySegment(int Source, int Destination, long BlockCount, ulong SourceLba, ulong DestinationLba);

/// <summary>The parameter list of EXTENDED COPY(LID1) (SPC-4 §6.4.2).</summary>
internal sealed class CopyList
{
    public const int HeaderBytes = 16;
    public const int TargetBytes = 32;
    public const int MaxTargets = 16;
    public const int MaxSegments = 64;
    public const int MaxListBytes = (MaxTargets * TargetBytes) + (MaxSegments * 32);

    /// <summary>As long as a WRITE may be: one copy stays within seconds.</summary>
    public const long MaxSegmentBytes = 256L << 20;

    public const byte IdentificationTarget = 0xe4;
    public const byte BlockToBlock = 0x02;
    public const byte BlockToBlockWithOffset = 0x0a;

    public byte ListId { get; private init; }

    /// <summary>LIST ID USAGE 00b and 10b: the result is held for RECEIVE COPY RESULTS.</summary>
    public bool HoldsResult { get; private init; }

    /// <summary>NAA designators.</summary>
    public List<byte[]> Targets { get; } = [];

    public List<CopySegment> Segments { get; } = [];

    /// <summary>Reads a list; what is wrong with it otherwise.</summary>
    public static SenseData? Parse(ReadOnlySpan<byte> list, int blockLength, out CopyList copy)
    {
        copy = new CopyList();
        if (list.Length < HeaderBytes) return SenseData.IllegalRequest(AdditionalSense.ParameterListLengthError);
        int targetBytes = BinaryPrimitives.ReadUInt16BigEndian(list[2..]);
        var segmentBytes = BinaryPrimitives.ReadUInt32BigEndian(list[8..]);
        var inlineBytes = BinaryPrimitives.ReadUInt32BigEndian(list[12..]);
        var usage = (list[1] >> 3) & 3;
        copy = new CopyList { ListId = list[0], HoldsResult = usage is 0 };

        // LIST ID USAGE 01b is reserved; 11b goes with list identifier zero.
        if (usage == 1 || (usage == 3 && list[0] != 0)) return SenseData.InvalidParameter(1, 4);
        if (HeaderBytes + (long)targetBytes + segmentBytes + inlineBytes > list.Length || targetBytes + segmentBytes > MaxListBytes)
            return SenseData.IllegalRequest(AdditionalSense.ParameterListLengthError);
        if (inlineBytes != 0) return SenseData.IllegalRequest(AdditionalSense.InlineDataLengthExceeded);
        return copy.ParseTargets(list.Slice(HeaderBytes, targetBytes), blockLength) ?? copy.ParseSegments(list.Slice(HeaderBytes + targetBytes, (int)segmentBytes), HeaderBytes + targetBytes, blockLength);
    }

    private SenseData? ParseTargets(ReadOnlySpan<byte> list, int blockLength)
    {
        if (list.Length / TargetBytes > MaxTargets) return SenseData.IllegalRequest(AdditionalSense.TooManyTargetDescriptors);
        for (var at = 0; at < list.Length; at += TargetBytes)
        {
            if (list[at] != IdentificationTarget) return SenseData.IllegalRequest(AdditionalSense.UnsupportedTargetDescriptorType);
            if (list.Length - at < TargetBytes) return SenseData.IllegalRequest(AdditionalSense.ParameterListLengthError);
            var target = list.Slice(at, TargetBytes);

            // Direct access block devices only; of them the unit's own designators only, which are binary NAA (association 00b, type 3h).
            if ((target[1] & 0x1f) != 0) return SenseData.InvalidParameter(HeaderBytes + at + 1, 4);
            if ((target[4] & 0x0f) != 1 || (target[5] & 0x3f) != 3 || target[7] != UnitDesignator.LengthBytes) return SenseData.InvalidParameter(HeaderBytes + at + 5);
            var stated = (target[29] << 16) | (target[30] << 8) | target[31];
            if (stated != 0 && stated != blockLength) return SenseData.InvalidParameter(HeaderBytes + at + 29);
            Targets.Add(target.Slice(8, UnitDesignator.LengthBytes).ToArray());
        }

        return null;
    }

    private SenseData? ParseSegments(ReadOnlySpan<byte> list, int offset, int blockLength)
    {
        while (!list.IsEmpty)
        {
            if (list[0] is not (BlockToBlock or BlockToBlockWithOffset)) return SenseData.IllegalRequest(AdditionalSense.UnsupportedSegmentDescriptorType);
            if (Segments.Count == MaxSegments) return SenseData.IllegalRequest(AdditionalSense.TooManySegmentDescriptors);
            var expected = list[0] == BlockToBlock ? 28 : 32;
            if (list.Length < expected) return SenseData.IllegalRequest(AdditionalSense.ParameterListLengthError);
            if (BinaryPrimitives.ReadUInt16BigEndian(list[2..]) != expected - 4) return SenseData.InvalidParameter(offset + 2);
            long blocks = BinaryPrimitives.ReadUInt16BigEndian(list[10..]);
            if (list[0] == BlockToBlockWithOffset)
            {
                // Whole blocks only: pieces of blocks would have to be merged.
                var bytes = BinaryPrimitives.ReadUInt32BigEndian(list[8..]);
                if (bytes % blockLength != 0 || bytes > MaxSegmentBytes) return SenseData.InvalidParameter(offset + 8);
                if (BinaryPrimitives.ReadUInt32BigEndian(list[28..]) != 0) return SenseData.InvalidParameter(offset + 28);
                blocks = bytes / blockLength;
            }

            Segments.Add(new CopySegment(
                BinaryPrimitives.ReadUInt16BigEndian(list[4..]), BinaryPrimitives.ReadUInt16BigEndian(list[6..]), blocks,
                BinaryPrimitives.ReadUInt64BigEndian(list[12..]), BinaryPrimitives.ReadUInt64BigEndian(list[20..])));
            list = list[expected..];
            offset += expected;
        }

        return null;
    }
}
