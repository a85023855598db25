using System.Runtime.InteropServices;

namespace OpenEbs.Server.Nodes;

/// <summary>Stops the node on SIGINT, SIGTERM or the end of its parent; a second signal ends the process at once.</summary>
internal sealed class NodeLifetime(NodeParent parent, IHostApplicationLifetime application) : IHostLifetime, IDisposable
{
    private const int InterruptedExitCode = 130;

    private static readonly TimeSpan OrphanTimeout = TimeSpan.FromSeconds(15);

    private readonly List<PosixSignalRegistration> _signals = [];
    private int _asked;

    public Task WaitForStartAsync(CancellationToken cancellationToken)
    {
        _signals.Add(PosixSignalRegistration.Create(PosixSignal.SIGTERM, Handle));
        _signals.Add(PosixSignalRegistration.Create(PosixSignal.SIGINT, parent == NodeParent.None ? Handle : static context => context.Cancel = true));
        if (parent == NodeParent.StandardInput)
        {
            new Thread(WatchParent) { IsBackground = true, Name = "openebs parent watch" }.Start();
        }

        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public void Dispose()
    {
        foreach (var signal in _signals) signal.Dispose();
    }

    private void Handle(PosixSignalContext context)
    {
        context.Cancel = true;
        if (Interlocked.Increment(ref _asked) > 1) Environment.Exit(InterruptedExitCode);
        application.StopApplication();
    }

    private void WatchParent()
    {
        while (Console.In.ReadLine() is not null)
        {
            // The parent writes nothing after the configuration.
        }

        application.StopApplication();
        Thread.Sleep(OrphanTimeout);
        Environment.Exit(InterruptedExitCode);
    }
}
