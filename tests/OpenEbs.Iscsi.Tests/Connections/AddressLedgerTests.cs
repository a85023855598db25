using System.Net;
using Microsoft.Extensions.Time.Testing;
using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Portals;

namespace OpenEbs.Iscsi.Tests.Connections;

public class AddressLedgerTests
{
    private static readonly IPAddress Host = IPAddress.Parse("192.0.2.1");

    private readonly FakeTimeProvider _time = new();
    private readonly IscsiPortalOptions _options = new() { MaxConnections = 10, MaxConnectionsPerAddress = 3, ConnectionRatePerAddress = 2, ConnectionBurstPerAddress = 5 };

    [Fact]
    public void TryEnter_UpToTheLimitOfOneAddress_OthersAreNotConcerned()
    {
        var ledger = new AddressLedger(_options, _time);
        for (var i = 0; i < 3; i++) Assert.Null(ledger.TryEnter(Host));
        Assert.Equal(DropReason.AddressLimit, ledger.TryEnter(Host));
        Assert.Null(ledger.TryEnter(IPAddress.Parse("192.0.2.2")));
        ledger.Leave(Host);
        Assert.Null(ledger.TryEnter(Host));
    }

    [Fact]
    public void TryEnter_FasterThanTheRate_IsRefusedUntilTimeHasPassed()
    {
        var ledger = new AddressLedger(_options, _time);
        for (var i = 0; i < 5; i++)
        {
            Assert.Null(ledger.TryEnter(Host));
            ledger.Leave(Host);
        }

        Assert.Equal(DropReason.AddressRate, ledger.TryEnter(Host));
        _time.Advance(TimeSpan.FromMilliseconds(400));
        Assert.Equal(DropReason.AddressRate, ledger.TryEnter(Host));
        _time.Advance(TimeSpan.FromMilliseconds(200));
        Assert.Null(ledger.TryEnter(Host));
        Assert.Equal(DropReason.AddressRate, ledger.TryEnter(Host));
        _time.Advance(TimeSpan.FromHours(1));
        for (var i = 0; i < 2; i++) Assert.Null(ledger.TryEnter(Host));
    }

    [Theory]
    [InlineData("2001:db8::1", "2001:db8::ffff:1", true)]
    [InlineData("2001:db8::1", "2001:db8:0:1::1", false)]
    public void TryEnter_OneNetworkOfIPv6_IsOneAddress(string first, string second, bool isSame)
    {
        var ledger = new AddressLedger(_options, _time);
        for (var i = 0; i < 3; i++) Assert.Null(ledger.TryEnter(IPAddress.Parse(first)));
        Assert.Equal(isSame ? DropReason.AddressLimit : null, ledger.TryEnter(IPAddress.Parse(second)));
    }

    [Fact]
    public void ManyAddresses_AreForgottenAgain()
    {
        var ledger = new AddressLedger(_options, _time);
        for (var i = 0; i < 100_000; i++)
        {
            var address = new IPAddress(i + 0x0100007fL);
            Assert.Null(ledger.TryEnter(address));
            ledger.Leave(address);
            Assert.InRange(ledger.Count, 1, 41);
        }

        Assert.Null(ledger.TryEnter(Host));
        _time.Advance(TimeSpan.FromSeconds(5));
        ledger.ForgetIdle();
        Assert.Equal(1, ledger.Count);
    }
}
