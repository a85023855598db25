using System.Buffers.Binary;

namespace OpenEbs.Iscsi.Scsi.Sense;

/// <summary>What sense data says, before it is laid out in fixed or descriptor format (SPC-4 §4.5).</summary>
/// <param name="Key">Sense key.</param>
/// <param name="Code">Additional sense code and qualifier.</param>
internal readonly record struct SenseData(SenseKey Key, AdditionalSense Code)
{
    /// <summary>Length of the longest sense data that we build.</summary>
    public const int MaxBytes = 64;

    /// <summary>Contents of the INFORMATION field; null leaves it not valid.</summary>
    public ulong? Information { get; init; }

    /// <summary>Byte of the CDB or parameter list that is wrong; negative for none.</summary>
    public int FieldOffset { get; init; } = -1;

    /// <summary>Leftmost bit of the wrong field; negative for the whole byte.</summary>
    public int FieldBit { get; init; } = -1;

    /// <summary>True when <see cref="FieldOffset"/> points into the CDB, false for the parameter list.</summary>
    public bool FieldInCdb { get; init; }

    /// <summary>Belongs to a command that has already ended (SPC-4 §4.5.5 deferred errors).</summary>
    public bool IsDeferred { get; init; }

    public static SenseData InvalidCdbField(int offset, int bit = -1) =>
        new(SenseKey.IllegalRequest, AdditionalSense.InvalidFieldInCdb) { FieldOffset = offset, FieldBit = bit, FieldInCdb = true };

    public static SenseData InvalidParameter(int offset, int bit = -1) =>
        new(SenseKey.IllegalRequest, AdditionalSense.InvalidFieldInParameterList) { FieldOffset = offset, FieldBit = bit };

    public static SenseData IllegalRequest(AdditionalSense code) => new(SenseKey.IllegalRequest, code);

    public static SenseData Aborted(AdditionalSense code) => new(SenseKey.AbortedCommand, code);

    /// <summary>Lays the sense data out; returns its length.</summary>
    public int Write(Span<byte> destination, bool descriptorFormat) => descriptorFormat ? WriteDescriptors(destination) : WriteFixed(destination);

    /// <summary>SPC-4 §4.5.3: 18 bytes.</summary>
    private int WriteFixed(Span<byte> destination)
    {
        destination = destination[..18];
        destination.Clear();
        destination[0] = (byte)(IsDeferred ? 0x71 : 0x70);
        destination[2] = (byte)Key;
        if (Information is <= uint.MaxValue)
        {
            destination[0] |= 0x80;
            BinaryPrimitives.WriteUInt32BigEndian(destination[3..], (uint)Information.Value);
        }

        destination[7] = 10;
        BinaryPrimitives.WriteUInt16BigEndian(destination[12..], (ushort)Code);
        WriteFieldPointer(destination[15..]);
        return destination.Length;
    }

    /// <summary>SPC-4 §4.5.2: header and descriptors for information and sense-key-specific data.</summary>
    private int WriteDescriptors(Span<byte> destination)
    {
        destination[..MaxBytes].Clear();
        destination[0] = (byte)(IsDeferred ? 0x73 : 0x72);
        destination[1] = (byte)Key;
        BinaryPrimitives.WriteUInt16BigEndian(destination[2..], (ushort)Code);
        var length = 8;
        if (Information is { } information)
        {
            var descriptor = destination[length..];
            descriptor[1] = 0x0a;
            descriptor[2] = 0x80;
            BinaryPrimitives.WriteUInt64BigEndian(descriptor[4..], information);
            length += 12;
        }

        if (FieldOffset >= 0)
        {
            var descriptor = destination[length..];
            descriptor[0] = 0x02;
            descriptor[1] = 0x06;
            WriteFieldPointer(descriptor[4..]);
            length += 8;
        }

        destination[7] = (byte)(length - 8);
        return length;
    }

    /// <summary>SPC-4 §4.5.2.4.2: SKSV, C/D, BPV, bit pointer, field pointer.</summary>
    private void WriteFieldPointer(Span<byte> destination)
    {
        if (FieldOffset < 0) return;
        destination[0] = (byte)(0x80 | (FieldInCdb ? 0x40 : 0) | (FieldBit >= 0 ? 0x08 | FieldBit : 0));
        BinaryPrimitives.WriteUInt16BigEndian(destination[1..], (ushort)FieldOffset);
    }
}
