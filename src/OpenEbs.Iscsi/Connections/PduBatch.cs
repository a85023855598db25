using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Sessions;

namespace OpenEbs.Iscsi.Connections;

/// <summary>The PDUs of one send as a gather list: headers, digests and short payloads in one staging buffer, long payloads where they lie.
/// Sequence numbers are stamped here, in the order in which PDUs go out.</summary>
internal sealed class PduBatch
{
    /// <summary>A batch stops growing here, so that a long queue does not hold all its buffers until the last byte is gone.</summary>
    public const int MaxBytes = 512 * 1024;

    /// <summary>Payloads up to this long are copied behind their headers: cheaper than two more entries in the gather list, each of which the runtime pins.</summary>
    private const int CopyBytes = 8 * 1024;

    private const int StagingBytes = 128 * 1024;

    /// <summary>The runtime keeps gather lists up to this long on the stack.</summary>
    private const int MaxSegments = 8;

    private byte[]? _staging;
    private int _used;
    private int _runStart;

    public List<ArraySegment<byte>> Segments { get; } = new(MaxSegments);

    public int LengthBytes { get; private set; }

    /// <summary>The StatSN that the next status takes.</summary>
    public uint StatSN { get; set; }

    public bool HeaderDigest { get; set; }

    public bool DataDigest { get; set; }

    public bool IsFull => LengthBytes >= MaxBytes || Segments.Count > MaxSegments - 3;

    public void Clear()
    {
        Segments.Clear();
        _used = _runStart = LengthBytes = 0;
    }

    /// <summary>Data-In PDUs that a run of <paramref name="lengthBytes"/> is cut into.</summary>
    public static uint CountSegments(int lengthBytes, int maxSegmentBytes, int maxBurstBytes)
    {
        var perBurst = (maxBurstBytes + maxSegmentBytes - 1) / maxSegmentBytes;
        var rest = lengthBytes % maxBurstBytes;
        return (uint)((lengthBytes / maxBurstBytes * perBurst) + ((rest + maxSegmentBytes - 1) / maxSegmentBytes));
    }

    /// <summary>Adds the next PDU of a queue entry; false when the staging buffer has no room left for it.</summary>
    public bool TryAppend(OutgoingPdu pdu, CommandWindow window)
    {
        var rest = pdu.Payload.Length - pdu.Cut;
        var length = rest;
        if (pdu.MaxSegmentBytes > 0) length = Math.Min(Math.Min(rest, pdu.MaxSegmentBytes), pdu.MaxBurstBytes - (pdu.Cut % pdu.MaxBurstBytes));
        var copied = length <= CopyBytes;
        if (_used + BasicHeader.Length + 12 + (copied ? length : 0) > StagingBytes) return false;
        _staging ??= ArrayPool<byte>.Shared.Rent(StagingBytes);
        var header = pdu.Header;
        var isLast = length == rest;
        if (pdu.MaxSegmentBytes > 0) StampDataIn(ref header, pdu, length, isLast);
        header.DataSegmentLengthBytes = length;
        StampNumbers(ref header, isLast ? pdu.StatSN : StatSNUse.None, window);
        var start = _used;
        header.Bytes.CopyTo(_staging.AsSpan(_used));
        _used += BasicHeader.Length;
        if (HeaderDigest) AppendDigest(Crc32C.Compute(header.Bytes));
        if (length > 0) AppendPayload(pdu.Payload.Slice(pdu.Cut, length), copied);
        LengthBytes += _used - start + (copied ? 0 : length);
        pdu.Cut += length;
        return true;
    }

    /// <summary>Ends the batch: its segments are complete.</summary>
    public void Seal()
    {
        if (_used > _runStart) Segments.Add(new ArraySegment<byte>(_staging!, _runStart, _used - _runStart));
        _runStart = _used;
    }

    /// <summary>Gives the staging buffer back while nothing is to be sent.</summary>
    public void ReturnStaging()
    {
        if (_staging is null) return;
        ArrayPool<byte>.Shared.Return(_staging);
        _staging = null;
    }

    /// <summary>RFC 7143 §11.7: DataSN counts, a sequence ends at MaxBurstLength, status travels in the last PDU only.</summary>
    private static void StampDataIn(ref BasicHeader header, OutgoingPdu pdu, int length, bool isLast)
    {
        header.DataSN = pdu.Header.DataSN + CountSegments(pdu.Cut, pdu.MaxSegmentBytes, pdu.MaxBurstBytes);
        header.BufferOffset = pdu.Header.BufferOffset + (uint)pdu.Cut;
        if (isLast) return;
        header.Flags = (pdu.Cut + length) % pdu.MaxBurstBytes == 0 ? (byte)0x80 : (byte)0;
        header.Bytes[3] = 0;
        header.ResidualCount = 0;
    }

    private void StampNumbers(ref BasicHeader header, StatSNUse use, CommandWindow window)
    {
        if (use != StatSNUse.None) header.StatSN = StatSN;
        if (use == StatSNUse.Advance) StatSN++;
        var (expected, max) = window.Numbers;
        header.ExpCmdSN = expected;
        header.MaxCmdSN = max;
    }

    private void AppendPayload(ReadOnlyMemory<byte> payload, bool copied)
    {
        if (copied)
        {
            payload.Span.CopyTo(_staging.AsSpan(_used));
            _used += payload.Length;
        }
        else
        {
            Seal();
            if (!MemoryMarshal.TryGetArray(payload, out var segment)) segment = new ArraySegment<byte>(payload.ToArray());
            Segments.Add(segment);
        }

        var pad = _staging.AsSpan(_used, PduFraming.PaddingBytes(payload.Length));
        pad.Clear();
        _used += pad.Length;
        if (DataDigest) AppendDigest(~Crc32C.Append(Crc32C.Append(uint.MaxValue, payload.Span), pad));
    }

    private void AppendDigest(uint digest)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(_staging.AsSpan(_used), digest);
        _used += PduFraming.DigestBytes;
    }
}
