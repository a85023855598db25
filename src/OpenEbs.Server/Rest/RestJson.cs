using System.Text.Json;
using System.Text.Json.Serialization;

namespace OpenEbs.Server.Rest;

/// <summary>How REST resources are written: camelCase members, enums by name.</summary>
internal static class RestJson
{
    public static JsonSerializerOptions Options { get; } = Configure(new JsonSerializerOptions(JsonSerializerDefaults.Web));

    public static JsonSerializerOptions Configure(JsonSerializerOptions options)
    {
        options.Converters.Add(new JsonStringEnumConverter());
        // Numbers in quotes are refused: the document says integer.
        options.NumberHandling = JsonNumberHandling.Strict;
        options.RespectNullableAnnotations = true;
        return options;
    }
}
