using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using OpenEbs.Grains.Hosting;
using OpenEbs.Grains.Nodes;
using Orleans.Runtime;

namespace OpenEbs.Grains.Membership;

/// <summary>Notices at once when the process of another silo ends: every silo holds a TCP connection, on which nothing is ever sent, to every other one's sentinel port. When it closes and the kernel
/// of that host then refuses three connections to the silo's own port, the silo is declared dead; probing would take most of a second.</summary>
/// <remarks>There are no false alarms: a paused, starved or unreachable process refuses nothing, since it is its kernel that answers. Hosts that vanish altogether are left to
/// Orleans' probes. Requires that the silo's address is that of its host: behind a proxy, which refuses for others, leave the sentinel off.</remarks>
internal sealed partial class ProcessSentinel : ILifecycleParticipant<ISiloLifecycle>, IDisposable
{
    private const int RefusalsNeeded = 3;
    private const int MaxEnded = 64;
    private static readonly TimeSpan BetweenRefusals = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan Reconnect = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan ConnectPatience = TimeSpan.FromSeconds(2);

    private readonly OpenEbsSiloOptions _options;
    private readonly IClusterMembershipService _membership;
    private readonly NodeDirectory _nodes;
    private readonly TimeProvider _time;
    private readonly ILogger<ProcessSentinel> _logger;
    private readonly ConcurrentDictionary<SiloAddress, Task> _watches = new();
    private readonly ConcurrentDictionary<Socket, bool> _watchers = new();
    private readonly CancellationTokenSource _stop = new();

    /// <summary>The last so many whose end was seen.</summary>
    private ImmutableQueue<string> _ended = [];
    private Socket? _listener;
    private ITimer? _timer;

    public ProcessSentinel(OpenEbsSiloOptions options, IClusterMembershipService membership, NodeDirectory nodes, TimeProvider time, ILogger<ProcessSentinel> logger)
    {
        _options = options;
        _membership = membership;
        _nodes = nodes;
        _time = time;
        _logger = logger;
    }

    /// <summary>Whether it is certain that the process of a silo has ended. Most of the time it is not: a silo that was declared dead may be paused, or cut off.</summary>
    /// <param name="silo">Its address, as <see cref="SiloAddress.ToParsableString"/> writes it.</param>
    public bool HasEnded(string silo) => _ended.Contains(silo);

    public void Participate(ISiloLifecycle lifecycle)
    {
        if (_options.SentinelPort is not { } port) return;

        // Listens longer than the silo lives: whoever stops in good order must not look like one that died.
        lifecycle.Subscribe(nameof(ProcessSentinel), ServiceLifecycleStage.First, _ => Listen(port), _ => StopListening());
        lifecycle.Subscribe(nameof(ProcessSentinel), ServiceLifecycleStage.Active, _ => StartWatching(), _ => _stop.CancelAsync());
    }

    public void Dispose()
    {
        StopListening();
        _timer?.Dispose();
        _stop.Dispose();
    }

    private Task Listen(int port)
    {
        var address = _nodes.Local.Endpoint.Address;
        var listener = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            listener.Bind(new IPEndPoint(IPAddress.IsLoopback(address) ? address : address.AddressFamily == AddressFamily.InterNetworkV6 ? IPAddress.IPv6Any : IPAddress.Any, port));
            listener.Listen(128);
        }
        catch (SocketException e)
        {
            // The cluster works without, only slower to notice.
            listener.Dispose();
            LogCannotListen(port, e.Message);
            return Task.CompletedTask;
        }

        _listener = listener;
        _ = AcceptAsync(listener);
        return Task.CompletedTask;
    }

    private async Task AcceptAsync(Socket listener)
    {
        while (true)
        {
            try
            {
                var watcher = await listener.AcceptAsync(CancellationToken.None);
                _watchers[watcher] = true;
                _ = HoldAsync(watcher);
            }
            catch (ObjectDisposedException)
            {
                return;
            }
            catch (SocketException e) when (e.SocketErrorCode == SocketError.OperationAborted)
            {
                return;
            }
            catch (SocketException)
            {
                // That one was gone before it was accepted.
            }
        }
    }

    private async Task HoldAsync(Socket watcher)
    {
        try
        {
            await watcher.ReceiveAsync(new byte[1], SocketFlags.None);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Gone, as it may.
        }

        _watchers.TryRemove(watcher, out _);
        watcher.Dispose();
    }

    private Task StopListening()
    {
        _listener?.Dispose();
        foreach (var watcher in _watchers.Keys) watcher.Dispose();
        return Task.CompletedTask;
    }

    private Task StartWatching()
    {
        _timer = _time.CreateTimer(_ => WatchNewcomers(), null, TimeSpan.Zero, Reconnect);
        return Task.CompletedTask;
    }

    private void WatchNewcomers()
    {
        if (_stop.IsCancellationRequested) return;
        foreach (var node in _nodes.ListActive())
        {
            if (node.Silo.Equals(_nodes.Local) || node.Facts is not { SentinelPort: > 0 } facts || _watches.ContainsKey(node.Silo)) continue;
            _watches[node.Silo] = WatchAsync(node, new IPEndPoint(node.Silo.Endpoint.Address, facts.SentinelPort));
        }
    }

    private async Task WatchAsync(NodeEntry node, IPEndPoint sentinel)
    {
        try
        {
            while (IsActive(node.Silo))
            {
                var wasConnected = await ConnectAndWaitAsync(sentinel);
                var hasEnded = wasConnected && await IsRefusedAsync(node.Silo.Endpoint);
                if (hasEnded) NoteEnded(node.Silo);
                if (hasEnded && IsActive(node.Silo))
                {
                    LogDead(node.Name, node.Silo);
                    if (await _membership.TryKill(node.Silo)) return;
                }

                await Task.Delay(Reconnect, _time, _stop.Token);
            }
        }
        catch (OperationCanceledException)
        {
            // This silo stops.
        }
        catch (Exception failure)
        {
            LogWatchFailed(node.Name, failure.Message);
        }
        finally
        {
            _watches.TryRemove(node.Silo, out _);
        }
    }

    private void NoteEnded(SiloAddress silo) => ImmutableInterlocked.Update(
        ref _ended,
        static (ended, name) => ended.Contains(name) ? ended : (ended.Count() < MaxEnded ? ended : ended.Dequeue()).Enqueue(name),
        silo.ToParsableString());

    /// <summary>True when there was a connection, which has ended.</summary>
    private async Task<bool> ConnectAndWaitAsync(IPEndPoint sentinel)
    {
        using var socket = new Socket(sentinel.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            using var patience = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
            patience.CancelAfter(ConnectPatience);
            await socket.ConnectAsync(sentinel, patience.Token);
        }
        catch (Exception e) when (e is SocketException || (e is OperationCanceledException && !_stop.IsCancellationRequested))
        {
            return false;
        }

        try
        {
            await socket.ReceiveAsync(new byte[1], SocketFlags.None, _stop.Token);
        }
        catch (SocketException)
        {
            // A reset is as good as an end.
        }

        return true;
    }

    private async Task<bool> IsRefusedAsync(IPEndPoint silo)
    {
        for (var refusals = 0; refusals < RefusalsNeeded; refusals++)
        {
            if (refusals > 0) await Task.Delay(BetweenRefusals, _time, _stop.Token);
            using var socket = new Socket(silo.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                using var patience = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
                patience.CancelAfter(ConnectPatience);
                await socket.ConnectAsync(silo, patience.Token);
                return false;
            }
            catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionRefused)
            {
                // Its kernel lives and says that nobody listens.
            }
            catch (Exception e) when (e is SocketException || (e is OperationCanceledException && !_stop.IsCancellationRequested))
            {
                return false;
            }
        }

        return true;
    }

    private bool IsActive(SiloAddress silo) => _membership.CurrentSnapshot.Members.TryGetValue(silo, out var member) && member.Status == SiloStatus.Active;

    [LoggerMessage(1510, LogLevel.Warning, "The sentinel cannot listen on port {Port}, so the other nodes will notice the end of this process later: {Reason}")]
    private partial void LogCannotListen(int port, string reason);

    [LoggerMessage(1511, LogLevel.Warning, "Node {Node}: its process has ended; declaring silo {Silo} dead")]
    private partial void LogDead(string node, SiloAddress silo);

    [LoggerMessage(1512, LogLevel.Warning, "Node {Node}: can no longer be watched: {Reason}")]
    private partial void LogWatchFailed(string node, string reason);
}
