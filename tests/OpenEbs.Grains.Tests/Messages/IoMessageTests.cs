using System.Text;
using OpenEbs.Buffers;
using OpenEbs.Volumes;
using Xunit;

namespace OpenEbs.Grains.Tests.Messages;

/// <summary>Buffers and replies of volume calls: what travels, and who releases what.</summary>
public class IoMessageTests
{
    [Fact]
    public void Pool_FullOfASizeThatNobodyWants_MakesRoomForTheOthers()
    {
        var pool = new IoBufferPool(maxIdleBytes: 8 << 20);
        var large = Enumerable.Range(0, 20).Select(_ => pool.RentBuffer(1 << 20)).ToArray();
        foreach (var buffer in large) buffer.Dispose();
        Assert.Equal(8 << 20, pool.IdleBytes);

        var small = Enumerable.Range(0, 64).Select(_ => pool.RentBuffer(4096)).ToArray();
        foreach (var buffer in small) buffer.Dispose();

        Assert.True(pool.IdleBytes <= 8 << 20);
        var again = Enumerable.Range(0, 64).Select(_ => pool.RentBuffer(4096)).ToArray();
        Assert.Equal(small.ToHashSet(), again.ToHashSet());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(4096)]
    [InlineData(1 << 20)]
    [InlineData((2 << 20) + 512)]
    public void IoBuffer_Sent_IsReleasedByTheSenderAndOwnedByTheReceiver(int lengthBytes)
    {
        var sent = Filled(lengthBytes, 3);
        var argument = Wire.Copy(Wire.Silo, sent);
        Assert.Same(sent, argument);
        Assert.Equal(2, sent.References);

        var received = Wire.Read<IoBuffer>(Wire.Write(argument));

        Assert.Equal(1, sent.References);
        Assert.Equal(1, received.References);
        Assert.True(received.Span.SequenceEqual(sent.Span));
        sent.Dispose();
        received.Dispose();
        Assert.Throws<ObjectDisposedException>(() => received.Dispose());
    }

    [Fact]
    public void IoBuffer_SentByAnExternalClient_SurvivesBeingSentTwice()
    {
        using var sent = Filled(8192, 5);
        var argument = Wire.Copy(Wire.Client, sent);
        Assert.NotSame(sent, argument);
        Assert.Equal(1, sent.References);

        Wire.Write(argument);
        using var received = Wire.Read<IoBuffer>(Wire.Write(argument));

        Assert.True(received.Span.SequenceEqual(sent.Span));
    }

    [Fact]
    public void IoBuffer_Null_StaysNull() => Assert.Null(Wire.Read<IoBuffer?>(Wire.Write<IoBuffer?>(null)));

    [Theory]
    [InlineData(IoStatus.Ok, 4096, "", 0, 77)]
    [InlineData(IoStatus.Miscompare, -1, "other data", 513, 1L << 40)]
    [InlineData(IoStatus.MediumError, -1, "Block 17 ist schlecht: äöü", 0, 0)]
    public void IoReply_Sent_ArrivesWhole(IoStatus status, int lengthBytes, string detail, int miscompareOffset, long factsVersion)
    {
        var data = lengthBytes < 0 ? null : Filled(lengthBytes, 9);
        var sent = new IoReply(status, data, miscompareOffset, detail, factsVersion);
        Assert.Same(sent, Wire.Copy(Wire.Silo, sent));

        var wire = Wire.Write(sent);
        Assert.Equal(0, data?.References ?? 0);
        var received = Wire.Read<IoReply>(wire);

        Assert.Equal((status, detail, miscompareOffset, factsVersion), (received.Status, received.Detail, received.MiscompareOffset, received.FactsVersion));
        Assert.Equal(lengthBytes, received.Data?.Length ?? -1);
        if (data is null) return;
        Assert.Equal(1, received.Data!.References);
        Assert.True(received.Data.Span.IndexOfAnyExcept((byte)9) < 0);
        received.Data.Dispose();
    }

    [Fact]
    public void IoReply_OfANewerVersion_IsRead()
    {
        // Eight more bytes of header, three more at the end.
        byte[] header = [(byte)IoStatus.Ok, 0, 0, 0, 0, 0, 0, 0, 42, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
        byte[] body = [.. Encoding.UTF8.GetBytes("ok"), 1, 2, 3, 4, 0xEE, 0xEE, 0xEE];

        var reply = Wire.ReadFrame(new IoReplyCodec(), header, body);

        Assert.Equal((IoStatus.Ok, "ok", 42L), (reply.Status, reply.Detail, reply.FactsVersion));
        using var data = reply.Data!;
        Assert.Equal([1, 2, 3, 4], data.Span.ToArray());
    }

    [Theory]
    [InlineData(24, 2, 1 << 30)]
    [InlineData(24, -5, 4)]
    [InlineData(12, 0, 0)]
    public void IoReply_ThatAnnouncesMoreThanItHas_IsRefusedWithoutRentingAnything(int headerBytes, int detailBytes, int dataBytes)
    {
        var header = new byte[headerBytes];
        if (headerBytes == 24)
        {
            BitConverter.TryWriteBytes(header.AsSpan(16), detailBytes);
            BitConverter.TryWriteBytes(header.AsSpan(20), dataBytes);
        }

        Assert.Throws<InvalidDataException>(() => Wire.ReadFrame(new IoReplyCodec(), header, new byte[30]));
    }

    internal static IoBuffer Filled(int lengthBytes, byte value)
    {
        var buffer = IoBufferPool.Shared.RentBuffer(lengthBytes);
        buffer.Span.Fill(value);
        return buffer;
    }
}
