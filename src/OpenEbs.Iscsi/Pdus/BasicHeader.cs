using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace OpenEbs.Iscsi.Pdus;

/// <summary>A basic header segment, RFC 7143 §11.2.1: 48 bytes, big endian.</summary>
/// <remarks><code>
///  byte    0       1       2       3
///   0  |.|I| opcode|F| opcode specific      |
///   4  |AHS words  | DataSegmentLength      |
///   8  | LUN or opcode-specific fields      |
///  16  | Initiator Task Tag                 |
///  20  | opcode-specific fields (28 bytes)  |
/// </code></remarks>
[InlineArray(Length)]
internal struct BasicHeader
{
    public const int Length = 48;

    /// <summary>The value that stands for "no tag".</summary>
    public const uint ReservedTag = 0xffffffff;

    private byte _first;

    [UnscopedRef]
    public Span<byte> Bytes => this;

    public Opcode Opcode { readonly get => (Opcode)(this[0] & 0x3f); set => this[0] = (byte)value; }

    /// <summary>The I bit: the request takes no place in the command window.</summary>
    public readonly bool IsImmediate => (this[0] & 0x40) != 0;

    /// <summary>The F bit (T in a login).</summary>
    public readonly bool IsFinal => (this[1] & 0x80) != 0;

    public byte Flags { readonly get => this[1]; set => this[1] = value; }

    /// <summary>Length of the additional header segments in bytes; on the wire it counts 4-byte words.</summary>
    public readonly int AhsLengthBytes => this[4] * 4;

    /// <summary>Length of the data segment in bytes, without padding.</summary>
    public int DataSegmentLengthBytes
    {
        readonly get => (this[5] << 16) | (this[6] << 8) | this[7];
        set
        {
            this[5] = (byte)(value >> 16);
            this[6] = (byte)(value >> 8);
            this[7] = (byte)value;
        }
    }

    public ulong Lun { readonly get => Get64(8); set => Set64(8, value); }

    public uint InitiatorTaskTag { readonly get => Get32(16); set => Set32(16, value); }

    /// <summary>Also the expected data transfer length of a SCSI command and the referenced task tag of a task management request.</summary>
    public uint TargetTransferTag { readonly get => Get32(20); set => Set32(20, value); }

    public readonly uint CmdSN => Get32(24);

    public readonly uint ExpStatSN => Get32(28);

    public uint StatSN { readonly get => Get32(24); set => Set32(24, value); }

    public uint ExpCmdSN { readonly get => Get32(28); set => Set32(28, value); }

    public uint MaxCmdSN { readonly get => Get32(32); set => Set32(32, value); }

    /// <summary>DataSN, R2TSN or ExpDataSN.</summary>
    public uint DataSN { readonly get => Get32(36); set => Set32(36, value); }

    public uint BufferOffset { readonly get => Get32(40); set => Set32(40, value); }

    /// <summary>Residual count, or the desired data transfer length of an R2T.</summary>
    public uint ResidualCount { readonly get => Get32(44); set => Set32(44, value); }

    public readonly ushort Get16(int offset) => BinaryPrimitives.ReadUInt16BigEndian(((ReadOnlySpan<byte>)this)[offset..]);

    public readonly uint Get32(int offset) => BinaryPrimitives.ReadUInt32BigEndian(((ReadOnlySpan<byte>)this)[offset..]);

    public readonly ulong Get64(int offset) => BinaryPrimitives.ReadUInt64BigEndian(((ReadOnlySpan<byte>)this)[offset..]);

    public void Set16(int offset, ushort value) => BinaryPrimitives.WriteUInt16BigEndian(((Span<byte>)this)[offset..], value);

    public void Set32(int offset, uint value) => BinaryPrimitives.WriteUInt32BigEndian(((Span<byte>)this)[offset..], value);

    public void Set64(int offset, ulong value) => BinaryPrimitives.WriteUInt64BigEndian(((Span<byte>)this)[offset..], value);

    public void Clear() => ((Span<byte>)this).Clear();
}
