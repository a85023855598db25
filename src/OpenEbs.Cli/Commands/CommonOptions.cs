using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using OpenEbs.Access;
using OpenEbs.Cli.Api;
using OpenEbs.Cli.Output;
using OpenEbs.Units;
using OpenEbs.Volumes;

namespace OpenEbs.Cli.Commands;

/// <summary>Options that all commands share, and parsers of values.</summary>
internal static class CommonOptions
{
    public const string ServerVariable = "OPENEBS_SERVER";
    public const string DefaultServer = "http://127.0.0.1:8080";

    public static Option<Uri> Server { get; } = new("--server")
    {
        Description = $"URL of any node with the role control [default: ${ServerVariable}, else {DefaultServer}]",
        HelpName = "URL",
        Recursive = true,
        CustomParser = result => ParseServer(result.Tokens[0].Value, result.AddError),
    };

    public static Option<OutputFormat> Output { get; } = new("--output", "-o")
    {
        Description = "table, json or yaml [default: table]",
        HelpName = "FORMAT",
        Recursive = true,
        CustomParser = result =>
        {
            var text = result.Tokens[0].Value;
            if (Enum.TryParse<OutputFormat>(text, ignoreCase: true, out var format) && !int.TryParse(text, out _)) return format;
            result.AddError($"'{text}' is not an output format: give table, json or yaml.");
            return default;
        },
    };

    /// <summary>The server that the command talks to.</summary>
    public static ControlApi Connect(ParseResult parsed)
    {
        var server = parsed.GetValue(Server);
        if (server is null)
        {
            var text = Environment.GetEnvironmentVariable(ServerVariable);
            string? problem = null;
            server = string.IsNullOrWhiteSpace(text) ? new Uri(DefaultServer) : ParseServer(text, error => problem = error);
            if (problem is not null) throw new CommandFailedException(ExitCode.Usage, $"${ServerVariable}: {problem}");
        }

        return new ControlApi(server!);
    }

    public static long ParseSize(ArgumentResult result)
    {
        if (ByteSize.TryParse(result.Tokens[0].Value, out var bytes, out var problem)) return bytes;
        result.AddError($"{problem}.");
        return default;
    }

    /// <summary>Bytes a second; 0 for none, -1 for the cluster's default.</summary>
    public static long? ParseRebuildLimit(ArgumentResult result)
    {
        var text = result.Tokens[0].Value;
        if (text is "default") return -1;
        if (ByteRate.TryParse(text, out var bytes, out var problem)) return bytes;
        result.AddError($"{problem}, or default.");
        return default;
    }

    public static int ParseNumber(ArgumentResult result)
    {
        var text = result.Tokens[0].Value;
        if (int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)) return number;
        result.AddError($"{(result.Parent as OptionResult)?.Option.Name} is '{text}'; give a whole number.");
        return default;
    }

    public static TimeSpan ParseDuration(ArgumentResult result)
    {
        if (Duration.TryParse(result.Tokens[0].Value, out var duration)) return duration;
        result.AddError($"'{result.Tokens[0].Value}' is not a duration; write it like {Duration.Examples}.");
        return default;
    }

    public static Switch ParseSwitch(ArgumentResult result)
    {
        var text = result.Tokens[0].Value;
        if (text is "on" or "off") return text == "on" ? Switch.On : Switch.Off;
        result.AddError($"'{text}' is neither on nor off.");
        return default;
    }

    public static AntiAffinity ParseAntiAffinity(ArgumentResult result) => ParseChoice<AntiAffinity>(result, "soft (apart if that is possible) or hard (apart, or not at all)");

    public static TimeoutAction ParseTimeoutAction(ArgumentResult result) => ParseChoice<TimeoutAction>(result, "wait (I/O goes on waiting), error (it fails) or readonly (writes are refused)");

    public static Locality ParseLocality(ArgumentResult result) => ParseChoice<Locality>(result, "none or preferred (a replica on the node through whose gateway the volume is used)");

    public static SharingMode ParseSharing(ArgumentResult result) => ParseChoice<SharingMode>(result, "exclusive (one initiator at a time) or shared (several)");

    /// <summary>The name of a value, in whatever case; not its number.</summary>
    private static T ParseChoice<T>(ArgumentResult result, string choices)
        where T : struct, Enum
    {
        var text = result.Tokens[0].Value;
        if (Enum.TryParse<T>(text, ignoreCase: true, out var parsed) && !int.TryParse(text, out _)) return parsed;
        result.AddError($"{(result.Parent as OptionResult)?.Option.Name} is '{text}'; give {choices}.");
        return default;
    }

    private static Uri? ParseServer(string text, Action<string> addError)
    {
        var url = text.Contains("://", StringComparison.Ordinal) ? text : $"http://{text}";
        if (Uri.TryCreate(url, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https" && uri.Host.Length > 0) return uri;
        addError($"'{text}' is not a server: give a URL such as {DefaultServer}.");
        return null;
    }
}
