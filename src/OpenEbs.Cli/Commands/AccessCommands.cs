using System.CommandLine;
using OpenEbs.Access;
using OpenEbs.Cli.Api;
using OpenEbs.Cli.Output;
using OpenEbs.Rest;
using Spectre.Console;

namespace OpenEbs.Cli.Commands;

/// <summary>The commands on access rules.</summary>
internal static class AccessCommands
{
    public static Option<string?> Initiators() => new("--initiators")
    {
        Description = "Names of initiators that may log in, separated by commas; NAME* (behind its ':') for all that begin so, '*' for everybody; '' for every one that has a credential",
        HelpName = "LIST",
    };

    public static Option<string?> Credentials() => new("--credentials") { Description = "Names of credentials, one of which they have to prove by CHAP, separated by commas; '' for no proof", HelpName = "LIST" };

    public static Option<SharingMode?> Sharing() => new("--sharing")
    {
        Description = "exclusive: one initiator at a time, with any number of sessions; shared: several",
        HelpName = "exclusive|shared",
        CustomParser = result => CommonOptions.ParseSharing(result),
    };

    public static Command Access()
    {
        var name = new Argument<string>("name") { Description = "The volume's name", HelpName = "NAME" };
        var initiators = Initiators();
        var credentials = Credentials();
        var sharing = Sharing();
        var clear = new Option<bool>("--clear") { Description = "Take the rule: the cluster's default holds then" };
        var command = new Command("access", "Show or change who may log in to a volume. What is not given stays; sessions that are no longer allowed end at once.") { name, initiators, credentials, sharing, clear };
        command.Validators.Add(result =>
        {
            if (result.GetResult(clear) is not null && new Option[] { initiators, credentials, sharing }.Any(option => result.GetResult(option) is not null)) result.AddError("--clear takes the whole rule; give nothing besides.");
        });
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var api = CommonOptions.Connect(parsed);
            var volume = parsed.GetValue(name)!;
            var access = await Output.Progress.ShowAsync("Asking the cluster", ChangeAsync(api, volume, cancellationToken));
            ResultWriter.Write(parsed.GetValue(CommonOptions.Output), access, shown => AccessDescription.Details(volume, shown));
            return (int)ExitCode.Ok;

            async Task<AccessResource> ChangeAsync(ControlApi api, string volume, CancellationToken cancellationToken)
            {
                if (parsed.GetValue(clear)) return await api.ClearAccessAsync(volume, cancellationToken);
                var present = await api.GetAccessAsync(volume, cancellationToken);
                if (RequestOf(present, parsed.GetValue(initiators), parsed.GetValue(credentials), parsed.GetValue(sharing)) is not { } request) return present;
                return await api.SetAccessAsync(volume, request, cancellationToken);
            }
        });
        return command;
    }

    /// <summary>The rule that is asked for; null when nothing is.</summary>
    /// <param name="present">What holds for what is not given; null for a new volume.</param>
    /// <param name="initiators">As given.</param>
    /// <param name="credentials">As given.</param>
    /// <param name="sharing">As given.</param>
    public static AccessRequest? RequestOf(AccessResource? present, string? initiators, string? credentials, SharingMode? sharing)
    {
        if (initiators is null && credentials is null && sharing is null) return null;
        var rule = present is { HasRule: true } ? present : null;

        // Without a rule everybody may log in where the default says so: who only asks for sharing does not want to change that.
        var isForEverybody = initiators is null && credentials is null && present is { HasRule: false, AdmitsNobody: false };
        return new AccessRequest
        {
            Initiators = initiators is not null ? List(initiators) : isForEverybody ? [AccessRule.Anybody] : rule?.Initiators ?? [],
            Credentials = credentials is not null ? List(credentials) : rule?.Credentials ?? [],
            Sharing = sharing ?? rule?.Sharing ?? SharingMode.Exclusive,
        };
    }

    private static string[] List(string text) => text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
}
