using System.Buffers;
using System.Buffers.Binary;
using Microsoft.Extensions.DependencyInjection;
using OpenEbs.Buffers;
using OpenEbs.Grains.Replicas.Messages;
using Orleans.Serialization;
using Orleans.Serialization.Buffers;
using Orleans.Serialization.Codecs;
using Orleans.Serialization.Serializers;
using Orleans.Serialization.Session;
using Orleans.Serialization.WireProtocol;

namespace OpenEbs.Grains.Tests.Messages;

/// <summary>Orleans' serialiser as a silo (or an external client) has it.</summary>
internal static class Wire
{
    public static ServiceProvider Silo { get; } = Build(sharing: true);

    public static ServiceProvider Client { get; } = Build(sharing: false);

    public static byte[] Write<T>(T value) => Silo.GetRequiredService<Serializer>().SerializeToArray(value);

    public static T Read<T>(byte[] bytes) => Silo.GetRequiredService<Serializer>().Deserialize<T>(bytes)!;

    public static T Copy<T>(ServiceProvider services, T value) => services.GetRequiredService<DeepCopier>().Copy(value)!;

    /// <summary>Writes a frame by hand, as another version of this program would, and reads it with our codec.</summary>
    public static T ReadFrame<T>(IFieldCodec<T> codec, byte[] header, byte[] body)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using var session = Silo.GetRequiredService<SerializerSessionPool>().GetSession();
        var writer = Writer.Create(buffer, session);
        writer.WriteFieldHeader(0, typeof(T), typeof(T), WireType.LengthPrefixed);
        writer.WriteVarUInt32((uint)(2 + header.Length + body.Length));
        Span<byte> prefix = stackalloc byte[2];
        BinaryPrimitives.WriteUInt16LittleEndian(prefix, (ushort)header.Length);
        writer.Write(prefix);
        writer.Write(header);
        writer.Write(body);
        writer.WriteByte(0x5A);
        writer.Commit();
        using var readSession = Silo.GetRequiredService<SerializerSessionPool>().GetSession();
        var reader = Reader.Create(buffer.WrittenMemory, readSession);
        var field = reader.ReadFieldHeader();
        var value = codec.ReadValue(ref reader, field);

        // What follows the frame must be next, whatever the frame held.
        if (reader.ReadByte() != 0x5A) throw new InvalidDataException("The codec did not read up to the end of its frame.");
        return value!;
    }

    private static ServiceProvider Build(bool sharing)
    {
        var services = new ServiceCollection();
        services.AddSerializer(serializer => serializer.Configure(MessageAliases.Register));
        if (sharing) services.AddSingleton<IoBufferSharing>();
        return services.BuildServiceProvider();
    }
}
