using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;

namespace OpenEbs.Server.Tests.Processes;

/// <summary>Ports of up to five nodes, free when they were chosen.</summary>
internal sealed record DevPorts(int Base)
{
    private const int Block = 90;
    private const int First = 13400;
    private const int Last = 13590;

    private static int _next = First;

    public int Iscsi => Base;

    public int Http => Base + 10;

    public int Silo => Base + 20;

    public int Gateway => Base + 30;

    public string[] Arguments => ["--iscsi-port", $"{Iscsi}", "--http-port", $"{Http}", "--silo-port", $"{Silo}", "--gateway-port", $"{Gateway}"];

    public static DevPorts Choose()
    {
        for (var at = _next; ; at += Block)
        {
            if (at + Block > Last) at = 14000 + Random.Shared.Next(100) * Block;
            if (!Enumerable.Range(at, Block).All(IsFree)) continue;
            _next = at + Block;
            return new DevPorts(at);
        }
    }

    private static bool IsFree(int port)
    {
        try
        {
            using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            listener.Bind(new IPEndPoint(IPAddress.Loopback, port));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}

/// <summary>The real program <c>openebs dev</c> in a process of its own.</summary>
internal sealed class DevProcess : IAsyncDisposable
{
    private const int SigKill = 9;
    private const int SigTerm = 15;

    private static readonly TimeSpan StartTimeout = TimeSpan.FromSeconds(60);

    private readonly Process _process;
    private readonly StringBuilder _output = new();

    private DevProcess(Process process, DevPorts ports)
    {
        _process = process;
        Ports = ports;
        Http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{ports.Http}"), Timeout = TimeSpan.FromSeconds(30) };
        process.OutputDataReceived += (_, line) => Append(line.Data);
        process.ErrorDataReceived += (_, line) => Append(line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    public DevPorts Ports { get; }

    public HttpClient Http { get; }

    public string Output
    {
        get
        {
            lock (_output) return _output.ToString();
        }
    }

    public static async Task<DevProcess> StartAsync(string data, DevPorts ports, params string[] options)
    {
        var dev = new DevProcess(Launch("openebs.dll", ["dev", "--data", data, .. ports.Arguments, .. options]), ports);
        await dev.WaitForAsync(() => dev.Output.Contains("Ctrl-C stops it", StringComparison.Ordinal), "the welcome");
        return dev;
    }

    /// <summary>Runs a program to its end: exit code and everything that it printed.</summary>
    public static async Task<(int ExitCode, string Output)> RunAsync(string program, params string[] arguments)
    {
        using var process = Launch(program, arguments);
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        using var timeout = new CancellationTokenSource(StartTimeout);
        await process.WaitForExitAsync(timeout.Token);
        return (process.ExitCode, await output + await errors);
    }

    public Task<(int ExitCode, string Output)> ControlAsync(params string[] arguments) => RunAsync("openebsctl.dll", ["--server", $"http://127.0.0.1:{Ports.Http}", .. arguments]);

    public async Task<JsonElement> GetAsync(string path) => await Http.GetFromJsonAsync<JsonElement>(path);

    public async Task WaitForAsync(Func<bool> condition, string what)
    {
        var started = Stopwatch.GetTimestamp();
        while (!condition())
        {
            if (_process.HasExited) throw new InvalidOperationException($"The program ended with {_process.ExitCode} before {what}:\n{Output}");
            if (Stopwatch.GetElapsedTime(started) > StartTimeout) throw new TimeoutException($"Waited in vain for {what}:\n{Output}");
            await Task.Delay(50);
        }
    }

    /// <summary>kill -9, of a node of <c>--nodes</c> or of the program itself.</summary>
    public async Task KillAsync(int? pid = null)
    {
        _ = Kill(pid ?? _process.Id, SigKill);
        if (pid is null) await _process.WaitForExitAsync();
    }

    /// <summary>SIGTERM; returns the exit code and how long it took.</summary>
    public async Task<(int ExitCode, TimeSpan Took)> StopAsync()
    {
        var started = Stopwatch.GetTimestamp();
        _ = Kill(_process.Id, SigTerm);
        using var timeout = new CancellationTokenSource(StartTimeout);
        await _process.WaitForExitAsync(timeout.Token);
        return (_process.ExitCode, Stopwatch.GetElapsedTime(started));
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        if (!_process.HasExited) await KillAsync();
        _process.Dispose();
    }

    private static Process Launch(string program, string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        foreach (var argument in (string[])["exec", Path.Combine(AppContext.BaseDirectory, program), .. arguments]) start.ArgumentList.Add(argument);
        return Process.Start(start)!;
    }

    private void Append(string? line)
    {
        if (line is null) return;
        lock (_output) _output.AppendLine(line);
    }

    [DllImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static extern int Kill(int pid, int signal);
}
