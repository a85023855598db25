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

/// <summary>Wire form of an <see cref="AppendReply"/>: a <see cref="WireFrame"/> whose header is u8 outcome, 7 reserved, i64 last seq, i64 durable seq, i64 writable bytes, i32 length of the reason,
/// 4 reserved, and whose body is the reason (UTF-8).</summary>
[RegisterSerializer]
internal sealed class AppendReplyCodec : IFieldCodec<AppendReply>
{
    private const int HeaderBytes = 40;

    public void WriteField<TBufferWriter>(ref Writer<TBufferWriter> writer, uint fieldIdDelta, Type? expectedType, AppendReply value)
        where TBufferWriter : IBufferWriter<byte>
    {
        ReferenceCodec.MarkValueField(writer.Session);
        writer.WriteFieldHeader(fieldIdDelta, expectedType, typeof(AppendReply), WireType.LengthPrefixed);
        var reason = string.IsNullOrEmpty(value.Reason) ? [] : Encoding.UTF8.GetBytes(value.Reason);
        Span<byte> prefixed = stackalloc byte[WireFrame.PrefixBytes + HeaderBytes];
        prefixed.Clear();
        BinaryPrimitives.WriteUInt16LittleEndian(prefixed, HeaderBytes);
        var header = prefixed[WireFrame.PrefixBytes..];
        header[0] = (byte)value.Outcome;
        BinaryPrimitives.WriteInt64LittleEndian(header[8..], value.LastSeq);
        BinaryPrimitives.WriteInt64LittleEndian(header[16..], value.DurableSeq);
        BinaryPrimitives.WriteInt64LittleEndian(header[24..], value.WritableBytes);
        BinaryPrimitives.WriteInt32LittleEndian(header[32..], reason.Length);
        writer.WriteVarUInt32((uint)(prefixed.Length + reason.Length));
        writer.Write(prefixed);
        writer.Write(reason);
    }

    public AppendReply ReadValue<TInput>(ref Reader<TInput> reader, Field field)
    {
        field.EnsureWireType(WireType.LengthPrefixed);
        ReferenceCodec.MarkValueField(reader.Session);
        Span<byte> header = stackalloc byte[HeaderBytes];
        var end = WireFrame.Begin(ref reader, header);
        var reasonBytes = BinaryPrimitives.ReadInt32LittleEndian(header[32..]);
        WireFrame.EnsureWithin(ref reader, end, reasonBytes);
        var reason = reasonBytes == 0 ? "" : Encoding.UTF8.GetString(reader.ReadBytes((uint)reasonBytes));
        WireFrame.End(ref reader, end);
        return new AppendReply(
            (ReplicaOutcome)header[0],
            BinaryPrimitives.ReadInt64LittleEndian(header[8..]),
            BinaryPrimitives.ReadInt64LittleEndian(header[16..]),
            BinaryPrimitives.ReadInt64LittleEndian(header[24..]),
            reason);
    }
}

[RegisterCopier]
internal sealed class AppendReplyCopier : IDeepCopier<AppendReply>
{
    public AppendReply DeepCopy(AppendReply input, CopyContext context) => input;
}
