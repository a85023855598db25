using System.Buffers.Binary;

namespace OpenEbs.Iscsi.Pdus;

/// <summary>What framing may accept on a connection at this time.</summary>
/// <param name="MaxDataSegmentLengthBytes">The MaxRecvDataSegmentLength that this side has declared.</param>
/// <param name="HeaderDigest">True when headers carry a CRC-32C.</param>
/// <param name="DataDigest">True when data segments carry a CRC-32C.</param>
internal readonly record struct FramingRules(int MaxDataSegmentLengthBytes, bool HeaderDigest, bool DataDigest);

/// <summary>How an attempt to read a PDU's header ended.</summary>
internal enum FramingOutcome : byte
{
    /// <summary>The header is complete and plausible.</summary>
    Complete,

    /// <summary>More bytes are needed.</summary>
    NeedMore,

    /// <summary>The announced data segment is longer than this side has declared that it receives.</summary>
    TooLong,

    /// <summary>The header digest does not match.</summary>
    HeaderDigestError,
}

/// <summary>Finds PDU headers in a byte stream.</summary>
internal static class PduFraming
{
    /// <summary>Longest header: basic header, 255 words of additional headers, digest.</summary>
    public const int MaxHeaderBytes = BasicHeader.Length + (255 * 4) + DigestBytes;

    public const int DigestBytes = 4;

    /// <summary>Reads basic and additional header segments and checks the header digest (RFC 7143 §11.2). The data segment stays in the stream.
    /// A length that will never be acceptable is refused before its bytes are waited for.</summary>
    /// <param name="buffer">What has arrived so far.</param>
    /// <param name="rules">What may be accepted.</param>
    /// <param name="header">Filled when enough bytes are there to judge.</param>
    /// <param name="lengthBytes">With Complete: bytes of the header including additional segments and digest. With NeedMore: bytes that must be there.</param>
    public static FramingOutcome TryReadHeader(ReadOnlySpan<byte> buffer, in FramingRules rules, ref BasicHeader header, out int lengthBytes)
    {
        lengthBytes = BasicHeader.Length + (rules.HeaderDigest ? DigestBytes : 0);
        if (buffer.Length < BasicHeader.Length) return FramingOutcome.NeedMore;
        buffer[..BasicHeader.Length].CopyTo(header.Bytes);
        var digestOffset = BasicHeader.Length + header.AhsLengthBytes;
        lengthBytes = digestOffset + (rules.HeaderDigest ? DigestBytes : 0);

        // RFC 7143 §7.7: a PDU that violates the negotiated maximum length is a format error that ends the session. Without a header digest the
        // length is all we have, so it is judged at once; with one a corrupt length must be told from a hostile one, and both end the connection.
        if (header.DataSegmentLengthBytes > rules.MaxDataSegmentLengthBytes) return FramingOutcome.TooLong;
        if (buffer.Length < lengthBytes) return FramingOutcome.NeedMore;
        if (rules.HeaderDigest
            && Crc32C.Compute(buffer[..digestOffset]) != BinaryPrimitives.ReadUInt32LittleEndian(buffer[digestOffset..]))
        {
            return FramingOutcome.HeaderDigestError;
        }

        return FramingOutcome.Complete;
    }

    /// <summary>Bytes of padding after a segment: segments end on 4-byte boundaries (RFC 7143 §11.1).</summary>
    public static int PaddingBytes(int lengthBytes) => -lengthBytes & 3;
}
