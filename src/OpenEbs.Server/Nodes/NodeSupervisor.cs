using System.Globalization;
using System.Runtime.InteropServices;
using OpenEbs.Server.Configuration;
using OpenEbs.Server.Startup;

namespace OpenEbs.Server.Nodes;

/// <summary>Keeps the nodes of <c>dev --nodes</c> running: each is a child process; one that dies is started again after a delay.</summary>
internal sealed class NodeSupervisor(DevOptions options, IReadOnlyList<NodeOptions> nodes) : IDisposable
{
    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(50);

    private readonly ChildNode[] _children = new ChildNode[nodes.Count];
    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromSeconds(2) };

    /// <param name="onReady">Called with the process ids when all nodes are ready for the first time.</param>
    /// <param name="cancellationToken">Stops everything.</param>
    public async Task<int> RunAsync(Func<IReadOnlyList<int>, Task> onReady, CancellationToken cancellationToken)
    {
        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Handle);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Handle);
        try
        {
            for (var i = 0; i < nodes.Count; i++) _children[i] = ChildNode.Start(nodes[i], options.LogLevel);
            var failed = await WaitUntilReadyAsync(stopping.Token);
            if (failed is not null) return failed.ExitCode is > 0 and <= 128 ? failed.ExitCode : (int)ExitCode.Failed;
            var keeping = nodes.Select((_, index) => KeepAsync(index, stopping.Token)).ToArray();
            await onReady(_children.Select(child => child.Pid).ToArray());
            await Task.WhenAll(keeping);
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // Asked to stop.
        }
        finally
        {
            await StopAllAsync();
        }

        return (int)ExitCode.Ok;

        void Handle(PosixSignalContext context)
        {
            context.Cancel = true;
            if (stopping.IsCancellationRequested) KillAll();
            else stopping.Cancel();
        }
    }

    public void Dispose() => _http.Dispose();

    /// <summary>Null when all are ready; else the one that ended instead.</summary>
    private async Task<ChildNode?> WaitUntilReadyAsync(CancellationToken cancellationToken)
    {
        for (var i = 0; i < nodes.Count; i++)
        {
            while (!await IsReadyAsync(nodes[i], cancellationToken))
            {
                if (Array.Find(_children, child => child.HasExited) is { } failed) return failed;
                await Task.Delay(PollInterval, cancellationToken);
            }
        }

        return null;
    }

    private async Task KeepAsync(int index, CancellationToken cancellationToken)
    {
        var name = nodes[index].NodeName;
        while (true)
        {
            var child = _children[index];
            await child.WaitForExitAsync(cancellationToken);
            if (cancellationToken.IsCancellationRequested) return;
            Say($"{name} (pid {child.Pid}) {child.DescribeExit()}; starting it again in {options.RestartDelay.TotalSeconds.ToString("0.##", CultureInfo.InvariantCulture)} s");
            await Task.Delay(options.RestartDelay, cancellationToken);
            child.Dispose();
            child = _children[index] = ChildNode.Start(nodes[index], options.LogLevel);
            while (!child.HasExited && !await IsReadyAsync(nodes[index], cancellationToken)) await Task.Delay(PollInterval, cancellationToken);
            if (!child.HasExited) Say($"{name} is back (pid {child.Pid})");
        }
    }

    private async Task<bool> IsReadyAsync(NodeOptions node, CancellationToken cancellationToken)
    {
        try
        {
            using var response = await _http.GetAsync(new Uri($"http://127.0.0.1:{node.HttpPort}/readyz"), cancellationToken);
            return response.IsSuccessStatusCode;
        }
        catch (Exception exception) when (exception is HttpRequestException || exception is TaskCanceledException && !cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }

    private async Task StopAllAsync()
    {
        foreach (var child in _children) child?.Stop();
        using var timeout = new CancellationTokenSource(StopTimeout);
        foreach (var child in _children)
        {
            if (child is null) continue;
            try
            {
                await child.WaitForExitAsync(timeout.Token);
            }
            catch (OperationCanceledException)
            {
                Say($"pid {child.Pid} did not stop within {StopTimeout.TotalSeconds} s; killing it");
                child.Kill();
            }

            child.Dispose();
        }
    }

    private void KillAll()
    {
        foreach (var child in _children) child?.Kill();
        Environment.Exit(130);
    }

    private static void Say(string text) => Console.Out.WriteLine($"  {text}");
}
