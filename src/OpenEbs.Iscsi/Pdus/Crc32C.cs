using System.Buffers.Binary;
using System.Numerics;

namespace OpenEbs.Iscsi.Pdus;

/// <summary>CRC-32C (Castagnoli) of iSCSI digests, RFC 7143 §13.1: reflected, initial value and final XOR all ones; the digest goes on the wire
/// least significant byte first.</summary>
/// <remarks>The CPU's CRC instruction has a latency of three cycles and a throughput of one, so long inputs are done as three interleaved blocks
/// whose registers are joined by tables that advance a register over a block of zeros.</remarks>
internal static class Crc32C
{
    private const uint Polynomial = 0x82f63b78;
    private const int LongBlockBytes = 4096;
    private const int ShortBlockBytes = 512;
    private static readonly uint[] LongShift = BuildShift(LongBlockBytes);
    private static readonly uint[] ShortShift = BuildShift(ShortBlockBytes);

    /// <summary>The checksum of <paramref name="data"/>.</summary>
    public static uint Compute(ReadOnlySpan<byte> data) => ~Append(uint.MaxValue, data);

    /// <summary>Feeds more data into an unfinished register: start from all ones, finish by inverting.</summary>
    public static uint Append(uint register, ReadOnlySpan<byte> data)
    {
        while (data.Length >= 3 * LongBlockBytes) register = AppendThree(register, ref data, LongBlockBytes, LongShift);
        while (data.Length >= 3 * ShortBlockBytes) register = AppendThree(register, ref data, ShortBlockBytes, ShortShift);
        while (data.Length >= 8)
        {
            register = BitOperations.Crc32C(register, BinaryPrimitives.ReadUInt64LittleEndian(data));
            data = data[8..];
        }

        foreach (var b in data) register = BitOperations.Crc32C(register, b);
        return register;
    }

    private static uint AppendThree(uint register, ref ReadOnlySpan<byte> data, int blockBytes, uint[] shift)
    {
        var first = data[..blockBytes];
        var second = data.Slice(blockBytes, blockBytes);
        var third = data.Slice(2 * blockBytes, blockBytes);
        uint b = 0, c = 0;
        for (var i = 0; i + 8 <= blockBytes; i += 8)
        {
            register = BitOperations.Crc32C(register, BinaryPrimitives.ReadUInt64LittleEndian(first[i..]));
            b = BitOperations.Crc32C(b, BinaryPrimitives.ReadUInt64LittleEndian(second[i..]));
            c = BitOperations.Crc32C(c, BinaryPrimitives.ReadUInt64LittleEndian(third[i..]));
        }

        data = data[(3 * blockBytes)..];
        register = Advance(shift, register) ^ b;
        return Advance(shift, register) ^ c;
    }

    private static uint Advance(uint[] shift, uint register) =>
        shift[register & 0xff] ^ shift[256 + ((register >> 8) & 0xff)] ^ shift[512 + ((register >> 16) & 0xff)] ^ shift[768 + (register >> 24)];

    /// <summary>Advancing over zeros is linear, so the images of the 32 single-bit registers give it for every byte value at each position.</summary>
    private static uint[] BuildShift(int zeroBytes)
    {
        var images = new uint[32];
        for (var bit = 0; bit < 32; bit++)
        {
            var register = 1u << bit;
            for (var i = 0; i < zeroBytes * 8; i++) register = (register >> 1) ^ ((register & 1) != 0 ? Polynomial : 0);
            images[bit] = register;
        }

        var table = new uint[4 * 256];
        for (var i = 0; i < table.Length; i++)
        {
            for (var bit = 0; bit < 8; bit++)
            {
                if ((i & (1 << bit)) != 0) table[i] ^= images[((i >> 8) * 8) + bit];
            }
        }

        return table;
    }
}
