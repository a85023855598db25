using System.Buffers.Binary;
using Orleans.Serialization.Buffers;

namespace OpenEbs.Buffers;

/// <summary>Frame of our hand-written codecs: var-int length of all that follows, u16 header length, header, body. A newer version may lengthen the header and add to the end of
/// the body; an older reader skips both. All integers are little-endian.</summary>
internal static class WireFrame
{
    public const int PrefixBytes = sizeof(ushort);

    /// <summary>Reads up to the end of the header and returns the position at which the frame ends.</summary>
    /// <exception cref="InvalidDataException">The header is shorter than <paramref name="header"/>.</exception>
    public static long Begin<TInput>(scoped ref Reader<TInput> reader, scoped Span<byte> header)
    {
        var length = reader.ReadVarUInt32();
        reader.EnsureAvailable(length);
        var end = reader.Position + length;
        Span<byte> prefix = stackalloc byte[PrefixBytes];
        reader.ReadBytes(prefix);
        var headerBytes = BinaryPrimitives.ReadUInt16LittleEndian(prefix);
        if (headerBytes < header.Length || length < headerBytes + PrefixBytes)
        {
            throw new InvalidDataException($"A message of {length} bytes has a header of {headerBytes}; at least {header.Length} were expected.");
        }

        reader.ReadBytes(header);
        reader.Skip(headerBytes - header.Length);
        return end;
    }

    /// <summary>Skips what a newer version added to the body.</summary>
    public static void End<TInput>(scoped ref Reader<TInput> reader, long end) => reader.Skip(end - reader.Position);

    /// <summary>Refuses lengths that the frame does not hold, before anything is allocated for them.</summary>
    public static void EnsureWithin<TInput>(scoped ref Reader<TInput> reader, long end, long lengthBytes)
    {
        if (lengthBytes < 0 || lengthBytes > end - reader.Position)
            throw new InvalidDataException($"A message announces {lengthBytes} bytes where {end - reader.Position} are left.");
    }
}
