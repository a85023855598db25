using Microsoft.Extensions.Logging;
using OpenEbs.Grains.Hosting;
using OpenEbs.Pools;

namespace OpenEbs.Grains.Pools;

/// <summary>The pools of this silo. Watches that they stay: one that vanishes goes offline with a reason, and comes back when its directory does.</summary>
public sealed partial class LocalPools : ILifecycleParticipant<ISiloLifecycle>, IDisposable
{
    private static readonly TimeSpan CheckInterval = TimeSpan.FromSeconds(2);

    private readonly Dictionary<string, LocalPool> _pools;
    private readonly Lock _checking = new();
    private readonly TimeProvider _time;
    private readonly ILogger<LocalPools> _logger;
    private ITimer? _timer;

    public LocalPools(OpenEbsSiloOptions options, TimeProvider time, ILogger<LocalPools> logger)
    {
        _time = time;
        _logger = logger;
        _pools = options.Pools.ToDictionary(pool => pool.Id, pool => new LocalPool(pool, time, options.PoolThresholds));
        foreach (var pool in _pools.Values) pool.SpaceShrank += () => ThreadPool.QueueUserWorkItem(_ => CheckAll());
    }

    /// <summary>Raised, on any thread, when a pool became fuller, or has room again.</summary>
    internal event Action? FullnessChanged;

    public IReadOnlyCollection<LocalPool> All => _pools.Values;

    public LocalPool? Find(string id) => _pools.GetValueOrDefault(id);

    /// <summary>Opens all pools; the condition of each says how it went. A host that wants to refuse to start with a bad pool calls this before the silo does.</summary>
    public void Open() => CheckAll();

    public void Participate(ISiloLifecycle lifecycle) => lifecycle.Subscribe(nameof(LocalPools), ServiceLifecycleStage.RuntimeInitialize, _ =>
    {
        Open();
        _timer = _time.CreateTimer(_ => CheckAll(), null, CheckInterval, CheckInterval);
        return Task.CompletedTask;
    });

    public void Dispose()
    {
        _timer?.Dispose();
        foreach (var pool in _pools.Values) pool.Dispose();
    }

    private void CheckAll()
    {
        lock (_checking) CheckEach();
    }

    private void CheckEach()
    {
        foreach (var pool in _pools.Values)
        {
            var (before, fullness) = ((pool.Condition, pool.Reason), pool.Fullness);
            pool.Check();
            if (pool.IsOnline && pool.Fullness != fullness) Tell(pool);
            if (before == (pool.Condition, pool.Reason)) continue;
            if (pool.IsOnline) LogOnline(pool.Id, pool.Path);
            else LogOffline(pool.Id, pool.Reason);
        }
    }

    private void Tell(LocalPool pool)
    {
        FullnessChanged?.Invoke();
        if (pool.Fullness == PoolFullness.Healthy) LogRoom(pool.Id, pool.FreeBytes, pool.CapacityBytes);
        else LogFull(pool.Id, pool.Fullness == PoolFullness.Full ? "full" : "nearly full", pool.FreeBytes, pool.CapacityBytes);
    }

    [LoggerMessage(1202, LogLevel.Warning, "Pool {Pool}: {Fullness}: {FreeBytes} of {CapacityBytes} bytes are free; delete or unmap what is not needed, or enlarge it")]
    private partial void LogFull(string pool, string fullness, long freeBytes, long capacityBytes);

    [LoggerMessage(1203, LogLevel.Information, "Pool {Pool}: has room again: {FreeBytes} of {CapacityBytes} bytes are free")]
    private partial void LogRoom(string pool, long freeBytes, long capacityBytes);

    [LoggerMessage(1200, LogLevel.Information, "Pool {Pool}: online at {Path}")]
    private partial void LogOnline(string pool, string path);

    [LoggerMessage(1201, LogLevel.Error, "Pool {Pool}: offline: {Reason}")]
    private partial void LogOffline(string pool, string reason);
}
