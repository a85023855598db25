using System.Buffers;
using Microsoft.Extensions.DependencyInjection;
using Orleans.Serialization.Buffers;
using Orleans.Serialization.Cloning;
using Orleans.Serialization.Codecs;
using Orleans.Serialization.Serializers;
using Orleans.Serialization.WireProtocol;

namespace OpenEbs.Buffers;

/// <summary>Wire form of an <see cref="IoBuffer"/>: its bytes, length-prefixed. Writing releases one reference (the one that <see cref="IoBufferCopier"/> took
/// when the call was made); reading rents a buffer that the receiving method owns.</summary>
[RegisterSerializer]
public sealed class IoBufferCodec : IFieldCodec<IoBuffer>
{
    public void WriteField<TBufferWriter>(ref Writer<TBufferWriter> writer, uint fieldIdDelta, Type? expectedType, IoBuffer? value)
        where TBufferWriter : IBufferWriter<byte>
    {
        if (value is null)
        {
            ReferenceCodec.WriteNullReference(ref writer, fieldIdDelta);
            return;
        }

        ReferenceCodec.MarkValueField(writer.Session);
        writer.WriteFieldHeader(fieldIdDelta, expectedType, typeof(IoBuffer), WireType.LengthPrefixed);
        writer.WriteVarUInt32((uint)value.Length);
        writer.Write(value.Span);
        value.Dispose();
    }

    public IoBuffer ReadValue<TInput>(ref Reader<TInput> reader, Field field)
    {
        if (field.WireType == WireType.Reference) return ReferenceCodec.ReadReference<IoBuffer, TInput>(ref reader, field)!;
        field.EnsureWireType(WireType.LengthPrefixed);
        ReferenceCodec.MarkValueField(reader.Session);
        return ReadBytes(ref reader, reader.ReadVarUInt32());
    }

    /// <summary>Reads bytes into one rented buffer, which is released again when that fails.</summary>
    internal static IoBuffer ReadBytes<TInput>(scoped ref Reader<TInput> reader, uint lengthBytes)
    {
        reader.EnsureAvailable(lengthBytes);
        var buffer = IoBufferPool.Shared.RentBuffer(checked((int)lengthBytes));
        try
        {
            reader.ReadBytes(buffer.Span);
            return buffer;
        }
        catch
        {
            buffer.Dispose();
            throw;
        }
    }
}

/// <summary>Runs once for each call that carries a buffer, at the caller: the call gets a reference of its own to the same memory.</summary>
[RegisterCopier]
public sealed class IoBufferCopier(IServiceProvider services) : IDeepCopier<IoBuffer>
{
    private readonly bool _shares = services.GetService<IoBufferSharing>() is not null;

    public IoBuffer? DeepCopy(IoBuffer? input, CopyContext context) => input is null ? null : _shares ? input.AddReference() : input.CopyUnpooled();
}
