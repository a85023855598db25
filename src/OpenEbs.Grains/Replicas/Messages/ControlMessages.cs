using System.Buffers;
using System.Text.Json;
using System.Text.Json.Serialization;
using OpenEbs.Replication.Replicas;
using Orleans.Serialization.Buffers;
using Orleans.Serialization.Cloning;
using Orleans.Serialization.Codecs;
using Orleans.Serialization.Serializers;
using Orleans.Serialization.WireProtocol;

namespace OpenEbs.Grains.Replicas.Messages;

/// <summary>The messages that are too rare to deserve a codec of their own travel as JSON: tolerant of members that only one side knows.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(OpenRequest))]
[JsonSerializable(typeof(OpenReply))]
[JsonSerializable(typeof(RebuildRequest))]
[JsonSerializable(typeof(RebuildReply))]
[JsonSerializable(typeof(ChangedReply))]
[JsonSerializable(typeof(AllocatedReply))]
[JsonSerializable(typeof(CheckReply))]
[JsonSerializable(typeof(ReplicaInspection))]
[JsonSerializable(typeof(DigestReply))]
[JsonSerializable(typeof(BlocksReply))]
[JsonSerializable(typeof(StoreScrubReply))]
internal sealed partial class ControlMessages : JsonSerializerContext;

/// <summary>Length-prefixed UTF-8 JSON.</summary>
internal abstract class ControlMessageCodec<T> : IFieldCodec<T>
    where T : class
{
    public void WriteField<TBufferWriter>(ref Writer<TBufferWriter> writer, uint fieldIdDelta, Type? expectedType, T? value)
        where TBufferWriter : IBufferWriter<byte>
    {
        if (value is null)
        {
            ReferenceCodec.WriteNullReference(ref writer, fieldIdDelta);
            return;
        }

        ReferenceCodec.MarkValueField(writer.Session);
        writer.WriteFieldHeader(fieldIdDelta, expectedType, typeof(T), WireType.LengthPrefixed);
        var json = JsonSerializer.SerializeToUtf8Bytes(value, typeof(T), ControlMessages.Default);
        writer.WriteVarUInt32((uint)json.Length);
        writer.Write(json);
    }

    public T? ReadValue<TInput>(ref Reader<TInput> reader, Field field)
    {
        if (field.WireType == WireType.Reference) return ReferenceCodec.ReadReference<T, TInput>(ref reader, field);
        field.EnsureWireType(WireType.LengthPrefixed);
        ReferenceCodec.MarkValueField(reader.Session);
        return (T?)JsonSerializer.Deserialize(reader.ReadBytes(reader.ReadVarUInt32()), typeof(T), ControlMessages.Default);
    }
}

/// <summary>For immutable messages: the same object is handed over.</summary>
internal abstract class HandOverCopier<T> : IDeepCopier<T>
    where T : class
{
    public T? DeepCopy(T? input, CopyContext context) => input;
}

[RegisterSerializer]
internal sealed class OpenRequestCodec : ControlMessageCodec<OpenRequest>;

[RegisterCopier]
internal sealed class OpenRequestCopier : HandOverCopier<OpenRequest>;

[RegisterSerializer]
internal sealed class OpenReplyCodec : ControlMessageCodec<OpenReply>;

[RegisterCopier]
internal sealed class OpenReplyCopier : HandOverCopier<OpenReply>;

[RegisterSerializer]
internal sealed class RebuildRequestCodec : ControlMessageCodec<RebuildRequest>;

[RegisterCopier]
internal sealed class RebuildRequestCopier : HandOverCopier<RebuildRequest>;

[RegisterSerializer]
internal sealed class RebuildReplyCodec : ControlMessageCodec<RebuildReply>;

[RegisterCopier]
internal sealed class RebuildReplyCopier : HandOverCopier<RebuildReply>;

[RegisterSerializer]
internal sealed class ChangedReplyCodec : ControlMessageCodec<ChangedReply>;

[RegisterCopier]
internal sealed class ChangedReplyCopier : HandOverCopier<ChangedReply>;

[RegisterSerializer]
internal sealed class AllocatedReplyCodec : ControlMessageCodec<AllocatedReply>;

[RegisterCopier]
internal sealed class AllocatedReplyCopier : HandOverCopier<AllocatedReply>;

[RegisterSerializer]
internal sealed class CheckReplyCodec : ControlMessageCodec<CheckReply>;

[RegisterCopier]
internal sealed class CheckReplyCopier : HandOverCopier<CheckReply>;

[RegisterSerializer]
internal sealed class ReplicaInspectionCodec : ControlMessageCodec<ReplicaInspection>;

[RegisterCopier]
internal sealed class ReplicaInspectionCopier : HandOverCopier<ReplicaInspection>;

[RegisterSerializer]
internal sealed class DigestReplyCodec : ControlMessageCodec<DigestReply>;

[RegisterCopier]
internal sealed class DigestReplyCopier : HandOverCopier<DigestReply>;

[RegisterSerializer]
internal sealed class BlocksReplyCodec : ControlMessageCodec<BlocksReply>;

[RegisterCopier]
internal sealed class BlocksReplyCopier : HandOverCopier<BlocksReply>;

[RegisterSerializer]
internal sealed class StoreScrubReplyCodec : ControlMessageCodec<StoreScrubReply>;

[RegisterCopier]
internal sealed class StoreScrubReplyCopier : HandOverCopier<StoreScrubReply>;
