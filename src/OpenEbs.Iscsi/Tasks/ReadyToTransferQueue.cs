using OpenEbs.Iscsi.Portals;

namespace OpenEbs.Iscsi.Tasks;

/// <summary>The R2Ts of a task that are outstanding, oldest first. With DataSequenceInOrder=Yes they are served in that order (RFC 7143 §13.19).</summary>
internal sealed class ReadyToTransferQueue
{
    private readonly Transfer[] _transfers = new Transfer[IscsiLimits.MaxOutstandingR2T];

    public int Count { get; private set; }

    /// <summary>R2TSN of the next R2T.</summary>
    public uint NextR2TSN { get; private set; }

    /// <summary>First byte that no R2T has asked for yet.</summary>
    public uint SolicitedUntil { get; set; }

    public ref Transfer At(int index) => ref _transfers[index];

    /// <summary>Place of the R2T with a tag; negative when it is not outstanding.</summary>
    public int IndexOf(uint targetTransferTag)
    {
        for (var i = 0; i < Count; i++)
        {
            if (_transfers[i].TargetTransferTag == targetTransferTag) return i;
        }

        return -1;
    }

    public void Add(uint targetTransferTag, uint offset, uint lengthBytes)
    {
        _transfers[Count++] = new Transfer { TargetTransferTag = targetTransferTag, Offset = offset, LengthBytes = lengthBytes };
        NextR2TSN++;
        SolicitedUntil = offset + lengthBytes;
    }

    public void RemoveAt(int index)
    {
        Count--;
        Array.Copy(_transfers, index + 1, _transfers, index, Count - index);
    }

    public void Clear()
    {
        Count = 0;
        NextR2TSN = SolicitedUntil = 0;
    }

    internal struct Transfer
    {
        public uint TargetTransferTag;
        public uint Offset;
        public uint LengthBytes;
        public uint ReceivedBytes;

        /// <summary>DataSN that the next Data-Out of this R2T must have.</summary>
        public uint DataSN;
    }
}
