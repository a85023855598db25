using Microsoft.Data.Sqlite;
using OpenEbs.Server.Metadata;
using OpenEbs.Server.Startup;
using Xunit;

namespace OpenEbs.Server.Tests.Metadata;

public sealed class SqliteSchemaTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void Apply_ByManyAtOnceAndAgain_LeavesOneSchema()
    {
        Parallel.For(0, 8, _ => SqliteSchema.Apply(Source()));
        SqliteSchema.Apply(Source());

        Assert.Equal(SqliteSchema.ReadQueries().Count, Scalar("SELECT count(*) FROM OrleansQuery"));
        Assert.Equal(SqliteSchema.Version, Scalar("PRAGMA user_version"));
    }

    [Fact]
    public void Apply_WhenAQueryIsOld_RewritesIt()
    {
        SqliteSchema.Apply(Source());
        Execute("UPDATE OrleansQuery SET QueryText = 'old' WHERE QueryKey = 'WriteToStorageKey'");

        SqliteSchema.Apply(Source());

        Assert.Equal(0, Scalar("SELECT count(*) FROM OrleansQuery WHERE QueryText = 'old'"));
    }

    [Fact]
    public void OpenConnection_Always_SyncsEveryCommit()
    {
        SqliteSchema.Apply(Source());
        using var connection = Source().OpenConnection();
        using var command = connection.CreateCommand();

        command.CommandText = "PRAGMA synchronous";
        Assert.Equal(2L, command.ExecuteScalar());
        command.CommandText = "PRAGMA journal_mode";
        Assert.Equal("wal", command.ExecuteScalar());
    }

    [Fact]
    public void Apply_WhenTheFileIsNoDatabase_SaysSo()
    {
        File.WriteAllText(_directory.File("m.db"), new string('x', 8192));

        var exception = Assert.Throws<CannotStartException>(() => SqliteSchema.Apply(Source()));

        Assert.Equal(ExitCode.Metadata, exception.ExitCode);
        Assert.Contains("damaged", exception.Message, StringComparison.Ordinal);
        Assert.Contains(_directory.File("m.db"), exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Apply_WhenAPageIsOverwritten_SaysSo()
    {
        SqliteSchema.Apply(Source());
        SqliteConnection.ClearAllPools();
        var bytes = File.ReadAllBytes(_directory.File("m.db"));
        bytes.AsSpan(4096).Fill(0xA5);
        File.WriteAllBytes(_directory.File("m.db"), bytes);

        var exception = Assert.Throws<CannotStartException>(() => SqliteSchema.Apply(Source()));

        Assert.Equal(ExitCode.Metadata, exception.ExitCode);
        Assert.Equal(bytes, File.ReadAllBytes(_directory.File("m.db")));
    }

    [Fact]
    public void Apply_WhenTheFileIsOfAnotherProgram_LeavesItAlone()
    {
        Execute("CREATE TABLE Mine (x)");

        var exception = Assert.Throws<CannotStartException>(() => SqliteSchema.Apply(Source()));

        Assert.Contains("another program", exception.Message, StringComparison.Ordinal);
        Assert.Equal(1, Scalar("SELECT count(*) FROM sqlite_master"));
    }

    [Fact]
    public void Apply_WhenTheFileIsNewer_SaysSo()
    {
        SqliteSchema.Apply(Source());
        Execute("PRAGMA user_version = 99");

        var exception = Assert.Throws<CannotStartException>(() => SqliteSchema.Apply(Source()));

        Assert.Contains("99", exception.Message, StringComparison.Ordinal);
    }

    private SqliteDataSource Source() => new(_directory.File("m.db"));

    private int Scalar(string sql)
    {
        using var connection = Source().OpenConnection();
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        return Convert.ToInt32(command.ExecuteScalar());
    }

    private void Execute(string sql)
    {
        using var connection = Source().OpenConnection();
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }
}
