using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace OpenEbs.Storage;

/// <summary>CRC-32C (Castagnoli), reflected, initial value and final XOR all ones, as in RFC 7143 §13.1 and ext4.</summary>
/// <remarks>
/// The crc32 instruction takes three cycles but one can start in each, so three parts of the data are summed side by side and then put together: the
/// register after a part A and n more bits is that of A times x^n modulo the polynomial, and a product of two registers (carry-less multiplication,
/// which in reflected bits is one place short) is reduced by the crc32 instruction itself, which multiplies by x^32: so the factor is x^(n-33).
/// </remarks>
public static class Crc32C
{
    private const int LongPartBytes = 1360; // Three of them are a 4 KiB block but for 16 bytes.
    private const int ShortPartBytes = 80;
    private const uint ReflectedPolynomial = 0x82F63B78;
    private static readonly Vector128<ulong> LongFactors = FactorsOf(LongPartBytes);
    private static readonly Vector128<ulong> ShortFactors = FactorsOf(ShortPartBytes);

    /// <summary>The checksum of <paramref name="data"/>.</summary>
    public static uint Compute(ReadOnlySpan<byte> data) => ~Append(uint.MaxValue, data);

    /// <summary>Feeds more data into an unfinished register: start from all ones, finish by inverting.</summary>
    public static uint Append(uint register, ReadOnlySpan<byte> data)
    {
        if (Sse42.X64.IsSupported && Pclmulqdq.IsSupported)
        {
            while (data.Length >= 3 * LongPartBytes) register = AppendThreeParts(register, ref data, LongPartBytes, LongFactors);
            while (data.Length >= 3 * ShortPartBytes) register = AppendThreeParts(register, ref data, ShortPartBytes, ShortFactors);
        }

        return AppendSerially(register, data);
    }

    /// <summary>The same, one part after the other, on any processor.</summary>
    internal static uint AppendSerially(uint register, ReadOnlySpan<byte> data)
    {
        while (data.Length >= 8)
        {
            register = BitOperations.Crc32C(register, BinaryPrimitives.ReadUInt64LittleEndian(data));
            data = data[8..];
        }

        foreach (var b in data) register = BitOperations.Crc32C(register, b);
        return register;
    }

    /// <summary>x^(n-33) modulo the polynomial for n = the bits of two parts and of one part.</summary>
    private static Vector128<ulong> FactorsOf(int partBytes) => Vector128.Create(Power(partBytes * 16 - 33), (ulong)Power(partBytes * 8 - 33));

    private static uint Power(int exponent)
    {
        var value = 0x80000000u; // x^0: bits are reflected.
        for (var i = 0; i < exponent; i++) value = (value >> 1) ^ ((value & 1) * ReflectedPolynomial);
        return value;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint AppendThreeParts(uint register, ref ReadOnlySpan<byte> data, int partBytes, Vector128<ulong> factors)
    {
        ref var start = ref MemoryMarshal.GetReference(data);
        ulong a = register, b = 0, c = 0;
        nint at = 0;
        for (; at < partBytes - 8; at += 8)
        {
            a = Sse42.X64.Crc32(a, Word(ref start, at));
            b = Sse42.X64.Crc32(b, Word(ref start, at + partBytes));
            c = Sse42.X64.Crc32(c, Word(ref start, at + 2 * partBytes));
        }

        a = Sse42.X64.Crc32(a, Word(ref start, at));
        b = Sse42.X64.Crc32(b, Word(ref start, at + partBytes));
        var movedA = Pclmulqdq.CarrylessMultiply(Vector128.CreateScalar(a), factors, 0x00).ToScalar();
        var movedB = Pclmulqdq.CarrylessMultiply(Vector128.CreateScalar(b), factors, 0x10).ToScalar();
        c = Sse42.X64.Crc32(c, Word(ref start, at + 2 * partBytes) ^ movedA ^ movedB);
        data = data[(3 * partBytes)..];
        return (uint)c;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Word(ref byte start, nint offset) => Unsafe.ReadUnaligned<ulong>(ref Unsafe.AddByteOffset(ref start, offset));
}
