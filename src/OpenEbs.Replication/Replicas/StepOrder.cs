using OpenEbs.Storage.Store;

namespace OpenEbs.Replication.Replicas;

/// <summary>The numbers of rebuild steps, copies and repairs that a replica has carried out: each once, in rising order (see <see cref="RebuildRequest.Number"/>).</summary>
internal sealed class StepOrder
{
    private long _epoch;
    private long _last;

    /// <summary>Opening takes a number too: whatever was sent before it is late from now on. 0 takes none.</summary>
    public void Open(long epoch, long number)
    {
        if (number > 0) (_epoch, _last) = (epoch, epoch == _epoch ? Math.Max(_last, number) : number);
    }

    /// <summary>What to answer to a step that was carried out before, or comes too late; null for one that is to be carried out.</summary>
    public RebuildReply? Answer(long epoch, long number, StoreStatus status)
    {
        if (epoch != _epoch || number > _last) return null;
        return number == _last ? new RebuildReply(ReplicaOutcome.Ok, status) : new RebuildReply(ReplicaOutcome.Failed, status, $"step {number} came after step {_last}");
    }

    /// <summary>The step was carried out.</summary>
    public RebuildReply Done(long epoch, long number, StoreStatus status)
    {
        (_epoch, _last) = (epoch, number);
        return new RebuildReply(ReplicaOutcome.Ok, status);
    }
}
