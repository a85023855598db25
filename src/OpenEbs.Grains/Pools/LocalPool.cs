using OpenEbs.Pools;
using OpenEbs.Storage.Devices;
using OpenEbs.Storage.Store;

namespace OpenEbs.Grains.Pools;

/// <summary>Whether a pool of this node can be used, and if not, what is wrong.</summary>
public enum PoolCondition
{
    Online,

    /// <summary>Another process uses the directory.</summary>
    InUse,

    /// <summary>The directory, or the disk under it, went away or was emptied.</summary>
    Vanished,

    /// <summary>The directory holds another pool, or something that is not a pool.</summary>
    Foreign,

    /// <summary>The directory cannot be created, read or written.</summary>
    Inaccessible,
}

/// <summary>A pool on this node: a directory that holds <c>pool.json</c> (which pool it is), <c>pool.lock</c> (held while a process uses it) and <c>replicas/ID/</c> (one directory a replica).</summary>
/// <remarks>Thread-safe.</remarks>
public sealed class LocalPool : IDisposable
{
    private const string LockName = "pool.lock";
    private const string ReplicasName = "replicas";

    private readonly TimeProvider _time;
    private readonly Lock _lock = new();
    private FileStream? _held;
    private PoolSpace? _space;
    private bool _wasOnline;
    private readonly MediaErrors _mediaErrors;

    internal LocalPool(PoolOptions options, TimeProvider time, PoolThresholds? thresholds = null)
    {
        Thresholds = thresholds ?? new PoolThresholds();
        Options = options;
        Path = System.IO.Path.GetFullPath(options.Path);
        _time = time;
        _mediaErrors = new MediaErrors(time);
    }

    public PoolOptions Options { get; }

    public string Id => Options.Id;

    /// <summary>Full path of the pool's directory.</summary>
    public string Path { get; }

    public PoolCondition Condition { get; private set; } = PoolCondition.Inaccessible;

    /// <summary>What is wrong and what to do about it, for people; empty when online.</summary>
    public string Reason { get; private set; } = "not opened yet";

    /// <summary>Rises whenever the pool goes offline or comes back: files opened before are of the past.</summary>
    public int Life { get; private set; }

    public bool IsOnline => Condition == PoolCondition.Online;

    public long CapacityBytes { get; private set; }

    /// <summary>Bytes that replicas may still occupy.</summary>
    public long FreeBytes => IsOnline ? _space?.FreeBytes ?? 0 : 0;

    public PoolThresholds Thresholds { get; }

    /// <summary>What was found damaged on its media since the process began.</summary>
    public IReadOnlyList<MediaErrorView> MediaErrors => _mediaErrors.List();

    /// <summary>As of the last check.</summary>
    public PoolFullness Fullness { get; private set; }

    /// <summary>Raised, on any thread, when space was taken and <see cref="Fullness"/> is no longer right: a pool may fill up between two checks.</summary>
    internal event Action? SpaceShrank;

    /// <summary>The room that the pool's replicas share.</summary>
    /// <exception cref="IOException">The pool is offline.</exception>
    internal PoolSpace Space => IsOnline && _space is { } space ? space : throw new IOException($"Pool '{Id}' is offline: {Reason}");

    /// <summary>Opens the pool, creating it in a directory that is absent or empty; or, when it is open, checks that it still is what it was.</summary>
    public void Check()
    {
        lock (_lock)
        {
            var (condition, reason) = IsOnline ? CheckOpen() : TryOpen();
            if (condition == PoolCondition.Online) CheckSpace(_space!);
            if (condition == Condition && reason == Reason) return;
            if (IsOnline != (condition == PoolCondition.Online)) Life++;
            if (condition != PoolCondition.Online) Release();
            Condition = condition;
            Reason = reason;
        }
    }

    /// <summary>Something of a replica was found damaged on media.</summary>
    internal void NoteMediaError(string replicaId, string what) => _mediaErrors.Note(replicaId, what);

    public IReadOnlyList<string> ListReplicas()
    {
        var directory = System.IO.Path.Combine(Path, ReplicasName);
        if (!IsOnline || !Directory.Exists(directory)) return [];
        return [.. Directory.EnumerateDirectories(directory).Select(System.IO.Path.GetFileName).OfType<string>().Where(name => !name.StartsWith('.'))];
    }

    /// <summary>Where a replica's files are, whether they exist or not.</summary>
    public string ReplicaPath(string replicaId) => System.IO.Path.Combine(Path, ReplicasName, ValidReplicaId(replicaId));

    /// <summary>Removes a replica's files; nothing happens when there are none.</summary>
    public async Task DeleteReplicaAsync(string replicaId)
    {
        var path = ReplicaPath(replicaId);
        if (!Directory.Exists(path)) return;
        using (var device = FileStorageDevice.Open(path, Space)) await ReplicaStore.DeleteAsync(device);
        Directory.Delete(path, recursive: true);
    }

    public void Dispose()
    {
        lock (_lock)
        {
            Release();
            Condition = PoolCondition.Inaccessible;
            Reason = "closed";
        }
    }

    private static string ValidReplicaId(string id) => id.Length is > 0 and <= 128 && id[0] != '.' && id.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.')
        ? id
        : throw new ArgumentException($"'{id}' cannot be the id of a replica.", nameof(id));

    private (PoolCondition Condition, string Reason) TryOpen()
    {
        try
        {
            if (_wasOnline && !File.Exists(System.IO.Path.Combine(Path, PoolIdentity.FileName))) return Vanished();
            Directory.CreateDirectory(Path);
            var identity = PoolIdentity.Read(Path);
            if (identity is not null && identity.Id != Id)
            {
                return (PoolCondition.Foreign, $"{Path} holds pool '{identity.Id}', but is configured as '{Id}'; correct the configuration, or give the right directory");
            }

            if (identity is null && Directory.EnumerateFileSystemEntries(Path).Any(entry => System.IO.Path.GetFileName(entry) is not LockName and not "lost+found"))
            {
                return (PoolCondition.Foreign, $"{Path} is not empty and has no {PoolIdentity.FileName}: it is not a pool; give an empty directory");
            }

            var lockPath = System.IO.Path.Combine(Path, LockName);
            try
            {
                _held = new FileStream(lockPath, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException) when (File.Exists(lockPath))
            {
                return (PoolCondition.InUse, $"{Path} is in use by another openebs process (it holds {LockName}); stop that process, or give this one another directory");
            }

            if (identity is null) new PoolIdentity(PoolIdentity.CurrentFormat, Id, _time.GetUtcNow()).Write(Path);
            Directory.CreateDirectory(System.IO.Path.Combine(Path, ReplicasName));
            _space = new PoolSpace(Path, Options.CapacityBytes, _time);
            CapacityBytes = _space.CapacityBytes;
            _space.Grew = OnGrew;
            _wasOnline = true;
            return (PoolCondition.Online, "");
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            return (PoolCondition.Inaccessible, $"{problem.Message.TrimEnd('.')}; give a directory that this process may write to, or repair the disk");
        }
    }

    private void OnGrew()
    {
        if (_space is { } space && Thresholds.Judge(Fullness, CapacityBytes, space.FreeBytes) > Fullness) SpaceShrank?.Invoke();
    }

    private void CheckSpace(PoolSpace space)
    {
        space.KeepReserve(PoolThresholds.ReserveBytes);
        Fullness = Thresholds.Judge(Fullness, CapacityBytes, space.FreeBytes);
    }

    private (PoolCondition Condition, string Reason) CheckOpen()
    {
        try
        {
            return PoolIdentity.Read(Path)?.Id == Id ? (PoolCondition.Online, "") : Vanished();
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            return (PoolCondition.Inaccessible, problem.Message);
        }
    }

    private (PoolCondition Condition, string Reason) Vanished() =>
        (PoolCondition.Vanished, $"{Path} vanished, or lost its {PoolIdentity.FileName}; mount the disk again, the pool then comes back by itself");

    private void Release()
    {
        _held?.Dispose();
        _held = null;
    }

}
