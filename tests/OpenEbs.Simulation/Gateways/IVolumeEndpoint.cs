using System.Buffers;
using OpenEbs.Replication.Volumes;

namespace OpenEbs.Simulation.Gateways;

/// <summary>What a gateway talks to: a VolumeCoordinator, or in tests of the checker something simpler.</summary>
public interface IVolumeEndpoint
{
    void Start();

    ValueTask<VolumeRecord> WhenOpenAsync();

    ValueTask<VolumeIoResult> ReadAsync(long offsetBytes, int lengthBytes);

    ValueTask<VolumeIoResult> WriteAsync(long offsetBytes, IMemoryOwner<byte> data, int lengthBytes, bool forceUnitAccess);

    ValueTask<VolumeIoResult> FlushAsync();

    ValueTask<VolumeIoResult> WriteZeroesAsync(long offsetBytes, long lengthBytes, bool forceUnitAccess);

    ValueTask<VolumeIoResult> CompareAndWriteAsync(long offsetBytes, IMemoryOwner<byte> compareThenWrite, int lengthBytes, bool forceUnitAccess);

    ValueTask<string> AddReplicaAsync(string pool);

    ValueTask<bool> RemoveReplicaAsync(string replicaId);

    ValueTask ForgetReplicaAsync(string replicaId);

    ValueTask<bool> LetGoAsync(string replicaId, Guid incarnation);

    ValueTask CloseAsync();

    /// <summary>Begins to scrub the volume.</summary>
    void Scrub()
    {
    }

    /// <summary>One line for the trace.</summary>
    string Describe();
}
