using System.Data.Common;
using Microsoft.Data.Sqlite;

namespace OpenEbs.Server.Metadata;

/// <summary>Connections to the metadata store's SQLite file, set up so that a committed compare-and-swap survives power loss.</summary>
/// <remarks>The provider's asynchronous methods block. Opening on a thread of <see cref="MetadataThreads"/> moves the whole query there, since Orleans awaits the open
/// without the caller's context: neither a grain nor the thread pool waits for a disk or a lock.</remarks>
internal sealed class SqliteDataSource(string path) : DbDataSource
{
    /// <summary>Orleans' name for the provider; it loads Microsoft.Data.Sqlite for it.</summary>
    public const string Invariant = "System.Data.SQLite";

    /// <summary>How long a writer waits for another process's transaction; each takes milliseconds.</summary>
    private static readonly TimeSpan BusyTimeout = TimeSpan.FromSeconds(5);

    public string Path { get; } = System.IO.Path.GetFullPath(path);

    public override string ConnectionString { get; } = new SqliteConnectionStringBuilder
    {
        DataSource = System.IO.Path.GetFullPath(path),
        Mode = SqliteOpenMode.ReadWriteCreate,
        ForeignKeys = true,
        DefaultTimeout = 10,
    }.ToString();

    protected override DbConnection CreateDbConnection() => new SqliteConnection(ConnectionString);

    protected override DbConnection OpenDbConnection()
    {
        var connection = new SqliteConnection(ConnectionString);
        try
        {
            connection.Open();
            using var command = connection.CreateCommand();
            // SQLite's own wait retries after 1, 2, 5 ... 100 ms, the provider's only every 150 ms. FULL syncs the log on every commit:
            // with NORMAL a power cut could take back a fence that replicas already act upon.
            command.CommandText = $"PRAGMA busy_timeout = {(int)BusyTimeout.TotalMilliseconds}; PRAGMA synchronous = FULL;";
            command.ExecuteNonQuery();
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    protected override ValueTask<DbConnection> OpenDbConnectionAsync(CancellationToken cancellationToken = default) => MetadataThreads.Shared.RunAsync(OpenDbConnection, cancellationToken);
}
