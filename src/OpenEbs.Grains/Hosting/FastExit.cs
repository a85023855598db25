using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;

namespace OpenEbs.Grains.Hosting;

/// <summary>Ends the process at once when the silo learns that the cluster declared it dead (or that it cannot go on): no flushing, no unwinding, not one more grain call. Orleans' own handler
/// waits two seconds first, in which queued calls still run; the epoch fence makes those harmless, and this makes them few.</summary>
internal sealed partial class FastExit(ILogger<FastExit> logger) : IFatalErrorHandler
{
    /// <summary>So that a supervisor can tell this from other failures.</summary>
    private const int ExitCode = 86;

    public bool IsUnexpected(Exception exception) => exception is not ThreadAbortException;

    public void OnFatalException(object? sender, string? context, Exception? exception)
    {
        LogFatal(sender, context, exception);
        Console.Error.WriteLine($"openebs: this node must stop at once: {context ?? exception?.Message ?? "fatal error"}. If the cluster declared it dead, it was paused or cut off for too long; start it again.");
        Console.Error.Flush();
        if (OperatingSystem.IsWindows()) Environment.FailFast(context, exception);
        else Exit(ExitCode);
    }

    [LibraryImport("libc", EntryPoint = "_exit")]
    private static partial void Exit(int status);

    [LoggerMessage(1500, LogLevel.Critical, "Fatal error from {Sender}: {Context}. The process ends now.")]
    private partial void LogFatal(object? sender, string? context, Exception? exception);
}
