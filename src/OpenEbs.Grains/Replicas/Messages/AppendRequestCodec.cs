using System.Buffers;
using System.Buffers.Binary;
using OpenEbs.Buffers;
using OpenEbs.Replication.Replicas;
using OpenEbs.Storage.Store;
using Orleans.Serialization.Buffers;
using Orleans.Serialization.Cloning;
using Orleans.Serialization.Codecs;
using Orleans.Serialization.Serializers;
using Orleans.Serialization.WireProtocol;

namespace OpenEbs.Grains.Replicas.Messages;

/// <summary>Wire form of an <see cref="AppendRequest"/>: a <see cref="WireFrame"/> whose header is i64 epoch, 16 bytes incarnation, i64 commit seq, i64 batch epoch, i64 first seq, i32 number of
/// operations, u8 flags (1: flush, 2: read elsewhere, 4: ends doubt), 3 reserved, and whose body is a <see cref="BatchWire"/>. Writing releases one reference; reading rents one buffer for all data.</summary>
[RegisterSerializer]
internal sealed class AppendRequestCodec : IFieldCodec<AppendRequest>
{
    private const int HeaderBytes = 56;
    private const byte FlushFlag = 1;
    private const byte ReadElsewhereFlag = 2;
    private const byte EndsDoubtFlag = 4;

    public void WriteField<TBufferWriter>(ref Writer<TBufferWriter> writer, uint fieldIdDelta, Type? expectedType, AppendRequest? value)
        where TBufferWriter : IBufferWriter<byte>
    {
        if (value is null)
        {
            ReferenceCodec.WriteNullReference(ref writer, fieldIdDelta);
            return;
        }

        ReferenceCodec.MarkValueField(writer.Session);
        writer.WriteFieldHeader(fieldIdDelta, expectedType, typeof(AppendRequest), WireType.LengthPrefixed);
        Span<byte> prefixed = stackalloc byte[WireFrame.PrefixBytes + HeaderBytes];
        prefixed.Clear();
        BinaryPrimitives.WriteUInt16LittleEndian(prefixed, HeaderBytes);
        var header = prefixed[WireFrame.PrefixBytes..];
        BinaryPrimitives.WriteInt64LittleEndian(header, value.Epoch);
        value.Incarnation.TryWriteBytes(header[8..]);
        BinaryPrimitives.WriteInt64LittleEndian(header[24..], value.CommitSeq);
        BinaryPrimitives.WriteInt64LittleEndian(header[32..], value.Batch.Epoch);
        BinaryPrimitives.WriteInt64LittleEndian(header[40..], value.Batch.FirstSeq);
        BinaryPrimitives.WriteInt32LittleEndian(header[48..], value.Batch.Operations.Length);
        header[52] = (byte)((value.Flush ? FlushFlag : 0) | (value.IsReadElsewhere ? ReadElsewhereFlag : 0) | (value.Batch.EndsDoubt ? EndsDoubtFlag : 0));
        writer.WriteVarUInt32(checked((uint)(prefixed.Length + BatchWire.Measure(value.Batch))));
        writer.Write(prefixed);
        BatchWire.Write(ref writer, value.Batch);
        value.Dispose();
    }

    public AppendRequest ReadValue<TInput>(ref Reader<TInput> reader, Field field)
    {
        if (field.WireType == WireType.Reference) return ReferenceCodec.ReadReference<AppendRequest, TInput>(ref reader, field)!;
        field.EnsureWireType(WireType.LengthPrefixed);
        ReferenceCodec.MarkValueField(reader.Session);
        Span<byte> header = stackalloc byte[HeaderBytes];
        var end = WireFrame.Begin(ref reader, header);
        var received = BatchWire.Read(ref reader, end, BinaryPrimitives.ReadInt32LittleEndian(header[48..]));
        WireFrame.End(ref reader, end);
        var batch = new StoreBatch(BinaryPrimitives.ReadInt64LittleEndian(header[32..]), BinaryPrimitives.ReadInt64LittleEndian(header[40..]), received.Memory) { EndsDoubt = (header[52] & EndsDoubtFlag) != 0 };
        return new AppendRequest(
            BinaryPrimitives.ReadInt64LittleEndian(header),
            new Guid(header[8..24]),
            BinaryPrimitives.ReadInt64LittleEndian(header[24..]),
            batch,
            (header[52] & FlushFlag) != 0,
            received) { IsReadElsewhere = (header[52] & ReadElsewhereFlag) != 0 };
    }
}

/// <summary>A call takes a reference of its own; its receiver (a method, or the codec) releases it.</summary>
[RegisterCopier]
internal sealed class AppendRequestCopier : IDeepCopier<AppendRequest>
{
    public AppendRequest? DeepCopy(AppendRequest? input, CopyContext context) => input?.AddReference();
}
