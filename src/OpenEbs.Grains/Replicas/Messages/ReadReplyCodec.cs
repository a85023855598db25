using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using OpenEbs.Buffers;
using OpenEbs.Replication.Replicas;
using Orleans.Serialization.Buffers;
using Orleans.Serialization.Cloning;
using Orleans.Serialization.Codecs;
using Orleans.Serialization.Serializers;
using Orleans.Serialization.WireProtocol;

namespace OpenEbs.Grains.Replicas.Messages;

/// <summary>Wire form of a <see cref="ReadReply"/>: a <see cref="WireFrame"/> whose header is u8 outcome, 7 reserved, i64 bad block, i32 length of the reason, i32 length of the data (-1: none), and whose body
/// is the reason (UTF-8) and the data. Writing releases the data; reading rents an <see cref="IoBuffer"/>.</summary>
[RegisterSerializer]
internal sealed class ReadReplyCodec : IFieldCodec<ReadReply>
{
    private const int HeaderBytes = 24;

    public void WriteField<TBufferWriter>(ref Writer<TBufferWriter> writer, uint fieldIdDelta, Type? expectedType, ReadReply value)
        where TBufferWriter : IBufferWriter<byte>
    {
        ReferenceCodec.MarkValueField(writer.Session);
        writer.WriteFieldHeader(fieldIdDelta, expectedType, typeof(ReadReply), WireType.LengthPrefixed);
        var reason = string.IsNullOrEmpty(value.Reason) ? [] : Encoding.UTF8.GetBytes(value.Reason);
        var data = value.Data is null ? default : value.Data.Memory.Span;
        Span<byte> prefixed = stackalloc byte[WireFrame.PrefixBytes + HeaderBytes];
        prefixed.Clear();
        BinaryPrimitives.WriteUInt16LittleEndian(prefixed, HeaderBytes);
        var header = prefixed[WireFrame.PrefixBytes..];
        header[0] = (byte)value.Outcome;
        BinaryPrimitives.WriteInt64LittleEndian(header[8..], value.BadBlock);
        BinaryPrimitives.WriteInt32LittleEndian(header[16..], reason.Length);
        BinaryPrimitives.WriteInt32LittleEndian(header[20..], value.Data is null ? -1 : data.Length);
        writer.WriteVarUInt32((uint)(prefixed.Length + reason.Length + data.Length));
        writer.Write(prefixed);
        writer.Write(reason);
        writer.Write(data);
        value.Data?.Dispose();
    }

    public ReadReply ReadValue<TInput>(ref Reader<TInput> reader, Field field)
    {
        field.EnsureWireType(WireType.LengthPrefixed);
        ReferenceCodec.MarkValueField(reader.Session);
        Span<byte> header = stackalloc byte[HeaderBytes];
        var end = WireFrame.Begin(ref reader, header);
        var reasonBytes = BinaryPrimitives.ReadInt32LittleEndian(header[16..]);
        var dataBytes = BinaryPrimitives.ReadInt32LittleEndian(header[20..]);
        WireFrame.EnsureWithin(ref reader, end, reasonBytes);
        WireFrame.EnsureWithin(ref reader, end, reasonBytes + (long)Math.Max(dataBytes, 0));
        var reason = reasonBytes == 0 ? "" : Encoding.UTF8.GetString(reader.ReadBytes((uint)reasonBytes));
        var data = dataBytes < 0 ? null : IoBufferCodec.ReadBytes(ref reader, (uint)dataBytes);
        WireFrame.End(ref reader, end);
        return new ReadReply((ReplicaOutcome)header[0], data, BinaryPrimitives.ReadInt64LittleEndian(header[8..]), reason);
    }
}

/// <summary>A reply is handed over, not copied: its one reference to the data moves to the receiver.</summary>
[RegisterCopier]
internal sealed class ReadReplyCopier : IDeepCopier<ReadReply>
{
    public ReadReply DeepCopy(ReadReply input, CopyContext context) => input;
}
