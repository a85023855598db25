using System.Text.Json;
using OpenEbs.Server.Startup;

namespace OpenEbs.Server.Configuration;

/// <summary>Loads and checks a node's configuration.</summary>
internal static class NodeConfiguration
{
    private const string Example = """
        A node needs at least a pool and a metadata store. Save this as openebs.json and start: openebs server --config openebs.json
        {
          "OpenEbs": {
            "Pools": [ { "Id": "pool-1", "Path": "/var/lib/openebs/pool-1" } ],
            "Metadata": { "Store": "sqlite", "Path": "/var/lib/openebs/openebs.db" }
          }
        }
        The same with environment variables: OPENEBS__POOLS__0__ID=pool-1 OPENEBS__POOLS__0__PATH=/var/lib/openebs/pool-1 OPENEBS__METADATA__PATH=/var/lib/openebs/openebs.db
        All keys, their defaults and meaning: src/OpenEbs.Server/README.md.
        """;

    /// <param name="file">The file given with --config; null for none.</param>
    /// <exception cref="CannotStartException">All problems of the configuration, in one message.</exception>
    public static NodeOptions Load(string? file)
    {
        if (file is not null && !File.Exists(file))
        {
            throw new CannotStartException(ExitCode.Usage, $"The file given with --config, {file}, does not exist.", "Give the path of a JSON file with the section OpenEbs.");
        }

        try
        {
            var builder = new ConfigurationBuilder().AddJsonFile(Path.GetFullPath("appsettings.json"), optional: true);
            if (file is not null) builder.AddJsonFile(Path.GetFullPath(file));
            var section = builder.AddEnvironmentVariables().Build().GetSection(NodeOptions.Section);
            if (!section.Exists()) throw new CannotStartException(ExitCode.Usage, "There is no configuration for this node.", Example);
            var options = section.Get<NodeOptions>(binder => binder.ErrorOnUnknownConfiguration = true) ?? new NodeOptions();
            return Check(options);
        }
        catch (InvalidOperationException exception)
        {
            // The binder: an unknown key or a value that is no number.
            throw new CannotStartException(ExitCode.Usage, $"The configuration cannot be read: {Innermost(exception)}", "See the keys in src/OpenEbs.Server/README.md.");
        }
        catch (Exception exception) when (exception is InvalidDataException or FormatException or IOException)
        {
            throw new CannotStartException(ExitCode.Usage, $"The configuration cannot be read: {Innermost(exception)}", "It must be JSON with the section OpenEbs.");
        }
    }

    /// <summary>Reads one line of JSON, as <see cref="Write"/> made it.</summary>
    public static NodeOptions Read(TextReader reader) =>
        JsonSerializer.Deserialize<NodeOptions>(reader.ReadLine() ?? throw new CannotStartException(
            ExitCode.Usage, "There is no configuration on standard input.", "Use 'openebs server' to start a node yourself."))!;

    public static string Write(NodeOptions options) => JsonSerializer.Serialize(options);

    private static NodeOptions Check(NodeOptions options)
    {
        var problems = NodeOptionsValidator.Problems(options).ToList();
        if (problems.Count == 0) return options;
        var list = string.Join("\n", problems.Select(problem => $"  - {problem}"));
        throw new CannotStartException(ExitCode.Usage, $"The configuration (section OpenEbs) has {problems.Count} problem{(problems.Count == 1 ? "" : "s")}:\n{list}", Example);
    }

    private static string Innermost(Exception exception) => exception.GetBaseException().Message.ReplaceLineEndings(" ");
}
