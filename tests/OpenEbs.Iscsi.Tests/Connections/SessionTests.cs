using System.Net;
using OpenEbs.Iscsi.Login;
using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Portals;
using OpenEbs.Iscsi.Tests.Initiators;

namespace OpenEbs.Iscsi.Tests.Connections;

/// <summary>What the portal tells of its sessions, their limits, and their end by somebody else's will.</summary>
public class SessionTests
{
    private const string Discovery = "InitiatorName=iqn.2026-01.org.example:d SessionType=Discovery";

    [Fact]
    public async Task Sessions_TellWhatWasDone()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.ConnectAsync(portal.EndPoint);
        await initiator.LoginAsync(portal.TargetName, "HeaderDigest=CRC32C DataDigest=None");
        Assert.Null(Only(portal).LastCommandAt);
        Assert.Equal(0x02, (await initiator.ExecuteAsync([0, 0, 0, 0, 0, 0])).Status);
        (await initiator.ExecuteAsync([0x2a, 0, 0, 0, 0, 8, 0, 0, 8, 0], dataOut: new byte[4096])).AssertGood();
        (await initiator.ExecuteAsync([0x28, 0, 0, 0, 0, 8, 0, 0, 16, 0], 8192)).AssertGood();
        var session = Only(portal);
        Assert.Equal((8192, 4096, 3), (session.ReadBytes, session.WrittenBytes, session.CommandCount));
        Assert.Equal((true, false, false, ""), (session.HeaderDigest, session.DataDigest, session.IsPending, session.Credential));
        Assert.InRange(DateTimeOffset.UtcNow - session.LastCommandAt!.Value, TimeSpan.FromSeconds(-1), TimeSpan.FromSeconds(20));
        Assert.Equal(12, session.Id.Length);
    }

    [Fact]
    public async Task CloseSession_TellsTheInitiator_SettlesItsCommands_AndLetsItBackIn()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        portal.Store.Shut();
        await initiator.SendAsync(initiator.Command([0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], 512, read: true));
        await portal.Store.WaitInsideAsync(1);
        Assert.False(await portal.Portal.CloseSessionAsync("nothing"));
        var closing = portal.Portal.CloseSessionAsync(Only(portal).Id);
        var message = await initiator.ExpectAsync(Opcode.AsyncMessage);
        Assert.Equal(3, message.Header.Bytes[36]);
        await initiator.ExpectCloseAsync();
        portal.Store.Open();
        Assert.True(await closing.WaitAsync(TimeSpan.FromSeconds(10)));
        Assert.Empty(portal.Portal.Sessions);
        await using var again = await TestInitiator.LogInAsync(portal);
    }

    [Fact]
    public async Task CloseSession_OfAnInitiatorThatDoesNotRead_EndsAllTheSame()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        initiator.Socket.ReceiveBufferSize = 2048;
        for (var i = 0; i < 100; i++) await initiator.SendAsync(initiator.Command([0x28, 0, 0, 0, 0, 0, 0, 0, 128, 0], 65536, read: true));
        await Task.Delay(100);
        Assert.True(await portal.Portal.CloseSessionAsync(Only(portal).Id, isRevoked: true).WaitAsync(TimeSpan.FromSeconds(10)));
        Assert.Empty(portal.Portal.Sessions);

        // The send that was under way gives its buffers back when the system has ended it.
        for (var i = 0; portal.Pool.RentedBytes > 0 && i < 500; i++) await Task.Delay(10);
    }

    [Fact]
    public async Task MoreSessionsOnATargetThanAllowed_AreOutOfResources()
    {
        await using var portal = await TestPortal.StartAsync(options => options.MaxSessionsPerTarget = 1);
        await using var first = await TestInitiator.LogInAsync(portal);
        await using var second = await TestInitiator.ConnectAsync(portal.EndPoint);
        second.Isid++;
        var response = await second.LoginRequestAsync(0x87, $"InitiatorName={TestInitiator.DefaultName} TargetName={portal.TargetName}");
        Assert.Equal((ushort)LoginStatus.OutOfResources, response.Header.Get16(36));
    }

    [Fact]
    public async Task DiscoverySessions_TheOldestGivesWay_AndNormalSessionsAreNotConcerned()
    {
        await using var portal = await TestPortal.StartAsync(options =>
        {
            options.MaxDiscoverySessions = 2;
            options.MaxSessions = 1;
        });
        await using var good = await TestInitiator.LogInAsync(portal);
        var silent = new List<TestInitiator>();
        for (var i = 0; i < 3; i++)
        {
            silent.Add(await TestInitiator.ConnectAsync(portal.EndPoint));
            Assert.Equal(0, (await silent[i].LoginRequestAsync(0x87, Discovery)).Header.Get16(36));
        }

        await silent[0].ExpectCloseAsync();
        await silent[1].ExpectSilenceOfDiscoveryAsync();
        await silent[2].ExpectSilenceOfDiscoveryAsync();
        (await good.ExecuteAsync([0, 0, 0, 0, 0, 0])).AssertGood();
        foreach (var one in silent) await one.DisposeAsync();
    }

    [Fact]
    public async Task MoreConnectionsFromOneAddress_AreClosed_FromAnotherTheyAreServed()
    {
        await using var portal = await TestPortal.StartAsync(options => options.MaxConnectionsPerAddress = 3);
        var flood = new List<TestInitiator>();
        for (var i = 0; i < 10; i++) flood.Add(await TestInitiator.ConnectAsync(portal.EndPoint));
        await flood[^1].ExpectCloseAsync();
        await using var good = await TestInitiator.ConnectAsync(portal.EndPoint, IPAddress.Parse("127.0.0.2"));
        await good.LoginAsync(portal.TargetName);
        foreach (var one in flood) await one.DisposeAsync();
    }

    [Fact]
    public async Task NewConnectionsTooFast_AreClosed_ThoseThatThereAreGoOn()
    {
        await using var portal = await TestPortal.StartAsync(options =>
        {
            options.ConnectionBurstPerAddress = 5;
            options.ConnectionRatePerAddress = 0.001;
        });
        await using var good = await TestInitiator.LogInAsync(portal);
        for (var i = 0; i < 4; i++) await (await TestInitiator.ConnectAsync(portal.EndPoint)).DisposeAsync();
        await using var late = await TestInitiator.ConnectAsync(portal.EndPoint);
        await late.ExpectCloseAsync();
        (await good.ExecuteAsync([0, 0, 0, 0, 0, 0])).AssertGood();
    }

    [Fact]
    public async Task Start_OnSeveralAddresses_ServesThemAll()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var second = new IscsiPortal(new IscsiPortalOptions { StopTimeout = TimeSpan.FromMilliseconds(100) }, portal.Catalog, portal.Pool, TimeProvider.System,
            Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance);
        await second.StartAsync([new IPEndPoint(IPAddress.Parse("127.0.0.3"), 0), new IPEndPoint(IPAddress.Parse("127.0.0.4"), portal.EndPoint.Port)]);
        foreach (var address in new[] { second.BoundEndPoint!, new IPEndPoint(IPAddress.Parse("127.0.0.4"), portal.EndPoint.Port) })
        {
            await using var initiator = await TestInitiator.ConnectAsync(address);
            await initiator.LoginAsync(portal.TargetName);
        }

        await second.StopAsync();
    }

    private static PortalSession Only(TestPortal portal) => Assert.Single(portal.Portal.Sessions);
}
