namespace OpenEbs.Cli;

/// <summary>A command that ends with one clear line and an exit code.</summary>
internal sealed class CommandFailedException(ExitCode exitCode, string message) : Exception(message)
{
    public ExitCode ExitCode { get; } = exitCode;
}
