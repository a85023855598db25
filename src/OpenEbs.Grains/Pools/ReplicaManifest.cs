using System.Globalization;
using System.Text;
using System.Text.Json;
using OpenEbs.Replication.Volumes;
using OpenEbs.Storage;
using OpenEbs.Storage.Devices;

namespace OpenEbs.Grains.Pools;

/// <summary>The file <c>volume.json</c> in a replica's directory: the record of its volume, as its coordinator last told the replica. So pools alone tell which volumes there were, should the metadata store be lost.
/// One line of JSON, and one with its CRC-32C in hexadecimal.</summary>
internal static class ReplicaManifest
{
    public const string FileName = "volume.json";

    /// <summary>Null when there is none, or it is damaged; the volume's coordinator writes it anew when it opens the replica.</summary>
    public static VolumeRecord? Read(string replicaPath)
    {
        try
        {
            var lines = File.ReadAllLines(Path.Combine(replicaPath, FileName));
            return lines.Length == 2 && lines[1] == ChecksumOf(lines[0]) ? JsonSerializer.Deserialize<VolumeRecord>(lines[0], JsonSerializerOptions.Web) : null;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or JsonException)
        {
            return null;
        }
    }

    /// <summary>Replaces the file when it says anything else: durable before it takes the old one's place.</summary>
    /// <exception cref="IOException">It could not be written.</exception>
    public static void Write(string replicaPath, VolumeRecord record)
    {
        var (path, text) = (Path.Combine(replicaPath, FileName), TextOf(record));
        if (!File.Exists(path) || File.ReadAllText(path) != text) Replace(path, text);
    }

    /// <summary>Replaces the file when it is not on media as <see cref="Write"/> left it; says whether that was so.</summary>
    /// <exception cref="IOException">It could not be written.</exception>
    public static bool Repair(string replicaPath, VolumeRecord record)
    {
        var (path, text) = (Path.Combine(replicaPath, FileName), TextOf(record));
        try
        {
            if (DirectReads.ReadAllBytes(path).AsSpan().SequenceEqual(Encoding.UTF8.GetBytes(text))) return false;
        }
        catch (IOException)
        {
            // Unreadable, or gone.
        }

        Replace(path, text);
        return true;
    }

    private static string TextOf(VolumeRecord record)
    {
        var json = JsonSerializer.Serialize(record, JsonSerializerOptions.Web);
        return $"{json}\n{ChecksumOf(json)}\n";
    }

    private static void Replace(string path, string text)
    {
        var temporary = path + ".new";
        using (var stream = new FileStream(temporary, FileMode.Create, FileAccess.Write))
        {
            stream.Write(Encoding.UTF8.GetBytes(text));
            stream.Flush(flushToDisk: true);
        }

        File.Move(temporary, path, overwrite: true);
    }

    private static string ChecksumOf(string json) => Crc32C.Compute(Encoding.UTF8.GetBytes(json)).ToString("x8", CultureInfo.InvariantCulture);
}
