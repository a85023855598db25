using System.Buffers;
using OpenEbs.Replication.Volumes;

namespace OpenEbs.Simulation.Gateways;

/// <summary>The real thing.</summary>
internal sealed class CoordinatorEndpoint(VolumeCoordinator coordinator) : IVolumeEndpoint
{
    public VolumeCoordinator Coordinator => coordinator;

    public void Start() => coordinator.Start();

    public ValueTask<VolumeRecord> WhenOpenAsync() => coordinator.WhenOpenAsync(TimeSpan.FromMinutes(1));

    public ValueTask<VolumeIoResult> ReadAsync(long offsetBytes, int lengthBytes) => coordinator.ReadAsync(offsetBytes, lengthBytes);

    public ValueTask<VolumeIoResult> WriteAsync(long offsetBytes, IMemoryOwner<byte> data, int lengthBytes, bool forceUnitAccess) =>
        coordinator.WriteAsync(offsetBytes, data, lengthBytes, forceUnitAccess);

    public ValueTask<VolumeIoResult> FlushAsync() => coordinator.FlushAsync();

    public ValueTask<VolumeIoResult> WriteZeroesAsync(long offsetBytes, long lengthBytes, bool forceUnitAccess) =>
        coordinator.WriteZeroesAsync([new BlockByteRange(offsetBytes, lengthBytes)], forceUnitAccess);

    public ValueTask<VolumeIoResult> CompareAndWriteAsync(long offsetBytes, IMemoryOwner<byte> compareThenWrite, int lengthBytes, bool forceUnitAccess) =>
        coordinator.CompareAndWriteAsync(offsetBytes, compareThenWrite, lengthBytes, forceUnitAccess);

    public ValueTask<string> AddReplicaAsync(string pool) => coordinator.Members.AddAsync(pool, "");

    public ValueTask<bool> RemoveReplicaAsync(string replicaId) => coordinator.Members.RemoveAsync(replicaId, "");

    public ValueTask ForgetReplicaAsync(string replicaId) => coordinator.Members.ForgetAsync([replicaId]);

    public ValueTask<bool> LetGoAsync(string replicaId, Guid incarnation) => coordinator.Members.LetGoAsync(replicaId, incarnation);

    public ValueTask CloseAsync() => coordinator.CloseAsync();

    public void Scrub() => coordinator.Scrub();

    public string Describe()
    {
        var s = coordinator.Snapshot();
        return $"{s.State} ({s.Reason}) seq {s.Seq} commit {s.CommitSeq}: {string.Join("; ", s.Replicas.Select(r => $"{r.Id} {r.Standing} acked {r.AckedSeq} durable {r.DurableSeq} {r.Reason}"))}";
    }
}
