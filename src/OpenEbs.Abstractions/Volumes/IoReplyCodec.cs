using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using OpenEbs.Buffers;
using Orleans.Serialization.Buffers;
using Orleans.Serialization.Cloning;
using Orleans.Serialization.Codecs;
using Orleans.Serialization.Serializers;
using Orleans.Serialization.WireProtocol;

namespace OpenEbs.Volumes;

/// <summary>Wire form of an <see cref="IoReply"/>: a <see cref="WireFrame"/> whose header is u8 status, 3 reserved, i32 miscompare offset, i64 facts version, i32 detail length,
/// i32 data length (-1: none), and whose body is the detail (UTF-8) and the data.</summary>
[RegisterSerializer]
public sealed class IoReplyCodec : IFieldCodec<IoReply>
{
    private const int HeaderBytes = 24;
    private const int MaxDetailBytes = 4096;

    public void WriteField<TBufferWriter>(ref Writer<TBufferWriter> writer, uint fieldIdDelta, Type? expectedType, IoReply? value)
        where TBufferWriter : IBufferWriter<byte>
    {
        if (value is null)
        {
            ReferenceCodec.WriteNullReference(ref writer, fieldIdDelta);
            return;
        }

        ReferenceCodec.MarkValueField(writer.Session);
        writer.WriteFieldHeader(fieldIdDelta, expectedType, typeof(IoReply), WireType.LengthPrefixed);
        var detail = value.Detail.Length == 0 ? [] : Encoding.UTF8.GetBytes(value.Detail);
        if (detail.Length > MaxDetailBytes) detail = detail[..MaxDetailBytes];
        Span<byte> header = stackalloc byte[2 + HeaderBytes];
        header.Clear();
        BinaryPrimitives.WriteUInt16LittleEndian(header, HeaderBytes);
        header[2] = (byte)value.Status;
        BinaryPrimitives.WriteInt32LittleEndian(header[6..], value.MiscompareOffset);
        BinaryPrimitives.WriteInt64LittleEndian(header[10..], value.FactsVersion);
        BinaryPrimitives.WriteInt32LittleEndian(header[18..], detail.Length);
        BinaryPrimitives.WriteInt32LittleEndian(header[22..], value.Data?.Length ?? -1);
        writer.WriteVarUInt32((uint)(header.Length + detail.Length + (value.Data?.Length ?? 0)));
        writer.Write(header);
        writer.Write(detail);
        if (value.Data is not { } data) return;
        writer.Write(data.Span);
        data.Dispose();
    }

    public IoReply ReadValue<TInput>(ref Reader<TInput> reader, Field field)
    {
        if (field.WireType == WireType.Reference) return ReferenceCodec.ReadReference<IoReply, TInput>(ref reader, field)!;
        field.EnsureWireType(WireType.LengthPrefixed);
        ReferenceCodec.MarkValueField(reader.Session);
        Span<byte> header = stackalloc byte[HeaderBytes];
        var end = WireFrame.Begin(ref reader, header);
        var detailBytes = BinaryPrimitives.ReadInt32LittleEndian(header[16..]);
        var dataBytes = BinaryPrimitives.ReadInt32LittleEndian(header[20..]);
        WireFrame.EnsureWithin(ref reader, end, detailBytes);
        WireFrame.EnsureWithin(ref reader, end, detailBytes + (long)Math.Max(dataBytes, 0));
        var detail = detailBytes == 0 ? "" : Encoding.UTF8.GetString(reader.ReadBytes((uint)detailBytes));
        var data = dataBytes < 0 ? null : IoBufferCodec.ReadBytes(ref reader, (uint)dataBytes);
        WireFrame.End(ref reader, end);
        return new IoReply((IoStatus)header[0], data, BinaryPrimitives.ReadInt32LittleEndian(header[4..]), detail, BinaryPrimitives.ReadInt64LittleEndian(header[8..]));
    }
}

/// <summary>A reply is handed over, not copied: its one reference to the data moves to the receiver.</summary>
[RegisterCopier]
public sealed class IoReplyCopier : IDeepCopier<IoReply>
{
    public IoReply? DeepCopy(IoReply? input, CopyContext context) => input;
}
