using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using OpenEbs.Server.Metadata;
using Orleans;
using Orleans.Configuration;
using Orleans.Runtime;
using Xunit;

namespace OpenEbs.Server.Tests.Metadata;

/// <summary>Orleans' own reminder provider over our statements.</summary>
public sealed class ReminderTableTests : IDisposable
{
    private static readonly DateTime Start = new(2026, 1, 2, 3, 4, 5, DateTimeKind.Utc);
    private static readonly GrainId Grain = GrainId.Create("volume", "demo");

    private readonly TemporaryDirectory _directory = new();

    public ReminderTableTests() => SqliteSchema.Apply(Source());

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Rows_FromFirstToLast_AreKeptByVersion()
    {
        var table = await OpenAsync();
        var first = await table.UpsertRow(Row("watch", 60));
        var second = await table.UpsertRow(Row("watch", 120));
        Assert.NotEqual(first, second);

        var read = await table.ReadRow(Grain, "watch");
        Assert.Equal((second, TimeSpan.FromSeconds(120), Start), (read!.ETag, read.Period, read.StartAt));
        Assert.Single((await table.ReadRows(Grain)).Reminders);
        Assert.Single((await table.ReadRows(0, 0)).Reminders);
        var hash = Grain.GetUniformHashCode();
        Assert.Single((await table.ReadRows(hash - 1, hash)).Reminders);
        Assert.Empty((await table.ReadRows(hash, hash + 1)).Reminders);

        Assert.False(await table.RemoveRow(Grain, "watch", first!));
        Assert.True(await table.RemoveRow(Grain, "watch", second!));
        Assert.Null(await table.ReadRow(Grain, "watch"));
    }

    private static ReminderEntry Row(string name, int periodSeconds) =>
        new() { GrainId = Grain, ReminderName = name, StartAt = Start, Period = TimeSpan.FromSeconds(periodSeconds), ETag = "" };

    private async Task<IReminderTable> OpenAsync()
    {
        var type = typeof(AdoNetReminderTableOptions).Assembly.GetTypes().Single(candidate => candidate.IsClass && typeof(IReminderTable).IsAssignableFrom(candidate));
        var services = new ServiceCollection()
            .AddSingleton(Options.Create(new ClusterOptions { ServiceId = "s" }))
            .AddSingleton(Options.Create(new AdoNetReminderTableOptions { Invariant = SqliteDataSource.Invariant, DataSource = Source() }))
            .BuildServiceProvider();
        var table = (IReminderTable)ActivatorUtilities.CreateInstance(services, type);
        await table.StartAsync();
        return table;
    }

    private SqliteDataSource Source() => new(_directory.File("m.db"));
}
