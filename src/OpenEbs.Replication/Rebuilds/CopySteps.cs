using System.Buffers;
using OpenEbs.Replication.Replicas;
using OpenEbs.Replication.Volumes;
using OpenEbs.Storage.Store;

namespace OpenEbs.Replication.Rebuilds;

/// <summary>Sends copied blocks to a replica, in their place among the operations: what has been read while earlier ones were on their way goes together, in one step.</summary>
internal sealed class CopySteps(VolumeContext context, ReplicaLink link)
{
    /// <summary>One is on its way, the next is ready when its answer comes.</summary>
    private const int MaxUnderWay = 2;

    private readonly Queue<Entry> _waiting = new();
    private int _underWay;
    private bool _ended;

    /// <summary>Sends blocks that were read from a source to a replica on which they are bad. Takes over nothing.</summary>
    /// <exception cref="IOException">The replica refused.</exception>
    /// <exception cref="OperationCanceledException">The replica went down.</exception>
    public static async Task RepairAsync(VolumeContext context, ReplicaLink target, StoreOperation operation)
    {
        using var request = new AppendRequest(context.Epoch, target.Incarnation, context.CommitSeq, new StoreBatch(context.Epoch, target.NextStepNumber(), new[] { operation }), flush: false);
        var reply = await target.RunStepAsync(() => target.Channel.CopyAsync(request.AddReference(), repair: true));
        if (reply.Outcome != ReplicaOutcome.Ok) throw new IOException($"it could not store copied blocks: {reply.Outcome} {reply.Reason}");
    }

    /// <summary>Ends when the replica has the blocks. Takes over <paramref name="owners"/>, the buffers of the operations' data. The caller holds the blocks' range until then.</summary>
    /// <exception cref="IOException">The replica refused.</exception>
    /// <exception cref="OperationCanceledException">The replica went down, or <see cref="End"/> was called.</exception>
    public Task SendAsync(List<StoreOperation> operations, List<IMemoryOwner<byte>> owners)
    {
        var entry = new Entry(operations, owners);
        _waiting.Enqueue(entry);
        Pump();
        return entry.Sent.Task;
    }

    /// <summary>Nothing more is sent.</summary>
    public void End()
    {
        _ended = true;
        Pump();
    }

    private void Pump()
    {
        while (_waiting.Count > 0 && (_ended || _underWay < MaxUnderWay))
        {
            if (_ended) _waiting.Dequeue().Abandon();
            else _ = SendAsync(Take());
        }
    }

    private List<Entry> Take()
    {
        var (batch, bytes, operations) = (new List<Entry>(), 0L, 0);
        while (_waiting.TryPeek(out var next))
        {
            bytes += next.DataBytes;
            operations += next.Operations.Count;
            if (batch.Count > 0 && (bytes > context.Options.MaxBatchBytes || operations > context.Options.MaxBatchOperations)) break;
            batch.Add(_waiting.Dequeue());
        }

        return batch;
    }

    private async Task SendAsync(List<Entry> batch)
    {
        _underWay++;
        try
        {
            var operations = batch.SelectMany(entry => entry.Operations).ToArray();
            IDisposable?[] owners = [.. batch.SelectMany(entry => entry.Owners)];
            using var request = new AppendRequest(context.Epoch, link.Incarnation, context.CommitSeq, new StoreBatch(context.Epoch, link.NextStepNumber(), operations), flush: false, owners);
            var reply = await link.RunStepAsync(() => link.Channel.CopyAsync(request.AddReference(), repair: false));
            if (reply.Outcome != ReplicaOutcome.Ok) throw new IOException($"it could not store copied blocks: {reply.Outcome} {reply.Reason}");
            if (reply.Status is { } status) ReplicaRebuild.RequireHeadroom(context, status.WritableBytes);
            foreach (var entry in batch) entry.Sent.TrySetResult();
        }
        catch (Exception e)
        {
            foreach (var entry in batch) entry.Sent.TrySetException(e);
        }
        finally
        {
            _underWay--;
            Pump();
        }
    }

    private sealed class Entry(List<StoreOperation> operations, List<IMemoryOwner<byte>> owners)
    {
        public List<StoreOperation> Operations { get; } = operations;

        public List<IMemoryOwner<byte>> Owners { get; } = owners;

        public long DataBytes { get; } = operations.Sum(operation => (long)operation.Data.Length);

        public TaskCompletionSource Sent { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public void Abandon()
        {
            foreach (var owner in Owners) owner.Dispose();
            Sent.TrySetCanceled(CancellationToken.None);
        }
    }
}
