using System.Xml.Linq;

namespace OpenEbs.Architecture.Tests;

/// <summary>The checked-out tree, found upwards from the test's binaries by its solution file. Paths are relative to it, with '/'.</summary>
internal static class SourceTree
{
    public const string SolutionName = "OpenEbs.Orleans.sln";

    public static string Root { get; } = FindRoot();

    public static string ReadSolution() => File.ReadAllText(Path.Combine(Root, SolutionName));

    public static IEnumerable<ProjectFile> Projects() =>
        Files("*.csproj", "src", "tests", "samples").Select(path => ProjectFile.Parse(path, File.ReadAllText(Path.Combine(Root, path))));

    /// <summary>C# files that people write: nothing below bin or obj.</summary>
    public static IEnumerable<(string Path, string Text)> CSharpFiles(params string[] folders) =>
        Files("*.cs", folders).Select(path => (path, File.ReadAllText(System.IO.Path.Combine(Root, path))));

    private static IEnumerable<string> Files(string pattern, params string[] folders)
    {
        foreach (var folder in folders)
        {
            var full = Path.Combine(Root, folder);
            if (!Directory.Exists(full)) throw new DirectoryNotFoundException($"'{folder}' is not in {Root}; correct the name in the test.");
            foreach (var file in Directory.EnumerateFiles(full, pattern, SearchOption.AllDirectories).Order(StringComparer.Ordinal))
            {
                var relative = Path.GetRelativePath(Root, file).Replace('\\', '/');
                if (!relative.Split('/').Any(part => part is "bin" or "obj")) yield return relative;
            }
        }
    }

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, SolutionName))) return folder.FullName;
        }

        throw new DirectoryNotFoundException($"No {SolutionName} above {AppContext.BaseDirectory}; run the tests from a checkout.");
    }
}

/// <summary>What a project file references.</summary>
/// <param name="Path">Relative to the root.</param>
/// <param name="Name">File name without extension, which is the project's name.</param>
internal sealed record ProjectFile(string Path, string Name, IReadOnlyList<string> Projects, IReadOnlyList<string> Packages, IReadOnlyList<string> Frameworks)
{
    public bool IsIn(string folder) => Path.StartsWith(folder + "/", StringComparison.Ordinal);

    public static ProjectFile Parse(string path, string xml)
    {
        var document = XDocument.Parse(xml);
        return new ProjectFile(path, NameOf(path), [.. Includes(document, "ProjectReference").Select(NameOf)], [.. Includes(document, "PackageReference")],
            [.. Includes(document, "FrameworkReference")]);
    }

    private static string NameOf(string path) => System.IO.Path.GetFileNameWithoutExtension(path.Replace('\\', '/'));

    private static IEnumerable<string> Includes(XDocument document, string element) =>
        document.Descendants().Where(e => e.Name.LocalName == element)
            .SelectMany(e => (e.Attribute("Include")?.Value ?? "").Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));
}
