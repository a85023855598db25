using System.Net;
using System.Text;
using Microsoft.Extensions.Time.Testing;
using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Tests.Initiators;

namespace OpenEbs.Iscsi.Tests.Connections;

/// <summary>Logins that are sent elsewhere (RFC 7143 §11.13.5 Target moved temporarily), and sessions that are asked to go there (§11.9 event 1).</summary>
public class HandOverTests
{
    private static readonly IPEndPoint Other = new(IPAddress.Parse("10.1.2.3"), 3260);

    [Theory]
    [InlineData("10.1.2.3", "TargetAddress=10.1.2.3:3260")]
    [InlineData("fd00::5", "TargetAddress=[fd00::5]:3260")]
    public async Task Login_ToATargetThatIsBetterServedElsewhere_IsSentThere(string address, string expected)
    {
        await using var portal = await TestPortal.StartAsync();
        portal.Catalog.Route = (_, _) => new LoginRoute(LoginPlace.Elsewhere, new IPEndPoint(IPAddress.Parse(address), 3260));
        await using var initiator = await TestInitiator.ConnectAsync(portal.EndPoint);
        var response = await initiator.LoginRequestAsync(0x87, $"InitiatorName={TestInitiator.DefaultName} TargetName={portal.TargetName} SessionType=Normal");
        Assert.Equal(0x0101, response.Header.Get16(36));
        Assert.False(response.HasFlag(0x80));

        // "The comma and portal-group-tag MUST be omitted."
        Assert.Equal([expected], Encoding.UTF8.GetString(response.Data).Split('\0', StringSplitOptions.RemoveEmptyEntries));
        await initiator.ExpectCloseAsync();
        Assert.Equal(0, portal.Catalog.Attached);
    }

    [Fact]
    public async Task Login_ThatNobodyCanPlace_IsAskedToComeAgain()
    {
        await using var portal = await TestPortal.StartAsync();
        portal.Catalog.Route = (_, _) => new LoginRoute(LoginPlace.Later);
        await using var initiator = await TestInitiator.ConnectAsync(portal.EndPoint);
        var response = await initiator.LoginRequestAsync(0x87, $"InitiatorName={TestInitiator.DefaultName} TargetName={portal.TargetName} SessionType=Normal");
        Assert.Equal((0x0301, 0), (response.Header.Get16(36), response.Data.Length));
    }

    [Fact]
    public async Task Discovery_IsNeverSentElsewhere()
    {
        await using var portal = await TestPortal.StartAsync();
        portal.Catalog.Route = (_, _) => new LoginRoute(LoginPlace.Elsewhere, Other);
        await using var initiator = await TestInitiator.ConnectAsync(portal.EndPoint);
        var response = await initiator.LoginRequestAsync(0x87, $"InitiatorName={TestInitiator.DefaultName} SessionType=Discovery");
        Assert.Equal(0, response.Header.Get16(36));
    }

    [Fact]
    public async Task HandOver_AsksSessionsToGo_SendsLoginsAway_AndEnds()
    {
        await using var portal = await TestPortal.StartAsync();
        portal.Catalog.Route = (_, isLeaving) => isLeaving ? new LoginRoute(LoginPlace.Elsewhere, Other) : default;
        await using var initiator = await TestInitiator.LogInAsync(portal);
        portal.Portal.BeginHandOver();
        portal.Portal.BeginHandOver();
        var message = await initiator.ExpectAsync(Opcode.AsyncMessage);
        Assert.Equal((1, 10, BasicHeader.ReservedTag), (message.Header.Bytes[36], message.Header.Get16(42), message.Header.InitiatorTaskTag));

        // It is served until it goes, and is asked once.
        (await initiator.ExecuteAsync([0, 0, 0, 0, 0, 0])).AssertGood();
        await LogOutAsync(initiator);
        await using (var again = await TestInitiator.ConnectAsync(portal.EndPoint))
        {
            var response = await again.LoginRequestAsync(0x87, $"InitiatorName={TestInitiator.DefaultName} TargetName={portal.TargetName} SessionType=Normal");
            Assert.Equal(0x0101, response.Header.Get16(36));
        }

        portal.Portal.EndHandOver();
        await using var back = await TestInitiator.LogInAsync(portal);
    }

    [Fact]
    public async Task HandOver_SessionThatStays_IsClosedInTheEnd_UnlessTheHandOverWasEnded()
    {
        var time = new FakeTimeProvider();
        await using var portal = await TestPortal.StartAsync(options => options.NopInterval = TimeSpan.FromMinutes(5), time);
        await using var initiator = await TestInitiator.LogInAsync(portal);
        portal.Portal.BeginHandOver();
        await initiator.ExpectAsync(Opcode.AsyncMessage);
        portal.Portal.EndHandOver();
        time.Advance(TimeSpan.FromSeconds(11));
        await initiator.ExecuteAsync([0, 0, 0, 0, 0, 0]);
        portal.Portal.BeginHandOver();
        await initiator.ExpectAsync(Opcode.AsyncMessage);
        time.Advance(TimeSpan.FromSeconds(11));
        await initiator.ExpectCloseAsync();
    }

    [Fact]
    public async Task Stop_WhileLoginsAreRedirected_SendsThemAway_UntilSessionsHaveGone()
    {
        await using var portal = await TestPortal.StartAsync(options => (options.RedirectsWhileStopping, options.StopTimeout) = (true, TimeSpan.FromSeconds(10)));
        portal.Catalog.Route = (_, isLeaving) => isLeaving ? new LoginRoute(LoginPlace.Elsewhere, Other) : default;
        await using var one = await TestInitiator.LogInAsync(portal);
        await using var two = await TestInitiator.ConnectAsync(portal.EndPoint);
        two.Isid = 0x00023d000002;
        await two.LoginAsync(portal.TargetName);
        var stopping = portal.Portal.StopAsync();
        await one.ExpectAsync(Opcode.AsyncMessage);
        await two.ExpectAsync(Opcode.AsyncMessage);
        await LogOutAsync(one);
        await using (var again = await TestInitiator.ConnectAsync(portal.EndPoint))
        {
            var response = await again.LoginRequestAsync(0x87, $"InitiatorName={TestInitiator.DefaultName} TargetName={portal.TargetName} SessionType=Normal");
            Assert.Equal(0x0101, response.Header.Get16(36));
        }

        Assert.False(stopping.IsCompleted);
        await LogOutAsync(two);
        await stopping.WaitAsync(TimeSpan.FromSeconds(5));
    }

    private static async Task LogOutAsync(TestInitiator initiator)
    {
        var logout = new TestPdu(Opcode.LogoutRequest, immediate: true);
        initiator.Number(logout, immediate: true);
        await initiator.SendAsync(logout);
        await initiator.ExpectAsync(Opcode.LogoutResponse);
        await initiator.DisposeAsync();
    }
}
