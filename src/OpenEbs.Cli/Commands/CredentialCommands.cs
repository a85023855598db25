using System.CommandLine;
using OpenEbs.Cli.Output;
using OpenEbs.Rest;
using Spectre.Console;

namespace OpenEbs.Cli.Commands;

/// <summary>The commands on credentials. No option takes a secret itself: it would be in the shell's history, and in the process list for everybody to read.</summary>
internal static class CredentialCommands
{
    public static Command Create() => new("credential", "Credentials for CHAP. Access rules of volumes name them; nothing shows their secrets.") { CreateCredential(), List(), Delete() };

    private static Argument<string> Name() => new("name") { Description = "The credential's name", HelpName = "NAME" };

    private static Command CreateCredential()
    {
        var name = Name();
        var user = new Option<string>("--user") { Description = "CHAP user name of the initiators [default: NAME]", HelpName = "NAME", DefaultValueFactory = _ => "" };
        var file = new Option<string?>("--secret-file") { Description = "File whose first line is the secret, 12 to 128 characters (Windows takes at most 16); - for standard input", HelpName = "FILE" };
        var variable = new Option<string?>("--secret-env") { Description = "Environment variable that has the secret", HelpName = "VARIABLE" };
        var targetUser = new Option<string>("--target-user") { Description = "CHAP user name of the target in mutual CHAP [default: NAME]", HelpName = "NAME", DefaultValueFactory = _ => "" };
        var targetFile = new Option<string?>("--target-secret-file") { Description = "File whose first line is what the target proves itself with; - for standard input", HelpName = "FILE" };
        var targetVariable = new Option<string?>("--target-secret-env") { Description = "Environment variable that has it", HelpName = "VARIABLE" };
        var replace = new Option<bool>("--replace") { Description = "Replace one that exists: logins use it from now on, sessions that there are go on" };
        var command = new Command("create", "Create a credential. The secret comes from a file, standard input or the environment, never from the command line, which others can read.")
        {
            name, user, file, variable, targetUser, targetFile, targetVariable, replace,
        };
        command.Validators.Add(result =>
        {
            if ((result.GetResult(file) is null) == (result.GetResult(variable) is null)) result.AddError("give the secret by --secret-file FILE (- for standard input) or by --secret-env VARIABLE.");
            if (result.GetResult(targetFile) is not null && result.GetResult(targetVariable) is not null) result.AddError("give the target's secret by --target-secret-file or by --target-secret-env, not by both.");
        });
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var api = CommonOptions.Connect(parsed);
            var request = new CredentialRequest
            {
                UserName = parsed.GetValue(user)!,
                Secret = Read(parsed, file, variable) ?? "",
                TargetUserName = parsed.GetValue(targetUser)!,
                TargetSecret = Read(parsed, targetFile, targetVariable) ?? "",
            };
            var isReplacement = parsed.GetValue(replace);
            var credential = await Output.Progress.ShowAsync("Asking the cluster", api.PutCredentialAsync(parsed.GetValue(name)!, request, isReplacement, cancellationToken));
            ResultWriter.Write(parsed.GetValue(CommonOptions.Output), credential, shown => new Text(
                $"Credential {shown.Name} {(isReplacement ? "replaced" : "created")}: user {shown.UserName}{(shown.HasTargetSecret ? $", target user {shown.TargetUserName}" : ", no mutual CHAP")}.\n"));
            return (int)ExitCode.Ok;
        });
        return command;
    }

    private static Command List()
    {
        var command = new Command("list", "List the credentials, without their secrets.");
        command.Aliases.Add("ls");
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var api = CommonOptions.Connect(parsed);
            var credentials = await Output.Progress.ShowAsync("Listing credentials", api.ListCredentialsAsync(cancellationToken));
            ResultWriter.Write(parsed.GetValue(CommonOptions.Output), credentials, AccessDescription.Table);
            return (int)ExitCode.Ok;
        });
        return command;
    }

    private static Command Delete()
    {
        var name = Name();
        var command = new Command("delete", "Delete a credential that no access rule names.") { name };
        command.Aliases.Add("rm");
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var api = CommonOptions.Connect(parsed);
            var credential = parsed.GetValue(name)!;
            await api.DeleteCredentialAsync(credential, cancellationToken);
            if (parsed.GetValue(CommonOptions.Output) == OutputFormat.Table) await Console.Out.WriteLineAsync($"Credential {credential} deleted.");
            return (int)ExitCode.Ok;
        });
        return command;
    }

    private static string? Read(ParseResult parsed, Option<string?> file, Option<string?> variable)
    {
        if (parsed.GetValue(variable) is { } name)
            return Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : throw new CommandFailedException(ExitCode.Usage, $"the environment variable {name} is not set.");
        if (parsed.GetValue(file) is not { } path) return null;
        try
        {
            using var reader = path == "-" ? Console.In : new StreamReader(path);
            return reader.ReadLine() is { Length: > 0 } line ? line : throw new CommandFailedException(ExitCode.Usage, $"{(path == "-" ? "standard input" : path)} has no first line with a secret.");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new CommandFailedException(ExitCode.Usage, $"the secret cannot be read: {exception.Message}");
        }
    }
}
