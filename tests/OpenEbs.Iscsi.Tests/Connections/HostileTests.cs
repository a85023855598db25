using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using OpenEbs.Iscsi.Access;
using OpenEbs.Iscsi.Tests.Initiators;
using Xunit.Abstractions;

namespace OpenEbs.Iscsi.Tests.Connections;

/// <summary>Thousands of connections that stall in every stage of a login, from many addresses, beside one session that works.</summary>
public class HostileTests(ITestOutputHelper output)
{
    private static readonly int Connections = int.TryParse(Environment.GetEnvironmentVariable("OPENEBS_HOSTILE_CONNECTIONS"), out var value) ? value : 3000;

    [Fact]
    public async Task StalledConnections_LeaveMemoryBounded_AndTheWorkingSessionServed()
    {
        await using var portal = await TestPortal.StartAsync(options => options.LoginTimeout = TimeSpan.FromSeconds(60));
        portal.Store.Records = false;
        portal.Catalog.Decide = login => new LoginDecision(login.InitiatorName.EndsWith("chap", StringComparison.Ordinal) ? LoginDemand.Chap : LoginDemand.Open);
        await using var good = await TestInitiator.LogInAsync(portal);
        using var stop = new CancellationTokenSource();
        var working = WorkAsync(good, stop.Token);
        var sockets = new List<TestInitiator>(Connections);
        var before = GC.GetTotalMemory(forceFullCollection: true);
        for (var i = 0; i < Connections; i++)
        {
            // 30 addresses: none of them comes near its own limits.
            var one = await TestInitiator.ConnectAsync(portal.EndPoint, IPAddress.Parse($"127.0.1.{1 + i % 30}"));
            sockets.Add(one);
            await StallAsync(one, portal, i % 6);
        }

        await Task.Delay(500);
        var pooled = portal.Pool.RentedBytes;
        var grown = GC.GetTotalMemory(forceFullCollection: true) - before;
        await stop.CancelAsync();
        var (count, longest) = await working;
        output.WriteLine($"{Connections} stalled connections: heap grew by {grown >> 20} MiB with both ends in it, {pooled >> 10} KiB of buffers are rented; beside them {count} writes and reads, the longest took {longest.TotalMilliseconds:0} ms");

        // 256 that log in and 32 discoveries with 16 KiB each and what they declared (64 KiB of text at most), plus the 3,000 sockets of this side.
        Assert.InRange(grown, 0, (64L << 20) + (Connections * 8192L));
        Assert.InRange(pooled, 0, 8 << 20);
        Assert.InRange(count, 50, int.MaxValue);
        Assert.InRange(longest, TimeSpan.Zero, TimeSpan.FromSeconds(5));

        // Not only who was there before is served.
        await using var late = await TestInitiator.ConnectAsync(portal.EndPoint, IPAddress.Parse("127.0.2.1"));
        late.Isid++;
        await late.LoginAsync(portal.TargetName);
        foreach (var one in sockets) await one.DisposeAsync();
    }

    private static async Task StallAsync(TestInitiator one, TestPortal portal, int stage)
    {
        try
        {
            switch (stage)
            {
                case 1:
                    await one.SendRawAsync(new byte[20]);
                    break;
                case 2:
                    await one.SendAsync(one.LoginRequest(0x04, $"InitiatorName=iqn.a TargetName={portal.TargetName}"));
                    break;
                case 3:
                    // Text without end: continued, and never finished.
                    var part = one.LoginRequest(0x44, "");
                    part.Data = new byte[8192];
                    for (var i = 0; i < 7; i++) await one.SendAsync(part);
                    break;
                case 4:
                    await one.SendAsync(one.LoginRequest(0x87, "InitiatorName=iqn.a SessionType=Discovery"));
                    break;
                case 5:
                    await one.SendAsync(one.LoginRequest(0x00, $"InitiatorName=iqn.a:chap TargetName={portal.TargetName} AuthMethod=CHAP"));
                    await one.SendAsync(one.LoginRequest(0x00, "CHAP_A=7,5"));
                    break;
            }
        }
        catch (SocketException)
        {
            // It gave way to a newer one already.
        }
    }

    private static async Task<(int Count, TimeSpan Longest)> WorkAsync(TestInitiator initiator, CancellationToken stop)
    {
        var longest = TimeSpan.Zero;
        var data = new byte[4096];
        int count;
        for (count = 0; !stop.IsCancellationRequested; count++)
        {
            var started = Stopwatch.GetTimestamp();
            data[0] = (byte)count;
            (await initiator.ExecuteAsync([0x2a, 0, 0, 0, 0, 8, 0, 0, 8, 0], dataOut: data)).AssertGood();
            Assert.Equal(data, (await initiator.ExecuteAsync([0x28, 0, 0, 0, 0, 8, 0, 0, 8, 0], 4096)).Data);
            var took = Stopwatch.GetElapsedTime(started);
            if (took > longest) longest = took;
        }

        return (count, longest);
    }
}
