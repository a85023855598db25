using OpenEbs.Buffers;
using OpenEbs.Grains.Gateways;
using OpenEbs.Volumes;
using Xunit;

namespace OpenEbs.Grains.Tests.Volumes;

/// <summary>Reads and writes whose contents tell where and when they were written.</summary>
internal static class TestIo
{
    public static async Task WriteAsync(VolumeConnection connection, long offset, int length, int seed)
    {
        using var data = IoBufferPool.Shared.RentBuffer(length);
        Fill(data.Span, offset, seed);
        var reply = await connection.WriteAsync(offset, data, IoFlags.None);
        Assert.Equal((IoStatus.Ok, ""), (reply.Status, reply.Detail));
    }

    public static async Task VerifyAsync(VolumeConnection connection, long offset, int length, int seed)
    {
        var expected = new byte[length];
        Fill(expected, offset, seed);
        Assert.Equal(expected, await ReadAsync(connection, offset, length));
    }

    public static async Task<byte[]> ReadAsync(VolumeConnection connection, long offset, int length)
    {
        var reply = await connection.ReadAsync(offset, length);
        Assert.Equal((IoStatus.Ok, ""), (reply.Status, reply.Detail));
        using var data = reply.Data!;
        return data.Span.ToArray();
    }

    /// <summary>Every 512-byte block tells its place and the seed it was written with.</summary>
    public static void Fill(Span<byte> data, long offset, int seed)
    {
        for (var i = 0; i < data.Length; i++) data[i] = (byte)((((offset + i) / 512) * 31) + (seed * 7) + (i % 5));
    }
}
