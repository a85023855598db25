using System.Buffers.Binary;
using System.Numerics;

namespace OpenEbs.Storage;

/// <summary>CRC-32C (Castagnoli), reflected, initial value and final XOR all ones, as in RFC 7143 §13.1 and ext4.</summary>
public static class Crc32C
{
    /// <summary>The checksum of <paramref name="data"/>.</summary>
    public static uint Compute(ReadOnlySpan<byte> data) => ~Append(uint.MaxValue, data);

    /// <summary>Feeds more data into an unfinished register: start from all ones, finish by inverting.</summary>
    public static uint Append(uint register, ReadOnlySpan<byte> data)
    {
        while (data.Length >= 8)
        {
            register = BitOperations.Crc32C(register, BinaryPrimitives.ReadUInt64LittleEndian(data));
            data = data[8..];
        }

        foreach (var b in data) register = BitOperations.Crc32C(register, b);
        return register;
    }
}
