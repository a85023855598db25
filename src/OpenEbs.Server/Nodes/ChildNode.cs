using System.Diagnostics;
using OpenEbs.Server.Configuration;

namespace OpenEbs.Server.Nodes;

/// <summary>A node as a process of its own. It ends when its standard input closes, so it never outlives this process, however that ends.</summary>
internal sealed class ChildNode : IDisposable
{
    /// <summary>Exit code of a silo that learned that it was declared dead.</summary>
    private const int DeclaredDeadExitCode = 86;

    private readonly Process _process;

    private ChildNode(Process process) => _process = process;

    public int Pid => _process.Id;

    /// <summary>128 + the signal's number for a process that a signal ended.</summary>
    public int ExitCode => _process.ExitCode;

    public bool HasExited => _process.HasExited;

    public static ChildNode Start(NodeOptions options, LogLevel logLevel)
    {
        var start = new ProcessStartInfo { FileName = Environment.ProcessPath!, RedirectStandardInput = true, UseShellExecute = false };
        // Started as "dotnet openebs.dll"?
        if (Path.GetFileNameWithoutExtension(start.FileName) == "dotnet") start.ArgumentList.Add(Environment.GetCommandLineArgs()[0]);
        foreach (var argument in (string[])["node", options.NodeName, "--log-level", logLevel.ToString()]) start.ArgumentList.Add(argument);
        // Code pages that are writable and executable at different addresses count twice in memory and slow the start; nobody but us runs in a node.
        start.Environment.TryAdd("DOTNET_EnableWriteXorExecute", "0");
        var process = Process.Start(start)!;
        var child = new ChildNode(process);
        try
        {
            process.StandardInput.WriteLine(NodeConfiguration.Write(options));
            process.StandardInput.Flush();
        }
        catch (IOException)
        {
            // It ended before it read: its exit code says why.
        }

        return child;
    }

    public Task WaitForExitAsync(CancellationToken cancellationToken) => _process.WaitForExitAsync(cancellationToken);

    /// <summary>Asks it to stop.</summary>
    public void Stop()
    {
        try
        {
            _process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It is gone already.
        }
    }

    public void Kill()
    {
        if (!_process.HasExited) _process.Kill();
    }

    /// <summary>How it ended, for people.</summary>
    public string DescribeExit() => ExitCode switch
    {
        DeclaredDeadExitCode => "stopped itself: the cluster had declared it dead",
        137 => "was killed (SIGKILL)",
        134 => "aborted (SIGABRT)",
        139 => "crashed (SIGSEGV)",
        143 => "was terminated (SIGTERM)",
        > 128 => $"was ended by signal {ExitCode - 128}",
        _ => $"ended with exit code {ExitCode}",
    };

    public void Dispose() => _process.Dispose();
}
