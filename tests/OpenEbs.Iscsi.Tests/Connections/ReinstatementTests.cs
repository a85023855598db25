using OpenEbs.Iscsi.Login;
using OpenEbs.Iscsi.Tests.Initiators;

namespace OpenEbs.Iscsi.Tests.Connections;

/// <summary>RFC 7143 §6.3.4 and §6.3.5.</summary>
public class ReinstatementTests
{
    [Fact]
    public async Task SameIdentityAgain_EndsTheOldSession()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var old = await TestInitiator.LogInAsync(portal);
        await using var fresh = await TestInitiator.LogInAsync(portal);
        await old.ExpectCloseAsync();
        Assert.Equal(1, portal.Catalog.Attached);
        Assert.NotEqual(old.Tsih, fresh.Tsih);
        (await fresh.ExecuteAsync([0, 0, 0, 0, 0, 0])).AssertGood();
    }

    [Fact]
    public async Task OtherIsid_IsAnotherSession()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var one = await TestInitiator.LogInAsync(portal);
        await using var other = await TestInitiator.ConnectAsync(portal.EndPoint);
        other.Isid++;
        await other.LoginAsync(portal.TargetName);
        Assert.Equal(2, portal.Catalog.Attached);
        (await one.ExecuteAsync([0, 0, 0, 0, 0, 0])).AssertGood();
    }

    /// <summary>A write of the old session that still hangs in the store must not overtake one of the new: the login waits for it.</summary>
    [Fact]
    public async Task OldSessionHasIoInTheStore_LoginWaitsUntilItIsSettled()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var old = await TestInitiator.LogInAsync(portal);
        portal.Store.Shut();
        await old.SendAsync(old.Command([0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0], 512, write: true, immediateData: new byte[512]));
        await portal.Store.WaitInsideAsync(1);
        await using var fresh = await TestInitiator.ConnectAsync(portal.EndPoint);
        var login = fresh.LoginAsync(portal.TargetName);
        await old.ExpectCloseAsync();
        await Task.Delay(200);
        Assert.False(login.IsCompleted);
        portal.Store.Open();
        await login;
        Assert.Equal(0, portal.Store.Inside);
    }

    [Fact]
    public async Task TsihAndCidOfALiveSession_ReplacesItsConnection()
    {
        await using var portal = await TestPortal.StartAsync();
        await using var old = await TestInitiator.LogInAsync(portal);
        await using var fresh = await TestInitiator.ConnectAsync(portal.EndPoint);
        (fresh.Tsih, fresh.CmdSN) = (old.Tsih, old.CmdSN);
        await fresh.LoginAsync(portal.TargetName);
        await old.ExpectCloseAsync();
        Assert.Equal(old.Tsih, fresh.Tsih);
        Assert.Equal(1, portal.Catalog.Attached);

        // The session went on: no power on condition again, CmdSN continues.
        (await fresh.ExecuteAsync([0, 0, 0, 0, 0, 0])).AssertGood();
    }

    [Theory]
    [InlineData(0, 1, LoginStatus.TooManyConnections)]
    [InlineData(1, 0, LoginStatus.SessionDoesNotExist)]
    public async Task WrongCidOrTsih_IsRefused(int tsihOff, int cidOff, object status)
    {
        await using var portal = await TestPortal.StartAsync();
        await using var old = await TestInitiator.LogInAsync(portal);
        await using var fresh = await TestInitiator.ConnectAsync(portal.EndPoint);
        (fresh.Tsih, fresh.Cid) = ((ushort)(old.Tsih + tsihOff), (ushort)(old.Cid + cidOff));
        var response = await fresh.LoginRequestAsync(0x87, $"InitiatorName={TestInitiator.DefaultName} TargetName={portal.TargetName}");
        Assert.Equal((ushort)(LoginStatus)status, response.Header.Get16(36));
        (await old.ExecuteAsync([0, 0, 0, 0, 0, 0])).AssertGood();
    }

    [Fact]
    public async Task ManyLoginsOfOneIdentityAtOnce_LeaveOneSession()
    {
        await using var portal = await TestPortal.StartAsync();
        var initiators = new List<TestInitiator>();
        for (var i = 0; i < 12; i++) initiators.Add(await TestInitiator.ConnectAsync(portal.EndPoint));
        var logins = initiators.Select(async initiator =>
        {
            try
            {
                await initiator.LoginAsync(portal.TargetName);
            }
            catch (Exception exception) when (exception is InvalidOperationException or System.Net.Sockets.SocketException)
            {
                // Reinstated by another one while logging in.
            }
        });
        await Task.WhenAll(logins);
        await using var last = await TestInitiator.LogInAsync(portal);
        (await last.ExecuteAsync([0, 0, 0, 0, 0, 0])).AssertGood();
        Assert.Equal(1, portal.Catalog.Attached);
        foreach (var initiator in initiators) await initiator.DisposeAsync();
    }
}
