using System.Text.Json;
using System.Text.Json.Serialization;
using Orleans.Storage;

namespace OpenEbs.Grains.Hosting;

/// <summary>Stores grain state as plain JSON: no type names of this program in the metadata store, members that a version does not know are ignored.</summary>
internal sealed class PlainJsonStorageSerializer : IGrainStorageSerializer
{
    private static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web) { Converters = { new JsonStringEnumConverter() } };

    public BinaryData Serialize<T>(T? input) => new(JsonSerializer.SerializeToUtf8Bytes(input, Options));

    public T? Deserialize<T>(BinaryData input) => JsonSerializer.Deserialize<T>(input.ToMemory().Span, Options);
}
