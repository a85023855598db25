using System.Text.Json;
using OpenEbs.Cli.Api;
using Spectre.Console;
using Spectre.Console.Rendering;
using YamlDotNet.Serialization;

namespace OpenEbs.Cli.Output;

/// <summary>Writes results to standard output. Tables have no lines and one row a thing, so that they can be cut with awk; nothing wraps when the output is not a terminal.</summary>
internal static class ResultWriter
{
    /// <summary>Width for output that is no terminal: wide enough that no row wraps.</summary>
    private const int UnboundedWidth = 4000;

    private static readonly IAnsiConsole Terminal = CreateConsole(AnsiConsole.Create(new AnsiConsoleSettings()), Console.IsOutputRedirected);

    /// <summary>Writes the resource itself, or with <see cref="OutputFormat.Table"/> what <paramref name="table"/> makes of it.</summary>
    public static void Write<T>(OutputFormat format, T resource, Func<T, IRenderable> table)
    {
        switch (format)
        {
            case OutputFormat.Json:
                Console.Out.WriteLine(JsonSerializer.Serialize(resource, ControlApi.Json));
                break;
            case OutputFormat.Yaml:
                var tree = JsonSerializer.SerializeToElement(resource, ControlApi.Json);
                Console.Out.Write(new SerializerBuilder().WithQuotingNecessaryStrings().Build().Serialize(ToPlain(tree)!));
                break;
            default:
                Terminal.Write(table(resource));
                break;
        }
    }

    /// <summary>A table with these columns; a column whose name begins with '>' is aligned to the right.</summary>
    public static Table Columns(params string[] names)
    {
        var table = new Table { Border = TableBorder.None, ShowHeaders = true };
        foreach (var name in names)
        {
            var isNumber = name[0] == '>';
            var column = new TableColumn(new Text(isNumber ? name[1..] : name, new Style(decoration: Decoration.Bold))) { NoWrap = true, Padding = new Padding(0, 0, 3, 0) };
            if (isNumber) column.Alignment = Justify.Right;
            table.AddColumn(column);
        }

        return table;
    }

    /// <summary>Adds a row; an empty cell shows as '-'.</summary>
    public static void Add(this Table table, params object[] cells) =>
        table.AddRow(cells.Select(cell => cell as IRenderable ?? new Text(cell.ToString() is { Length: > 0 } text ? text : "-")));

    /// <summary>A state in the colour of its meaning.</summary>
    public static Text State(string text) => new(text, new Style(text switch
    {
        "Healthy" or "InSync" or "Active" or "online" or "Available" => Color.Green,
        "Degraded" or "Rebuilding" or "Opening" or "Joining" or "Cordoned" or "Draining" or "Drained" => Color.Yellow,
        _ => Color.Red,
    }));

    private static IAnsiConsole CreateConsole(IAnsiConsole console, bool isRedirected)
    {
        if (isRedirected) console.Profile.Width = UnboundedWidth;
        return console;
    }

    private static object? ToPlain(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Object => element.EnumerateObject().ToDictionary(property => property.Name, property => ToPlain(property.Value)),
        JsonValueKind.Array => element.EnumerateArray().Select(ToPlain).ToList(),
        JsonValueKind.String => element.GetString(),
        JsonValueKind.Number => element.TryGetInt64(out var integer) ? integer : element.GetDouble(),
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => null,
    };
}
