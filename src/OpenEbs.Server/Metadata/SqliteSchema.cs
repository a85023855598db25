using System.Data.Common;
using System.Globalization;
using System.Reflection;
using System.Text;
using Microsoft.Data.Sqlite;
using OpenEbs.Server.Startup;

namespace OpenEbs.Server.Metadata;

/// <summary>Brings a metadata file to this program's version. Any number of processes may do it at once: the first takes the write lock, the others find it done.</summary>
internal static class SqliteSchema
{
    /// <summary>Newest Schema.N.sql.</summary>
    public const int Version = 1;

    /// <summary>"OEBS" in the file's header: tells ours from somebody else's database.</summary>
    private const int ApplicationId = 0x4F454253;

    private const int SqliteReadOnly = 8;
    private const int SqliteCorrupt = 11;
    private const int SqliteCannotOpen = 14;
    private const int SqliteNotADatabase = 26;

    /// <exception cref="CannotStartException">The file cannot be used; the message says why and what to do.</exception>
    public static void Apply(SqliteDataSource source)
    {
        try
        {
            KeepToOwner(source.Path);
            using var connection = source.OpenConnection();
            CheckOwner(connection, source.Path);
            Execute(connection, "PRAGMA journal_mode = WAL;");
            using var transaction = ((SqliteConnection)connection).BeginTransaction(deferred: false);
            Migrate(connection, source.Path);
            WriteQueries(connection);
            transaction.Commit();
        }
        catch (SqliteException exception)
        {
            throw Explain(exception, source.Path);
        }
    }

    /// <summary>The secrets of credentials lie in the file: nobody but its owner (and group, if somebody said so) may read it. SQLite gives its other files the rights of this one.</summary>
    private static void KeepToOwner(string path)
    {
        if (OperatingSystem.IsWindows()) return;
        const UnixFileMode Others = UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute;
        try
        {
            if (!File.Exists(path))
            {
                using var created = new FileStream(path, new FileStreamOptions { Mode = FileMode.OpenOrCreate, Access = FileAccess.ReadWrite, Share = FileShare.ReadWrite, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite });
                return;
            }

            foreach (var file in new[] { path, $"{path}-wal", $"{path}-shm" }.Where(File.Exists))
            {
                var mode = File.GetUnixFileMode(file);
                if ((mode & Others) != 0) File.SetUnixFileMode(file, mode & ~Others);
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // A file of somebody else, or no file at all: SQLite says what is wrong with it.
        }
    }

    /// <summary>Removes every silo from the membership table, for a caller that knows that none is alive (it holds the locks of all of them).
    /// Otherwise the first silo of a new run would wait for those that a kill -9 left behind as active.</summary>
    public static void ForgetSilos(SqliteDataSource source)
    {
        try
        {
            using var connection = (SqliteConnection)source.OpenConnection();
            using var transaction = connection.BeginTransaction(deferred: false);
            Execute(connection, "DELETE FROM OrleansMembershipTable; UPDATE OrleansMembershipVersionTable SET Version = Version + 1;");
            transaction.Commit();
        }
        catch (SqliteException exception)
        {
            throw Explain(exception, source.Path);
        }
    }

    /// <summary>The statements of Queries.sql by name.</summary>
    internal static IReadOnlyDictionary<string, string> ReadQueries()
    {
        const string Mark = "-- query: ";
        var queries = new Dictionary<string, string>(StringComparer.Ordinal);
        string? name = null;
        var text = new StringBuilder();
        foreach (var line in ReadResource("Queries.sql").Split('\n'))
        {
            if (line.StartsWith(Mark, StringComparison.Ordinal))
            {
                Add();
                name = line[Mark.Length..].Trim();
            }
            else if (name is not null && line.Trim().Length > 0)
            {
                text.Append(line.TrimEnd()).Append('\n');
            }
        }

        Add();
        return queries;

        void Add()
        {
            if (name is not null) queries.Add(name, text.ToString().TrimEnd());
            text.Clear();
        }
    }

    private static void CheckOwner(DbConnection connection, string path)
    {
        var applicationId = Scalar(connection, "PRAGMA application_id;");
        var tables = Scalar(connection, "SELECT count(*) FROM sqlite_master;");
        if (applicationId != ApplicationId && (applicationId != 0 || tables != 0))
        {
            throw new CannotStartException(
                ExitCode.Metadata, $"{path} is a SQLite database of another program.", "Give another file (Metadata:Path) or another data directory (--data).");
        }

        if (applicationId != ApplicationId) return;
        using var command = connection.CreateCommand();
        command.CommandText = "PRAGMA quick_check(1);";
        var verdict = (string)command.ExecuteScalar()!;
        if (verdict != "ok") throw Corrupt(path, verdict);
    }

    private static void Migrate(DbConnection connection, string path)
    {
        var version = Scalar(connection, "PRAGMA user_version;");
        if (version > Version)
        {
            throw new CannotStartException(
                ExitCode.Metadata, $"{path} has schema version {version}; this program knows versions up to {Version}.", "Start the newer program that wrote it.");
        }

        for (var next = version + 1; next <= Version; next++)
        {
            Execute(connection, ReadResource(string.Create(CultureInfo.InvariantCulture, $"Schema.{next}.sql")));
            Execute(connection, string.Create(CultureInfo.InvariantCulture, $"PRAGMA user_version = {next}; PRAGMA application_id = {ApplicationId};"));
        }
    }

    private static void WriteQueries(DbConnection connection)
    {
        foreach (var (key, text) in ReadQueries())
        {
            using var command = connection.CreateCommand();
            command.CommandText =
                "INSERT INTO OrleansQuery (QueryKey, QueryText) VALUES (@Key, @Text) " +
                "ON CONFLICT (QueryKey) DO UPDATE SET QueryText = excluded.QueryText WHERE QueryText <> excluded.QueryText;";
            command.Parameters.Add(new SqliteParameter("@Key", key));
            command.Parameters.Add(new SqliteParameter("@Text", text));
            command.ExecuteNonQuery();
        }
    }

    private static CannotStartException Explain(SqliteException exception, string path) => exception.SqliteErrorCode switch
    {
        SqliteCorrupt or SqliteNotADatabase => Corrupt(path, exception.Message),
        SqliteReadOnly or SqliteCannotOpen => new CannotStartException(
            ExitCode.DataDirectory, $"The metadata store {path} cannot be opened for writing: {exception.Message}",
            "Make its directory exist and writable for this user, or give another one (--data, Metadata:Path)."),
        _ => new CannotStartException(ExitCode.Metadata, $"The metadata store {path} failed: {exception.Message}", "See that the disk is healthy and has room."),
    };

    private static CannotStartException Corrupt(string path, string detail) => new(
        ExitCode.Metadata,
        $"The metadata store {path} is damaged: {detail.ReplaceLineEndings(" ")}",
        "Nothing was changed. Restore it from a backup; replica data in the pools is not affected. To begin anew without any volume, move it and the pools away.");

    private static int Scalar(DbConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        return Convert.ToInt32(command.ExecuteScalar(), CultureInfo.InvariantCulture);
    }

    private static void Execute(DbConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    private static string ReadResource(string name)
    {
        using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream($"OpenEbs.Server.Metadata.{name}")
            ?? throw new InvalidOperationException($"The program lacks its resource {name}.");
        using var reader = new StreamReader(stream, Encoding.UTF8);
        return reader.ReadToEnd();
    }
}
