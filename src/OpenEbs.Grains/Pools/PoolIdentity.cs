using System.Text.Json;

namespace OpenEbs.Grains.Pools;

/// <summary>Contents of a pool's <c>pool.json</c>: says that the directory is a pool, and which.</summary>
internal sealed record PoolIdentity(int Format, string Id, DateTimeOffset Created)
{
    public const string FileName = "pool.json";
    public const int CurrentFormat = 1;

    /// <summary>Null when the directory holds none.</summary>
    /// <exception cref="InvalidDataException">There is one that this version cannot read.</exception>
    public static PoolIdentity? Read(string poolPath)
    {
        var file = Path.Combine(poolPath, FileName);
        if (!File.Exists(file)) return null;
        try
        {
            var identity = JsonSerializer.Deserialize<PoolIdentity>(File.ReadAllBytes(file), JsonSerializerOptions.Web);
            if (identity is { Format: CurrentFormat, Id.Length: > 0 }) return identity;
            throw new InvalidDataException($"{file} is of format {identity?.Format}; this version reads format {CurrentFormat}");
        }
        catch (JsonException damaged)
        {
            throw new InvalidDataException($"{file} cannot be read ({damaged.Message}); restore it: it holds {{\"format\":1,\"id\":\"<pool id>\",\"created\":\"<any time>\"}}");
        }
    }

    public void Write(string poolPath)
    {
        var temporary = Path.Combine(poolPath, FileName + ".new");
        using (var stream = new FileStream(temporary, FileMode.Create, FileAccess.Write))
        {
            JsonSerializer.Serialize(stream, this, JsonSerializerOptions.Web);
            stream.Flush(flushToDisk: true);
        }

        File.Move(temporary, Path.Combine(poolPath, FileName), overwrite: true);
    }
}
