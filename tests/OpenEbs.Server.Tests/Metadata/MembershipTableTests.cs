using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using OpenEbs.Server.Metadata;
using Orleans;
using Orleans.Configuration;
using Orleans.Runtime;
using Orleans.Runtime.MembershipService;
using Xunit;

namespace OpenEbs.Server.Tests.Metadata;

/// <summary>Orleans' own membership provider over our statements.</summary>
public sealed class MembershipTableTests : IDisposable
{
    private static readonly DateTime Start = new(2026, 1, 2, 3, 4, 5, 678, DateTimeKind.Utc);

    private readonly TemporaryDirectory _directory = new();

    public MembershipTableTests() => SqliteSchema.Apply(Source());

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task InsertRow_WithTheVersion_ReadsBackEqual()
    {
        var table = await OpenAsync();

        Assert.True(await table.InsertRowAsync(Entry(1), Next(await table.ReadAllAsync())));

        var (entry, _) = Assert.Single((await table.ReadAllAsync()).Members);
        Assert.Equal(Entry(1).SiloAddress, entry.SiloAddress);
        Assert.Equal(("node-1", SiloStatus.Active, 30000, Start), (entry.SiloName, entry.Status, entry.ProxyPort, entry.StartTime));
    }

    [Fact]
    public async Task InsertRow_WithAStaleVersionOrTwice_ChangesNothing()
    {
        var table = await OpenAsync();
        var old = await table.ReadAllAsync();
        Assert.True(await table.InsertRowAsync(Entry(1), Next(old)));
        var version = (await table.ReadAllAsync()).Version.Version;

        Assert.False(await table.InsertRowAsync(Entry(2), Next(old)));
        Assert.False(await table.InsertRowAsync(Entry(1), Next(await table.ReadAllAsync())));

        var now = await table.ReadAllAsync();
        Assert.Equal(version, now.Version.Version);
        Assert.Single(now.Members);
    }

    [Fact]
    public async Task UpdateRow_ByRacersWithOneVersion_ExactlyOneWins()
    {
        var table = await OpenAsync();
        Assert.True(await table.InsertRowAsync(Entry(1), Next(await table.ReadAllAsync())));
        for (var round = 0; round < 10; round++)
        {
            var before = await table.ReadAllAsync();
            var tables = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => OpenAsync()));
            var wins = await Task.WhenAll(tables.Select(racer => Task.Run(() => racer.UpdateRowAsync(Entry(1), before.Members[0].Item2, Next(before)))));

            Assert.Single(wins, won => won);
            Assert.Equal(before.Version.Version + 1, (await table.ReadAllAsync()).Version.Version);
        }
    }

    [Fact]
    public async Task UpdateRow_WithSuspicions_ReadsBackEqual()
    {
        var table = await OpenAsync();
        Assert.True(await table.InsertRowAsync(Entry(1), Next(await table.ReadAllAsync())));
        var entry = Entry(1);
        entry.Status = SiloStatus.Dead;
        entry.SuspectTimes = [Tuple.Create(Entry(2).SiloAddress, Start), Tuple.Create(Entry(3).SiloAddress, Start)];

        var before = await table.ReadAllAsync();
        Assert.True(await table.UpdateRowAsync(entry, before.Members[0].Item2, Next(before)));

        var (read, _) = Assert.Single((await table.ReadRowAsync(entry.SiloAddress)).Members);
        Assert.Equal(SiloStatus.Dead, read.Status);
        Assert.Equal(entry.SuspectTimes, read.SuspectTimes);
    }

    [Fact]
    public async Task UpdateIAmAlive_Always_LeavesTheVersionAlone()
    {
        var table = await OpenAsync();
        Assert.True(await table.InsertRowAsync(Entry(1), Next(await table.ReadAllAsync())));
        var version = (await table.ReadAllAsync()).Version.Version;
        var entry = Entry(1);
        entry.IAmAliveTime = Start.AddHours(1);

        await table.UpdateIAmAliveAsync(entry);

        var now = await table.ReadAllAsync();
        Assert.Equal(version, now.Version.Version);
        Assert.Equal(Start.AddHours(1), now.Members[0].Item1.IAmAliveTime);
    }

    [Fact]
    public async Task CleanupDefunctSiloEntries_Always_RemovesOnlyTheLongDead()
    {
        var table = await OpenAsync();
        foreach (var (number, status) in new[] { (1, SiloStatus.Dead), (2, SiloStatus.Active) })
        {
            var entry = Entry(number);
            entry.Status = status;
            Assert.True(await table.InsertRowAsync(entry, Next(await table.ReadAllAsync())));
        }

        await table.CleanupDefunctSiloEntriesAsync(Start.AddDays(1));

        Assert.Equal("node-2", Assert.Single((await table.ReadAllAsync()).Members).Item1.SiloName);
    }

    [Fact]
    public async Task ForgetSilos_WhenSomeAreLeft_RemovesThemAndRaisesTheVersion()
    {
        var table = await OpenAsync();
        Assert.True(await table.InsertRowAsync(Entry(1), Next(await table.ReadAllAsync())));
        var before = (await table.ReadAllAsync()).Version.Version;

        SqliteSchema.ForgetSilos(Source());

        var now = await table.ReadAllAsync();
        Assert.Empty(now.Members);
        Assert.True(now.Version.Version > before);
    }

    private static TableVersion Next(MembershipTableData data) => data.Version.Next();

    private static MembershipEntry Entry(int number) => new()
    {
        SiloAddress = SiloAddress.New(IPAddress.Loopback, 11110 + number, 7),
        SiloName = $"node-{number}",
        HostName = "host",
        Status = SiloStatus.Active,
        ProxyPort = 30000,
        StartTime = Start,
        IAmAliveTime = Start,
    };

    private async Task<AdoNetClusteringTable> OpenAsync()
    {
        var options = new AdoNetClusteringSiloOptions { Invariant = SqliteDataSource.Invariant, DataSource = Source() };
        var table = new AdoNetClusteringTable(
            new ServiceCollection().BuildServiceProvider(), Options.Create(new ClusterOptions { ClusterId = "c" }), Options.Create(options), NullLogger<AdoNetClusteringTable>.Instance);
        await table.InitializeMembershipTableAsync(true);
        return table;
    }

    private SqliteDataSource Source() => new(_directory.File("m.db"));
}
