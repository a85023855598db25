using Microsoft.Extensions.Logging.Abstractions;
using OpenEbs.Storage.Store;
using OpenEbs.Testing.Devices;
using OpenEbs.Testing.Store;

namespace OpenEbs.Storage.Tests.Store;

/// <summary>Where a store under test lives, and what can happen to it.</summary>
internal interface IStoreHost
{
    /// <summary>Null when this host can neither crash nor lose power.</summary>
    SimulatedStorageDevice? Device { get; }

    /// <summary>Opens the store, which it makes if there is none.</summary>
    ValueTask<IReplicaStore> OpenAsync();

    void Crash(CrashKind kind);
}

/// <summary>The model store: it never forgets, so opening it again gives the same one.</summary>
internal sealed class MemoryStoreHost(MemoryReplicaStore store) : IStoreHost
{
    public SimulatedStorageDevice? Device => null;

    public ValueTask<IReplicaStore> OpenAsync() => ValueTask.FromResult<IReplicaStore>(store);

    public void Crash(CrashKind kind) => throw new NotSupportedException();
}

/// <summary>The real store on a simulated disk.</summary>
internal sealed class SimulatedStoreHost(SimulatedStorageOptions options, ReplicaStoreOptions store) : IStoreHost
{
    /// <summary>Everything small, so that some hundred operations fill segments, take checkpoints, compact and recycle.</summary>
    public static ReplicaStoreOptions SmallOptions { get; } = new()
    {
        ReplicaId = "replica-1",
        BootId = "",
        CreateIfAbsent = true,
        SegmentBytes = 128 * 1024,
        CheckpointLogBytes = 300 * 1024,
        MaxDirtyLeaves = 64,
        MaxCachedLeaves = 3,
        ReserveBytes = 8 << 20,
        CompactionSlackSegments = 2,
    };

    public SimulatedStorageDevice Device { get; private set; } = new(options);

    public async ValueTask<IReplicaStore> OpenAsync() =>
        await ReplicaStore.OpenAsync(Device, store with { BootId = Device.BootId }, TimeProvider.System, NullLogger.Instance);

    public void Crash(CrashKind kind) => Device = Device.Crash(kind);
}
