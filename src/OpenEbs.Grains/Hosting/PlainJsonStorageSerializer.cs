using System.Text.Json;
using System.Text.Json.Serialization;
using OpenEbs.Grains.Cluster;
using OpenEbs.Replication.Volumes;
using Orleans.Storage;

namespace OpenEbs.Grains.Hosting;

/// <summary>Stores grain state as plain JSON: no type names of this program in the metadata store, members that a version does not know are ignored.</summary>
internal sealed class PlainJsonStorageSerializer : IGrainStorageSerializer
{
    private static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web)
    {
        // An event of a kind that only a later release knows must not keep a volume, or the registry, from being opened by this one.
        Converters = { new TolerantEnumConverter<VolumeEventKind>(VolumeEventKind.Unknown), new TolerantEnumConverter<ClusterEventKind>(ClusterEventKind.Unknown), new JsonStringEnumConverter() },
    };

    public BinaryData Serialize<T>(T? input) => new(JsonSerializer.SerializeToUtf8Bytes(input, Options));

    public T? Deserialize<T>(BinaryData input) => JsonSerializer.Deserialize<T>(input.ToMemory().Span, Options);
}

/// <summary>An enumeration by its names, in which an unknown name is read as <paramref name="unknown"/>.</summary>
internal sealed class TolerantEnumConverter<T>(T unknown) : JsonConverter<T>
    where T : struct, Enum
{
    public override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        reader.TokenType == JsonTokenType.String && Enum.TryParse<T>(reader.GetString(), ignoreCase: true, out var value) && Enum.IsDefined(value) ? value : unknown;

    public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) => writer.WriteStringValue(value.ToString());
}
