using System.Diagnostics.Metrics;
using Microsoft.Extensions.Time.Testing;
using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Portals;
using OpenEbs.Iscsi.Tests.Initiators;

namespace OpenEbs.Iscsi.Tests.Connections;

/// <summary>Time-outs, limits and the orderly stop.</summary>
public class WatchTests
{
    private readonly FakeTimeProvider _time = new();

    [Fact]
    public async Task SilentInitiator_IsPingedAndThenDropped()
    {
        await using var portal = await TestPortal.StartAsync(time: _time);
        await using var initiator = await TestInitiator.LogInAsync(portal);
        await AdvanceAsync(12);
        var ping = await initiator.ExpectAsync(Opcode.NopIn);
        Assert.Equal(BasicHeader.ReservedTag, ping.Header.InitiatorTaskTag);
        Assert.NotEqual(BasicHeader.ReservedTag, ping.Header.TargetTransferTag);
        Assert.Equal(initiator.ExpStatSN, ping.StatSN);
        await AdvanceAsync(25);
        await initiator.ExpectCloseAsync();
        await WaitAsync(() => portal.Catalog.Attached == 0);
    }

    [Fact]
    public async Task InitiatorThatAnswersPings_Stays()
    {
        await using var portal = await TestPortal.StartAsync(time: _time);
        await using var initiator = await TestInitiator.LogInAsync(portal);
        for (var i = 0; i < 5; i++)
        {
            await AdvanceAsync(12);
            var ping = await initiator.ExpectAsync(Opcode.NopIn);
            var pong = new TestPdu(Opcode.NopOut, immediate: true);
            pong.Header.InitiatorTaskTag = BasicHeader.ReservedTag;
            pong.Header.TargetTransferTag = ping.Header.TargetTransferTag;
            initiator.Number(pong, immediate: true);
            await initiator.SendAsync(pong);
            await initiator.PingAsync();
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("half a header")]
    [InlineData("login without end")]
    public async Task LoginThatStalls_IsDropped(string what)
    {
        await using var portal = await TestPortal.StartAsync(time: _time);
        await using var initiator = await TestInitiator.ConnectAsync(portal.EndPoint);
        if (what.StartsWith("half", StringComparison.Ordinal)) await initiator.SendRawAsync(new byte[20]);
        if (what.StartsWith("login", StringComparison.Ordinal)) await initiator.LoginRequestAsync(0x04, $"InitiatorName=iqn.a TargetName={portal.TargetName}");
        await Task.Delay(50);
        await AdvanceAsync(17);
        await initiator.ExpectCloseAsync();
    }

    [Fact]
    public async Task SilentDiscoverySession_IsDropped()
    {
        await using var portal = await TestPortal.StartAsync(time: _time);
        await using var initiator = await TestInitiator.ConnectAsync(portal.EndPoint);
        await initiator.LoginRequestAsync(0x87, "InitiatorName=iqn.a SessionType=Discovery");
        await AdvanceAsync(35);
        await initiator.ExpectCloseAsync();
    }

    /// <summary>An initiator that does not read: output stays bounded, its commands are no longer served, and in the end it is dropped.</summary>
    [Fact]
    public async Task SlowReader_IsHeldBackAndThenDropped()
    {
        await using var portal = await TestPortal.StartAsync(time: _time, sizeBytes: 256 << 20);
        await using var initiator = await TestInitiator.LogInAsync(portal);
        initiator.Socket.ReceiveBufferSize = 4096;
        var sent = 0;
        using var timeout = new CancellationTokenSource(TimeSpan.FromSeconds(3));
        try
        {
            for (; sent < 4000; sent++)
            {
                var ping = new TestPdu(Opcode.NopOut, immediate: true) { Data = new byte[8192] };
                ping.Header.InitiatorTaskTag = initiator.NewTag();
                ping.Header.TargetTransferTag = BasicHeader.ReservedTag;
                initiator.Number(ping, immediate: true);
                var bytes = initiator.Serialize(ping);
                for (var at = 0; at < bytes.Length;) at += await initiator.Socket.SendAsync(bytes.AsMemory(at), timeout.Token);
            }
        }
        catch (OperationCanceledException)
        {
            // Held back, as it should be.
        }

        Assert.InRange(sent, 100, 3999);
        Assert.InRange(portal.Pool.RentedBytes, 0, 16 << 20);
        await AdvanceAsync(3);
        await AdvanceAsync(40);
        await WaitAsync(() => portal.Catalog.Attached == 0);
    }

    [Fact]
    public async Task HalfOpenConnections_GiveWayToAGoodInitiator()
    {
        await using var portal = await TestPortal.StartAsync(options => options.MaxLoginConnections = 16);
        var flood = new List<TestInitiator>();
        for (var i = 0; i < 300; i++) flood.Add(await TestInitiator.ConnectAsync(portal.EndPoint));
        await using var good = await TestInitiator.LogInAsync(portal);
        (await good.ExecuteAsync([0, 0, 0, 0, 0, 0])).AssertGood();
        foreach (var one in flood) await one.DisposeAsync();
    }

    [Fact]
    public async Task MoreConnectionsThanAllowed_AreClosedAndCounted()
    {
        await using var portal = await TestPortal.StartAsync(options => options.MaxConnections = 3);
        long refused = 0;
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, self) =>
        {
            if (instrument.Meter.Name == IscsiMetrics.Name && instrument.Name == "openebs.iscsi.connections.closed") self.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<long>((_, value, tags, _) =>
        {
            foreach (var tag in tags)
            {
                if (Equals(tag.Value, "ConnectionLimit")) Interlocked.Add(ref refused, value);
            }
        });
        listener.Start();
        await using var first = await TestInitiator.LogInAsync(portal);
        var others = new List<TestInitiator>();
        for (var i = 0; i < 10; i++) others.Add(await TestInitiator.ConnectAsync(portal.EndPoint));
        await others[^1].ExpectCloseAsync();
        await WaitAsync(() => Interlocked.Read(ref refused) >= 8);
        (await first.ExecuteAsync([0, 0, 0, 0, 0, 0])).AssertGood();
        foreach (var one in others) await one.DisposeAsync();
    }

    [Fact]
    public async Task Stop_AsksForLogoutAndWaitsForIt()
    {
        await using var portal = await TestPortal.StartAsync(options => options.StopTimeout = TimeSpan.FromSeconds(10));
        await using var initiator = await TestInitiator.LogInAsync(portal);
        portal.Store.Shut();
        var read = initiator.Command([0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], 512, read: true);
        await initiator.SendAsync(read);
        await portal.Store.WaitInsideAsync(1);
        var stopping = portal.Portal.StopAsync();
        var message = await initiator.ExpectAsync(Opcode.AsyncMessage);
        Assert.Equal((1, 10), (message.Header.Bytes[36], message.Header.Get16(42)));
        portal.Store.Open();
        (await initiator.FinishAsync(read)).AssertGood();
        var logout = new TestPdu(Opcode.LogoutRequest, immediate: true);
        initiator.Number(logout, immediate: true);
        await initiator.SendAsync(logout);
        await initiator.ExpectAsync(Opcode.LogoutResponse);
        await initiator.DisposeAsync();
        await stopping.WaitAsync(TimeSpan.FromSeconds(5));
    }

    [Fact]
    public async Task Stop_InitiatorIgnoresIt_EndsInTime()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        await portal.Portal.StopAsync().WaitAsync(TimeSpan.FromSeconds(5));
        await initiator.ExpectAsync(Opcode.AsyncMessage);
        await initiator.ExpectCloseAsync();
    }

    [Fact]
    public async Task Start_PortInUse_SaysSo()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var second = new IscsiPortal(new IscsiPortalOptions(), portal.Catalog, portal.Pool, TimeProvider.System,
            Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance);
        await Assert.ThrowsAsync<System.Net.Sockets.SocketException>(() => second.StartAsync(portal.EndPoint));
    }

    [Fact]
    public void Options_OutOfRange_AreAllNamed()
    {
        var options = new IscsiPortalOptions { PortalGroupTag = 0, MaxConnections = 0, MaxLoginConnections = 0, MaxSessions = 70000, MaxBufferedBytes = 1, LoginTimeout = TimeSpan.Zero,
            MaxConnectionsPerAddress = 0, ConnectionRatePerAddress = 0, ConnectionBurstPerAddress = 0, MaxSessionsPerTarget = 0, MaxDiscoverySessions = 0, ChapAlgorithms = [] };
        Assert.Equal(12, options.Validate().Count());
        Assert.Empty(new IscsiPortalOptions().Validate());
    }

    private static async Task WaitAsync(Func<bool> condition)
    {
        for (var i = 0; !condition(); i++)
        {
            Assert.True(i < 1000, "The condition did not come true.");
            await Task.Delay(10);
        }
    }

    /// <summary>Second by second, so that the portal's clock ticks.</summary>
    private async Task AdvanceAsync(int seconds)
    {
        for (var i = 0; i < seconds; i++)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            await Task.Delay(5);
        }
    }
}
