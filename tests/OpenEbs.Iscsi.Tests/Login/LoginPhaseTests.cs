using OpenEbs.Iscsi.Login;
using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Tests.Initiators;

namespace OpenEbs.Iscsi.Tests.Login;

public class LoginPhaseTests
{
    [Fact]
    public async Task Login_Normal_AttachesAndGivesAHandle()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.LogInAsync(portal);
        Assert.NotEqual(0, initiator.Tsih);
        Assert.Equal(1, portal.Catalog.Attached);
        var session = Assert.Single(portal.Portal.Sessions);
        Assert.Equal(TestInitiator.DefaultName, session.InitiatorName);
        Assert.Equal(portal.TargetName, session.TargetName);
        Assert.Equal(initiator.Socket.LocalEndPoint, session.InitiatorAddress);
    }

    [Fact]
    public async Task Login_FirstPduIsNoLogin_ClosesAtOnce()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.ConnectAsync(portal.EndPoint);
        await initiator.SendAsync(new TestPdu(Opcode.NopOut));
        await initiator.ExpectCloseAsync();
    }

    [Fact]
    public async Task Login_OtherPduWithinLogin_IsInvalidDuringLogin()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.ConnectAsync(portal.EndPoint);
        await initiator.LoginRequestAsync(0x04, $"InitiatorName=iqn.a TargetName={portal.TargetName}");
        await initiator.SendAsync(new TestPdu(Opcode.TextRequest));
        Assert.Equal((ushort)LoginStatus.InvalidDuringLogin, (await initiator.ExpectAsync(Opcode.LoginResponse)).Header.Get16(36));
        await initiator.ExpectCloseAsync();
    }

    [Theory]
    [InlineData("TargetName=iqn.2016-09.com.openebs.orleans:nothing", LoginStatus.NotFound)]
    [InlineData("AuthMethod=CHAP", LoginStatus.MissingParameter)]
    public async Task Login_Refused_ClosesAfterTheStatus(string keys, object status)
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.ConnectAsync(portal.EndPoint);
        var response = await initiator.LoginRequestAsync(0x87, $"InitiatorName=iqn.a {(keys.StartsWith("Auth", StringComparison.Ordinal) ? "" : keys)}");
        Assert.Equal((ushort)(LoginStatus)status, response.Header.Get16(36));
        Assert.Equal(0, response.Header.Flags & 0x80);
        await initiator.ExpectCloseAsync();
    }

    [Fact]
    public async Task Login_StoreFailsToAttach_IsTargetErrorAndTheNameIsFree()
    {
        await using var portal = await TestPortal.StartAsync();
        portal.Catalog.FailAttach = true;
        await using (var initiator = await TestInitiator.ConnectAsync(portal.EndPoint))
        {
            var response = await initiator.LoginRequestAsync(0x87, $"InitiatorName={TestInitiator.DefaultName} TargetName={portal.TargetName}");
            Assert.Equal((ushort)LoginStatus.TargetError, response.Header.Get16(36));
        }

        portal.Catalog.FailAttach = false;
        await using var again = await TestInitiator.LogInAsync(portal);
    }

    [Fact]
    public async Task Login_MoreSessionsThanAllowed_IsOutOfResources()
    {
        await using var portal = await TestPortal.StartAsync(options => options.MaxSessions = 2);
        await using var first = await TestInitiator.LogInAsync(portal);
        await using var second = await TestInitiator.ConnectAsync(portal.EndPoint);
        second.Isid++;
        await second.LoginAsync(portal.TargetName);
        await using var third = await TestInitiator.ConnectAsync(portal.EndPoint);
        third.Isid += 2;
        var response = await third.LoginRequestAsync(0x87, $"InitiatorName={TestInitiator.DefaultName} TargetName={portal.TargetName}");
        Assert.Equal((ushort)LoginStatus.OutOfResources, response.Header.Get16(36));
    }

    [Fact]
    public async Task Login_Oversized_ClosesBeforeTheDataComes()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var initiator = await TestInitiator.ConnectAsync(portal.EndPoint);
        var bytes = new byte[48];
        bytes[0] = 0x43;
        bytes[1] = 0x87;
        bytes[5] = 0xff;
        await initiator.SendRawAsync(bytes);
        await initiator.ExpectCloseAsync();
    }
}
