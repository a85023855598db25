using System.Buffers;
using OpenEbs.Replication.Replicas;
using OpenEbs.Storage.Store;

namespace OpenEbs.Simulation.Network;

/// <summary>An AppendRequest as it travels: its own copy of everything, so that no buffer of the sender is seen by the receiver.</summary>
internal sealed class WireAppend
{
    private readonly long _epoch;
    private readonly Guid _incarnation;
    private readonly long _commitSeq;
    private readonly StoreBatch _batch;
    private readonly bool _flush;

    public WireAppend(AppendRequest request)
    {
        _epoch = request.Epoch;
        _incarnation = request.Incarnation;
        _commitSeq = request.CommitSeq;
        _flush = request.Flush;
        _batch = Copy(request.Batch);
    }

    /// <summary>A request for one delivery, in buffers of the receiver.</summary>
    public AppendRequest ToRequest(MemoryPool<byte> pool)
    {
        var operations = _batch.Operations.ToArray();
        var owners = new IDisposable?[operations.Length];
        for (var i = 0; i < operations.Length; i++)
        {
            if (operations[i].Data.IsEmpty) continue;
            var owner = pool.Rent(operations[i].Data.Length);
            operations[i].Data.CopyTo(owner.Memory);
            operations[i] = operations[i] with { Data = owner.Memory[..operations[i].Data.Length] };
            owners[i] = owner;
        }

        return new AppendRequest(_epoch, _incarnation, _commitSeq, _batch with { Operations = operations }, _flush, owners);
    }

    public static StoreBatch Copy(StoreBatch batch)
    {
        var operations = batch.Operations.ToArray();
        for (var i = 0; i < operations.Length; i++) operations[i] = operations[i] with { Data = operations[i].Data.ToArray(), Checksums = operations[i].Checksums.ToArray() };
        return batch with { Operations = operations };
    }
}
