using OpenEbs.Server.Metadata;
using Xunit;

namespace OpenEbs.Server.Tests.Metadata;

public sealed class SqliteDataSourceTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    /// <summary>Awaits as Orleans' providers do.</summary>
    [Fact]
    public async Task QueriesRunOnTheirOwnThreads_NotOnTheThreadPool()
    {
        var source = new SqliteDataSource(_directory.File("m.db"));
        SqliteSchema.Apply(source);
        var threads = await Task.WhenAll(Enumerable.Range(0, 40).Select(async _ =>
        {
            await using var connection = await source.OpenConnectionAsync().ConfigureAwait(false);
            await using var command = connection.CreateCommand();
            command.CommandText = "SELECT COUNT(*) FROM sqlite_master";
            Assert.NotNull(await command.ExecuteScalarAsync().ConfigureAwait(false));
            return (Thread.CurrentThread.IsThreadPoolThread, Environment.CurrentManagedThreadId);
        }));
        Assert.All(threads, thread => Assert.False(thread.IsThreadPoolThread));
        Assert.InRange(threads.Distinct().Count(), 1, 8);
    }

    [Fact]
    public async Task FailureToOpen_IsThrown_AndCancellationHeard()
    {
        var source = new SqliteDataSource(_directory.File("missing/m.db"));
        await Assert.ThrowsAnyAsync<Exception>(async () => await source.OpenConnectionAsync());
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await source.OpenConnectionAsync(new CancellationToken(canceled: true)));
    }
}
