using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using OpenEbs.Buffers;
using OpenEbs.Replication.Replicas;
using OpenEbs.Storage.Store;
using Orleans.Serialization.Buffers;
using Orleans.Serialization.Cloning;
using Orleans.Serialization.Codecs;
using Orleans.Serialization.Serializers;
using Orleans.Serialization.WireProtocol;

namespace OpenEbs.Grains.Replicas.Messages;

/// <summary>Wire form of a <see cref="LogReply"/>: a <see cref="WireFrame"/> whose header is u8 outcome, 7 reserved, i64 batch epoch, i64 first seq, i32 number of operations (-1: no batch),
/// i32 length of the reason, and whose body is the reason (UTF-8) and a <see cref="BatchWire"/>. What was read has no owner: its memory is left to the garbage collector.</summary>
[RegisterSerializer]
internal sealed class LogReplyCodec : IFieldCodec<LogReply>
{
    private const int HeaderBytes = 32;

    public void WriteField<TBufferWriter>(ref Writer<TBufferWriter> writer, uint fieldIdDelta, Type? expectedType, LogReply? value)
        where TBufferWriter : IBufferWriter<byte>
    {
        if (value is null)
        {
            ReferenceCodec.WriteNullReference(ref writer, fieldIdDelta);
            return;
        }

        ReferenceCodec.MarkValueField(writer.Session);
        writer.WriteFieldHeader(fieldIdDelta, expectedType, typeof(LogReply), WireType.LengthPrefixed);
        var reason = Encoding.UTF8.GetBytes(value.Reason);
        var batch = value.Batch ?? default;
        Span<byte> prefixed = stackalloc byte[WireFrame.PrefixBytes + HeaderBytes];
        prefixed.Clear();
        BinaryPrimitives.WriteUInt16LittleEndian(prefixed, HeaderBytes);
        var header = prefixed[WireFrame.PrefixBytes..];
        header[0] = (byte)value.Outcome;
        BinaryPrimitives.WriteInt64LittleEndian(header[8..], batch.Epoch);
        BinaryPrimitives.WriteInt64LittleEndian(header[16..], batch.FirstSeq);
        BinaryPrimitives.WriteInt32LittleEndian(header[24..], value.Batch is null ? -1 : batch.Operations.Length);
        BinaryPrimitives.WriteInt32LittleEndian(header[28..], reason.Length);
        writer.WriteVarUInt32(checked((uint)(prefixed.Length + reason.Length + BatchWire.Measure(batch))));
        writer.Write(prefixed);
        writer.Write(reason);
        BatchWire.Write(ref writer, batch);
    }

    public LogReply ReadValue<TInput>(ref Reader<TInput> reader, Field field)
    {
        if (field.WireType == WireType.Reference) return ReferenceCodec.ReadReference<LogReply, TInput>(ref reader, field)!;
        field.EnsureWireType(WireType.LengthPrefixed);
        ReferenceCodec.MarkValueField(reader.Session);
        Span<byte> header = stackalloc byte[HeaderBytes];
        var end = WireFrame.Begin(ref reader, header);
        var count = BinaryPrimitives.ReadInt32LittleEndian(header[24..]);
        var reasonBytes = BinaryPrimitives.ReadInt32LittleEndian(header[28..]);
        WireFrame.EnsureWithin(ref reader, end, reasonBytes);
        var reason = reasonBytes == 0 ? "" : Encoding.UTF8.GetString(reader.ReadBytes((uint)reasonBytes));
        StoreBatch? batch = null;
        if (count >= 0)
        {
            using var received = BatchWire.Read(ref reader, end, count);
            batch = new StoreBatch(BinaryPrimitives.ReadInt64LittleEndian(header[8..]), BinaryPrimitives.ReadInt64LittleEndian(header[16..]), received.Memory.ToArray());
            received.Abandon();
        }

        WireFrame.End(ref reader, end);
        return new LogReply((ReplicaOutcome)header[0], batch, reason);
    }
}

[RegisterCopier]
internal sealed class LogReplyCopier : HandOverCopier<LogReply>;
