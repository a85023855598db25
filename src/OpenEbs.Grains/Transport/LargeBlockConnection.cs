using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;

namespace OpenEbs.Grains.Transport;

/// <summary>A TCP connection of Orleans over pipes of 256 KiB blocks. Orleans' own receives at most 4 KiB at a time and has no back-pressure: with payloads of 64 KiB and more it moves
/// about half as much.</summary>
internal sealed class LargeBlockConnection : ConnectionContext
{
    /// <summary>A block with less room left than this is not received into.</summary>
    private const int MinReceiveBytes = 32 << 10;

    /// <summary>The side that is ahead waits at so many bytes in the pipe.</summary>
    private const int PauseBytes = 4 * LargeBlockPool.BlockBytes;

    private readonly Socket _socket;
    private readonly Pipe _input = new(CreateOptions());
    private readonly Pipe _output = new(CreateOptions());
    private readonly CancellationTokenSource _closed = new();
    private readonly Task _receiving;
    private readonly Task _sending;
    private Task _closing = Task.CompletedTask;
    private int _isShutDown;

    public LargeBlockConnection(Socket socket)
    {
        _socket = socket;
        LocalEndPoint = socket.LocalEndPoint;
        RemoteEndPoint = socket.RemoteEndPoint;
        ConnectionClosed = _closed.Token;
        Transport = new DuplexPipe(_input.Reader, _output.Writer);
        _receiving = Task.Run(ReceiveAsync);
        _sending = Task.Run(SendAsync);
    }

    public override string ConnectionId { get; set; } = CorrelationId.Next();

    public override IFeatureCollection Features { get; } = new FeatureCollection();

    public override IDictionary<object, object?> Items { get; set; } = new ConnectionItems();

    public override IDuplexPipe Transport { get; set; }

    public override void Abort(ConnectionAbortedException abortReason) => Shutdown();

    public override async ValueTask DisposeAsync()
    {
        await Transport.Input.CompleteAsync();
        await Transport.Output.CompleteAsync();
        Shutdown();
        await Task.WhenAll(_receiving, _sending);
        await _closing;
        _closed.Dispose();
        await base.DisposeAsync();
    }

    private static PipeOptions CreateOptions() => new(
        LargeBlockPool.Shared,
        PipeScheduler.ThreadPool,
        PipeScheduler.ThreadPool,
        PauseBytes,
        PauseBytes / 2,
        LargeBlockPool.BlockBytes,
        useSynchronizationContext: false);

    private async Task ReceiveAsync()
    {
        Exception? failure = null;
        try
        {
            while (true)
            {
                var received = await _socket.ReceiveAsync(_input.Writer.GetMemory(MinReceiveBytes), SocketFlags.None);
                if (received == 0) break;
                _input.Writer.Advance(received);
                var flushed = await _input.Writer.FlushAsync();
                if (flushed.IsCompleted || flushed.IsCanceled) break;
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            failure = Volatile.Read(ref _isShutDown) == 0 ? new ConnectionResetException(e.Message, e) : new ConnectionAbortedException();
        }
        finally
        {
            await _input.Writer.CompleteAsync(failure);
            Shutdown();

            // Orleans waits for this token when it closes a connection, and must not run in this loop.
            _closing = Task.Run(_closed.CancelAsync, CancellationToken.None);
        }
    }

    private async Task SendAsync()
    {
        Exception? failure = null;
        try
        {
            while (true)
            {
                var read = await _output.Reader.ReadAsync();
                if (read.IsCanceled) break;
                foreach (var memory in read.Buffer) await SendAllAsync(memory);
                _output.Reader.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted) break;
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            failure = new ConnectionResetException(e.Message, e);
        }
        finally
        {
            Shutdown();
            await _output.Reader.CompleteAsync(failure);
        }
    }

    private async ValueTask SendAllAsync(ReadOnlyMemory<byte> memory)
    {
        while (!memory.IsEmpty) memory = memory[await _socket.SendAsync(memory, SocketFlags.None)..];
    }

    /// <summary>Ends both loops, wherever they wait.</summary>
    private void Shutdown()
    {
        if (Interlocked.Exchange(ref _isShutDown, 1) != 0) return;
        try
        {
            _socket.Shutdown(SocketShutdown.Both);
        }
        catch (SocketException)
        {
            // The peer was faster.
        }

        _socket.Dispose();
        _output.Reader.CancelPendingRead();
        _input.Writer.CancelPendingFlush();
    }

    private sealed class DuplexPipe(PipeReader input, PipeWriter output) : IDuplexPipe
    {
        public PipeReader Input { get; } = input;

        public PipeWriter Output { get; } = output;
    }

    private static class CorrelationId
    {
        private static long _last;

        public static string Next() => $"openebs-{Interlocked.Increment(ref _last):x}";
    }
}
