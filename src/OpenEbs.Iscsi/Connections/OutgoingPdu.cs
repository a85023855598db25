using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Tasks;

namespace OpenEbs.Iscsi.Connections;

/// <summary>What a PDU does to StatSN (RFC 7143 §4.2.2.2).</summary>
internal enum StatSNUse : byte
{
    /// <summary>The field is reserved: Data-In without status.</summary>
    None,

    /// <summary>Carries the next StatSN without using it up: R2T and an unsolicited NOP-In.</summary>
    Peek,

    /// <summary>Uses one up.</summary>
    Advance,
}

/// <summary>A PDU on its way out, or a run of Data-In PDUs over one buffer that the writer cuts as it sends. Pooled by the writer.</summary>
internal sealed class OutgoingPdu
{
    /// <summary>Header as it goes out but for the sequence numbers; for Data-In that of the last PDU of the run, with BufferOffset and DataSN of the first.</summary>
    public BasicHeader Header;

    public ReadOnlyMemory<byte> Payload;

    /// <summary>Released when the payload has been sent.</summary>
    public IDisposable? Owner;

    public StatSNUse StatSN;

    /// <summary>Part of the session's data budget that is given back when the payload has been sent.</summary>
    public int GrantedBytes;

    /// <summary>Whose budget that is.</summary>
    public DataRoom? GrantedTo;

    /// <summary>For a run of Data-In: the initiator's MaxRecvDataSegmentLength; 0 for a single PDU.</summary>
    public int MaxSegmentBytes;

    /// <summary>For a run of Data-In: bytes after which a sequence ends.</summary>
    public int MaxBurstBytes;

    public OutgoingPdu? Next;

    /// <summary>Bytes of the payload that the writer has already cut off.</summary>
    public int Cut;

    private byte[]? _small;

    /// <summary>A buffer of the PDU's own for sense data, rejected headers and short texts.</summary>
    public byte[] Small => _small ??= new byte[128];

    /// <summary>Gives back the payload and what was granted for it.</summary>
    public void Release()
    {
        Owner?.Dispose();
        GrantedTo?.GiveBack(GrantedBytes);
    }

    public void Reset()
    {
        Header.Clear();
        Payload = default;
        Owner = null;
        GrantedTo = null;
        GrantedBytes = 0;
        StatSN = StatSNUse.None;
        MaxSegmentBytes = MaxBurstBytes = Cut = 0;
        Next = null;
    }
}
