namespace OpenEbs.Server.Startup;

/// <summary>A condition that the user can put right: the program prints the message and the cure and ends with the code, without a stack trace.</summary>
internal sealed class CannotStartException(ExitCode exitCode, string message, string cure) : Exception(message)
{
    public ExitCode ExitCode { get; } = exitCode;

    /// <summary>What to do about it, a sentence.</summary>
    public string Cure { get; } = cure;
}
