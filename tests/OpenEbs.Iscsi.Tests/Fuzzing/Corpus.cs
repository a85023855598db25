namespace OpenEbs.Iscsi.Tests.Fuzzing;

/// <summary>The kept sessions: files of hexadecimal lines, one PDU a line. A session that once broke something is added as another file.</summary>
internal static class Corpus
{
    public static List<(string Name, List<byte[]> Pdus)> Load() =>
    [
        .. Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, "Corpus"), "*.hex").Order(StringComparer.Ordinal).Select(path => (Path.GetFileName(path),
            File.ReadLines(path).Where(line => line.Length > 0 && line[0] != '#').Select(Convert.FromHexString).ToList())),
    ];
}
