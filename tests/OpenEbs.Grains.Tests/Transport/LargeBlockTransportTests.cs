using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using Microsoft.AspNetCore.Connections;
using OpenEbs.Grains.Transport;
using Xunit;

namespace OpenEbs.Grains.Tests.Transport;

/// <summary>The socket transport by itself, over loopback.</summary>
public sealed class LargeBlockTransportTests : IAsyncLifetime
{
    private IConnectionListener _listener = null!;
    private ConnectionContext _client = null!;
    private ConnectionContext _server = null!;

    public async Task InitializeAsync()
    {
        _listener = await new LargeBlockListenerFactory().BindAsync(new IPEndPoint(IPAddress.Loopback, 0));
        var accepting = _listener.AcceptAsync();
        _client = await new LargeBlockConnectionFactory().ConnectAsync(_listener.EndPoint);
        _server = (await accepting)!;
    }

    public async Task DisposeAsync()
    {
        await _client.DisposeAsync();
        await _server.DisposeAsync();
        await _listener.DisposeAsync();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4096)]
    [InlineData((256 << 10) + 1)]
    [InlineData(20 << 20)]
    public async Task Bytes_BothWays_ArriveInOrder(int lengthBytes)
    {
        var sent = new byte[lengthBytes];
        new Random(lengthBytes).NextBytes(sent);

        await Task.WhenAll(SendAsync(_client, sent), SendAsync(_server, sent), ExpectAsync(_server, sent), ExpectAsync(_client, sent));
    }

    [Fact]
    public async Task AWriter_WhosePeerDoesNotRead_WaitsInsteadOfFillingMemory()
    {
        var chunk = new byte[1 << 20];
        var sent = 0;
        Task<FlushResult> pending;
        do
        {
            _client.Transport.Output.Write(chunk);
            pending = _client.Transport.Output.FlushAsync().AsTask();
            sent++;
            await Task.WhenAny(pending, Task.Delay(500));
        }
        while (pending.IsCompleted && sent < 100);

        // Pipes of a MiB on both sides, and what the kernel buffers.
        Assert.InRange(sent, 1, 30);
        await ExpectAsync(_server, new byte[sent << 20]);
        await pending.WaitAsync(TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task Abort_EndsBothSides()
    {
        var closed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var peerClosed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _client.ConnectionClosed.Register(() => closed.SetResult());
        _server.ConnectionClosed.Register(() => peerClosed.SetResult());
        var reading = _client.Transport.Input.ReadAsync().AsTask();

        _client.Abort(new ConnectionAbortedException("enough"));

        await Task.WhenAll(closed.Task, peerClosed.Task).WaitAsync(TimeSpan.FromSeconds(10));
        var isOver = false;
        try
        {
            isOver = (await reading).IsCompleted;
        }
        catch (Exception ended) when (ended is ConnectionAbortedException or ConnectionResetException)
        {
            isOver = true;
        }

        Assert.True(isOver);
    }

    [Fact]
    public async Task Listener_WhenUnbound_AcceptsNoMore()
    {
        var accepting = _listener.AcceptAsync().AsTask();
        await _listener.UnbindAsync();
        Assert.Null(await accepting.WaitAsync(TimeSpan.FromSeconds(10)));
    }

    [Fact]
    public async Task Listener_OnAPortInUse_SaysWhatToDo()
    {
        var problem = await Assert.ThrowsAsync<AddressInUseException>(async () => await new LargeBlockListenerFactory().BindAsync(_listener.EndPoint));
        Assert.Contains("choose another port", problem.Message, StringComparison.Ordinal);
    }

    private static async Task SendAsync(ConnectionContext connection, byte[] bytes)
    {
        for (var offset = 0; offset < bytes.Length; offset += 100_000)
        {
            await connection.Transport.Output.WriteAsync(bytes.AsMemory(offset, Math.Min(100_000, bytes.Length - offset)));
        }
    }

    private static async Task ExpectAsync(ConnectionContext connection, byte[] expected)
    {
        var offset = 0;
        while (offset < expected.Length)
        {
            var read = await connection.Transport.Input.ReadAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(20));
            foreach (var memory in read.Buffer)
            {
                Assert.True(memory.Span.SequenceEqual(expected.AsSpan(offset, memory.Length)), $"bytes from {offset} on differ");
                offset += memory.Length;
            }

            connection.Transport.Input.AdvanceTo(read.Buffer.End);
            Assert.False(read.IsCompleted && offset < expected.Length, "the connection ended early");
        }
    }
}
