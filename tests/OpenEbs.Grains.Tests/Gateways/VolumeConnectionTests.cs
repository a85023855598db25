using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using OpenEbs.Buffers;
using OpenEbs.Grains.Gateways;
using OpenEbs.Volumes;
using Orleans.Runtime;
using Xunit;

namespace OpenEbs.Grains.Tests.Gateways;

/// <summary>Holding, retrying and ordering of commands while a volume moves.</summary>
public class VolumeConnectionTests
{
    private readonly FakeVolume _volume = new();

    [Theory]
    [InlineData("fenced")]
    [InlineData("unavailable")]
    [InlineData("rejected")]
    [InlineData("timeout")]
    public async Task Write_WhenItsActivationGoesAway_IsSentAgain(string how)
    {
        var connection = Connect();
        var write = WriteAsync(connection, 0, 4096);
        Lose(_volume.Next(), how);

        var again = _volume.Next();
        Assert.Equal("write 0+4096", again.What);
        again.Answer(IoStatus.Ok);

        Assert.Equal(IoStatus.Ok, (await write).Status);
        Assert.True(_volume.Attaches >= 1);
    }

    [Fact]
    public async Task Write_ThatOverlapsOneOfUnknownOutcome_WaitsUntilThatIsSettled()
    {
        var connection = Connect();
        var first = WriteAsync(connection, 0, 8192);
        var second = WriteAsync(connection, 4096, 8192);
        var elsewhere = WriteAsync(connection, 65536, 4096);
        var firstCall = _volume.Next();
        var elsewhereCall = _volume.Next();
        Assert.Equal("write 0+8192", firstCall.What);
        Assert.Equal("write 65536+4096", elsewhereCall.What);
        elsewhereCall.Answer(IoStatus.Ok);
        await elsewhere;

        Lose(firstCall, "unavailable");
        var retry = _volume.Next();
        Assert.Equal("write 0+8192", retry.What);
        Assert.Empty(_volume.Calls);
        retry.Answer(IoStatus.Ok);

        var secondCall = _volume.Next();
        Assert.Equal("write 4096+8192", secondCall.What);
        secondCall.Answer(IoStatus.Ok);
        Assert.Equal(IoStatus.Ok, (await first).Status);
        Assert.Equal(IoStatus.Ok, (await second).Status);
    }

    [Fact]
    public async Task Read_ThatOverlapsAWrite_WaitsOnlyWhenTheOutcomeIsUnknown()
    {
        var connection = Connect();
        var write = WriteAsync(connection, 0, 4096);
        var writeCall = _volume.Next();
        var concurrent = connection.ReadAsync(0, 4096).AsTask();
        var concurrentCall = _volume.Next();
        Assert.Equal("read 0+4096", concurrentCall.What);
        concurrentCall.Answer(IoStatus.Ok);
        await concurrent;

        _volume.AttachFailure = new SiloUnavailableException("not yet");
        Lose(writeCall, "fenced");
        while (_volume.Attaches == 0) await Task.Yield();
        var later = connection.ReadAsync(0, 4096).AsTask();
        Assert.Empty(_volume.Calls);
        _volume.AttachFailure = null;

        var retry = _volume.Next();
        Assert.Equal("write 0+4096", retry.What);
        retry.Answer(IoStatus.Ok);
        var laterCall = _volume.Next();
        Assert.Equal("read 0+4096", laterCall.What);
        laterCall.Answer(IoStatus.Ok);
        Assert.Equal(IoStatus.Ok, (await later).Status);
        await write;
    }

    [Fact]
    public async Task CompareAndWrite_OfUnknownOutcome_IsNotSentAgain()
    {
        var connection = Connect();
        using var data = IoBufferPool.Shared.RentBuffer(1024);
        var compare = connection.CompareAndWriteAsync(0, data, IoFlags.None).AsTask();
        Lose(_volume.Next(), "unavailable");

        Assert.Equal(IoStatus.TimedOut, (await compare).Status);
        Assert.Empty(_volume.Calls);
    }

    [Fact]
    public async Task Flush_AnsweredByAnActivationThatLostAcknowledgedWrites_FailsOnce()
    {
        var connection = Connect();
        var flush = connection.FlushAsync().AsTask();
        Lose(_volume.Next(), "unavailable");
        _volume.Attachment = _volume.Attachment with { Epoch = 2, DataLossCount = 1, FactsVersion = 2 };
        _volume.Next().Answer(IoStatus.Ok, factsVersion: 2);
        Assert.Equal(IoStatus.MediumError, (await flush).Status);

        var next = connection.FlushAsync().AsTask();
        _volume.Next().Answer(IoStatus.Ok, factsVersion: 2);
        Assert.Equal(IoStatus.Ok, (await next).Status);
    }

    [Fact]
    public async Task Flush_AnsweredByAnActivationNeverAttachedTo_IsNotBelievedBeforeItsFactsAreKnown()
    {
        var connection = Connect();
        AttachedVolumeChanged? seen = null;
        connection.AttachmentChanged += attachment => seen = new AttachedVolumeChanged(attachment.DataLossCount);
        var flush = connection.FlushAsync().AsTask();
        _volume.Attachment = _volume.Attachment with { Epoch = 2, DataLossCount = 3, FactsVersion = 2 };
        _volume.Next().Answer(IoStatus.Ok, factsVersion: 2);

        Assert.Equal(IoStatus.MediumError, (await flush).Status);
        Assert.Equal(3, seen?.DataLossCount);
    }

    [Fact]
    public async Task Command_WhenTheVolumeStaysAway_TimesOutAfterIoTimeout()
    {
        _volume.Attachment = _volume.Attachment with { IoTimeout = TimeSpan.FromMilliseconds(300), OnTimeout = TimeoutAction.Error };
        var connection = Connect();
        _volume.AttachFailure = new SiloUnavailableException("gone for good");
        var read = connection.ReadAsync(0, 4096).AsTask();
        Lose(_volume.Next(), "unavailable");

        Assert.Equal(IoStatus.TimedOut, (await read.WaitAsync(TimeSpan.FromSeconds(10))).Status);
    }

    [Fact]
    public async Task Command_OfAVolumeThatLetsItsUsersWait_OutlastsIoTimeout()
    {
        _volume.Attachment = _volume.Attachment with { IoTimeout = TimeSpan.FromMilliseconds(100), OnTimeout = TimeoutAction.Wait };
        var connection = Connect();
        _volume.AttachFailure = new SiloUnavailableException("away for a while");
        var read = connection.ReadAsync(0, 4096).AsTask();
        Lose(_volume.Next(), "unavailable");
        await Task.Delay(500);
        Assert.False(read.IsCompleted);

        _volume.AttachFailure = null;
        _volume.Next().Answer(IoStatus.Ok);
        Assert.Equal(IoStatus.Ok, (await read.WaitAsync(TimeSpan.FromSeconds(10))).Status);
    }

    [Theory]
    [InlineData("ok")]
    [InlineData("fenced")]
    [InlineData("unavailable")]
    public async Task Write_CancelledWhileItsCallIsUnderWay_EndsAtOnceAndKeepsItsPlace(string how)
    {
        var connection = Connect();
        using var cancellation = new CancellationTokenSource();
        var data = IoBufferPool.Shared.RentBuffer(8192);
        var write = connection.WriteAsync(0, data, IoFlags.None, cancellationToken: cancellation.Token).AsTask();
        var stuck = _volume.Next();
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => write);

        // The caller releases its buffer; the call still has its own hold of it.
        data.Dispose();
        Assert.Equal(1, data.References);

        var overlapping = WriteAsync(connection, 4096, 4096);
        var reading = connection.ReadAsync(0, 4096).AsTask();
        var elsewhere = WriteAsync(connection, 65536, 4096);
        var elsewhereCall = _volume.Next();
        Assert.Equal("write 65536+4096", elsewhereCall.What);
        elsewhereCall.Answer(IoStatus.Ok);
        await elsewhere;
        Assert.Empty(_volume.Calls);

        if (how == "ok") stuck.Answer(IoStatus.Ok);
        else Lose(stuck, how);
        var (next, afterwards) = (_volume.Next(), _volume.Next());
        Assert.Equal(["read 0+4096", "write 4096+4096"], new[] { next.What, afterwards.What }.Order());
        Assert.Equal(0, data.References);
        next.Answer(IoStatus.Ok);
        afterwards.Answer(IoStatus.Ok);
        Assert.Equal(IoStatus.Ok, (await overlapping).Status);
        Assert.Equal(IoStatus.Ok, (await reading).Status);

        // What was given up is not sent again.
        Assert.Empty(_volume.Calls);
    }

    [Fact]
    public async Task Commands_CancelledAtAnyMoment_LeaveTheOrderAndTheirBuffersFree()
    {
        var connection = Connect();
        using var stop = new CancellationTokenSource();
        var answering = Task.Run(() =>
        {
            var random = new Random(7);
            while (!stop.IsCancellationRequested)
            {
                if (!_volume.Calls.TryTake(out var call, TimeSpan.FromMilliseconds(5))) continue;
                if (random.Next(4) == 0) Thread.Yield();
                if (random.Next(8) == 0) Lose(call, "fenced");
                else call.Answer(IoStatus.Ok);
            }
        });
        var buffers = new List<IoBuffer>();
        for (var i = 0; i < 2000; i++)
        {
            using var cancellation = new CancellationTokenSource();
            var data = IoBufferPool.Shared.RentBuffer(4096).AddReference();
            buffers.Add(data);
            var write = connection.WriteAsync((i % 4) * 2048, data, IoFlags.None, cancellationToken: cancellation.Token).AsTask();
            if (i % 3 == 0) Thread.SpinWait(i % 500);
            await cancellation.CancelAsync();
            try
            {
                Assert.Equal(IoStatus.Ok, (await write.WaitAsync(TimeSpan.FromSeconds(10))).Status);
            }
            catch (OperationCanceledException)
            {
            }

            data.Dispose();
        }

        // The order is free again: a command on everything gets through.
        Assert.Equal(IoStatus.Ok, (await WriteAsync(connection, 0, 16384).WaitAsync(TimeSpan.FromSeconds(10))).Status);
        await stop.CancelAsync();
        await answering;
        Assert.All(buffers, buffer => Assert.Equal(1, buffer.References));
        buffers.ForEach(buffer => buffer.Dispose());
    }

    [Fact]
    public async Task Command_WhenTheVolumeWasDeleted_SaysSo()
    {
        var connection = Connect();
        var read = connection.ReadAsync(0, 4096).AsTask();
        _volume.AttachFailure = new VolumeNotFoundException("deleted");
        Lose(_volume.Next(), "unavailable");

        Assert.Equal(IoStatus.Gone, (await read.WaitAsync(TimeSpan.FromSeconds(10))).Status);
    }

    [Fact]
    public async Task Command_HeldAndCancelled_EndsAndLetsOthersPass()
    {
        var connection = Connect();
        using var cancellation = new CancellationTokenSource();
        using var data = IoBufferPool.Shared.RentBuffer(4096);
        _volume.AttachFailure = new SiloUnavailableException("not yet");
        var write = connection.WriteAsync(0, data, IoFlags.None, cancellationToken: cancellation.Token).AsTask();
        Lose(_volume.Next(), "fenced");
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => write);
        _volume.AttachFailure = null;

        var next = WriteAsync(connection, 0, 4096);
        _volume.Next().Answer(IoStatus.Ok);
        Assert.Equal(IoStatus.Ok, (await next).Status);
    }

    private static void Lose(FakeVolume.Call call, string how)
    {
        switch (how)
        {
            case "fenced": call.Answer(IoStatus.Fenced); break;
            case "unavailable": call.Fail(new SiloUnavailableException("dead")); break;
            case "rejected": call.Fail(new OrleansException("rejected")); break;
            default: call.Fail(new TimeoutException("late")); break;
        }
    }

    private static async Task<IoReply> WriteAsync(VolumeConnection connection, long offset, int length)
    {
        using var data = IoBufferPool.Shared.RentBuffer(length);
        return await connection.WriteAsync(offset, data, IoFlags.None);
    }

    private VolumeConnection Connect() => new(
        _volume,
        new VolumeAttaching(SiloAddress.New(new IPEndPoint(IPAddress.Loopback, 13300), 1), new VolumeConnectionOptions()),
        _volume.Attachment,
        TimeProvider.System,
        NullLogger.Instance);

    private sealed record AttachedVolumeChanged(long DataLossCount);
}
