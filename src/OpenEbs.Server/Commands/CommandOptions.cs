using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using OpenEbs.Units;

namespace OpenEbs.Server.Commands;

/// <summary>What several commands' options share.</summary>
internal static class CommandOptions
{
    public static Option<LogLevel> LogLevel() => new("--log-level")
    {
        Description = "Least severe messages to log on standard error: trace, debug, information, warning, error",
        DefaultValueFactory = _ => Microsoft.Extensions.Logging.LogLevel.Warning,
        CustomParser = result =>
        {
            var text = result.Tokens[0].Value;
            if (Enum.TryParse<LogLevel>(text, ignoreCase: true, out var level) && !int.TryParse(text, out _)) return level;
            result.AddError($"--log-level is '{text}'; give trace, debug, information, warning or error.");
            return default;
        },
    };

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

    /// <summary>The option's value, or false when it could not be parsed (which is reported already).</summary>
    public static bool TryGet<T>(OptionResult result, Option<T> option, out T? value)
    {
        try
        {
            value = result.GetValue(option);
            return true;
        }
        catch (InvalidOperationException)
        {
            value = default;
            return false;
        }
    }
}
