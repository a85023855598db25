using System.Reflection;
using OpenEbs.Buffers;
using OpenEbs.Grains.Replicas.Messages;
using OpenEbs.Replication.Replicas;
using OpenEbs.Storage;
using OpenEbs.Storage.Store;
using Xunit;

namespace OpenEbs.Grains.Tests.Messages;

/// <summary>Messages between coordinators and replicas.</summary>
public class ReplicaMessageTests
{
    [Fact]
    public void AppendRequest_Sent_ArrivesWhole_AndIsReleasedOnce()
    {
        var owner = new Owner();
        var incarnation = Guid.NewGuid();
        StoreOperation[] operations = [Write(7, 2, 1), new(OperationKind.Unmap, 100, 1L << 30, default, default), new(OperationKind.Mark, 0, 0, default, default), Write(1L << 33, 1, 200)];
        var sent = new AppendRequest(9, incarnation, 41, new StoreBatch(8, 42, operations) { EndsDoubt = true }, flush: true, owner) { IsReadElsewhere = true };

        var argument = Wire.Copy(Wire.Silo, sent);
        Assert.Same(sent, argument);
        sent.Dispose();
        Assert.False(owner.IsDisposed);
        var received = Wire.Read<AppendRequest>(Wire.Write(argument));

        Assert.True(owner.IsDisposed);
        Assert.Equal((9L, incarnation, 41L, true, true), (received.Epoch, received.Incarnation, received.CommitSeq, received.Flush, received.IsReadElsewhere));
        Assert.Equal((8L, 42L, 45L, true), (received.Batch.Epoch, received.Batch.FirstSeq, received.Batch.LastSeq, received.Batch.EndsDoubt));
        for (var i = 0; i < operations.Length; i++)
        {
            var operation = received.Batch.Operations.Span[i];
            Assert.Equal((operations[i].Kind, operations[i].Block, operations[i].BlockCount), (operation.Kind, operation.Block, operation.BlockCount));
            Assert.True(operation.Data.Span.SequenceEqual(operations[i].Data.Span));
            Assert.True(operation.Checksums.Span.SequenceEqual(operations[i].Checksums.Span));
        }

        received.Dispose();
        Assert.Throws<ObjectDisposedException>(() => received.Dispose());
    }

    [Fact]
    public void AppendRequest_ThatAnnouncesMoreThanItHas_IsRefused()
    {
        var header = new byte[56];
        BitConverter.TryWriteBytes(header.AsSpan(48), 1);
        var entry = new byte[32];
        entry[0] = (byte)OperationKind.Write;
        BitConverter.TryWriteBytes(entry.AsSpan(4), 1 << 29);

        Assert.Throws<InvalidDataException>(() => Wire.ReadFrame(new AppendRequestCodec(), header, entry));
        BitConverter.TryWriteBytes(header.AsSpan(48), int.MaxValue);
        Assert.Throws<InvalidDataException>(() => Wire.ReadFrame(new AppendRequestCodec(), header, entry));
    }

    [Fact]
    public void AppendReply_Sent_ArrivesWhole()
    {
        var reply = new AppendReply(ReplicaOutcome.SeqGap, long.MaxValue, 5, 1L << 50, "a gap");
        Assert.Equal(reply, Wire.Read<AppendReply>(Wire.Write(reply)));
        Assert.Equal(reply, Wire.Copy(Wire.Silo, reply));
    }

    [Fact]
    public void ReadReply_Sent_MovesItsData()
    {
        var data = IoMessageTests.Filled(8192, 4);
        var sent = new ReadReply(ReplicaOutcome.Ok, data);
        Assert.Same(data, Wire.Copy(Wire.Silo, sent).Data);
        Assert.Equal(1, data.References);

        var wire = Wire.Write(sent);
        Assert.Equal(0, data.References);
        var received = Wire.Read<ReadReply>(wire);

        using var buffer = Assert.IsType<IoBuffer>(received.Data);
        Assert.Equal(8192, buffer.Length);
        Assert.True(buffer.Span.IndexOfAnyExcept((byte)4) < 0);
        var bad = new ReadReply(ReplicaOutcome.BadBlock, null, 17, "bad");
        Assert.Equal(bad, Wire.Read<ReadReply>(Wire.Write(bad)));
    }

    [Fact]
    public void LogReply_Sent_ArrivesWhole_AndLivesOn()
    {
        var sent = new LogReply(ReplicaOutcome.Ok, new StoreBatch(3, 10, new[] { Write(1, 1, 6), Write(2, 1, 7) }));
        var received = Wire.Read<LogReply>(Wire.Write(sent));

        Assert.Equal(11, received.Batch!.Value.LastSeq);
        Assert.True(received.Batch.Value.Operations.Span[1].Data.Span.SequenceEqual(sent.Batch!.Value.Operations.Span[1].Data.Span));
        Assert.Null(Wire.Read<LogReply>(Wire.Write(new LogReply(ReplicaOutcome.Ok, null))).Batch);
    }

    [Fact]
    public void ControlMessages_Sent_LoseNothing()
    {
        var status = Status();
        Assert.All(typeof(StoreStatus).GetProperties(BindingFlags.Public | BindingFlags.Instance), property =>
            Assert.False(Equals(property.GetValue(status), property.PropertyType.IsValueType ? Activator.CreateInstance(property.PropertyType) : null), $"{property.Name} has its default value: the test cannot see whether it is lost"));
        RoundTrip(new OpenRequest(5, true, 7, null, IsNew: true));
        RoundTrip(new OpenReply(ReplicaOutcome.Ok, Guid.NewGuid(), status, "why"));
        RoundTrip(new RebuildRequest(5, Guid.NewGuid(), RebuildStep.Begin, 17, new LogPosition(4, 16), 3));
        RoundTrip(new RebuildReply(ReplicaOutcome.NoSpace, status, "full"));
        RoundTrip(new CheckReply(ReplicaOutcome.BadBlock, 0xdeadbeef, 17, "rotten"));
        RoundTrip(new DigestReply(ReplicaOutcome.BadBlock, [1, 2, 255], "rotten"));
        RoundTrip(new ChangedReply(ReplicaOutcome.Ok, [new BlockRun(3, 4), new BlockRun(9, 1)], 10, ""));
        RoundTrip(new AllocatedReply(ReplicaOutcome.Ok, [new AllocatedRun(0, 9, true)], ""));
    }

    private static void RoundTrip<T>(T message)
        where T : class
    {
        var received = Wire.Read<T>(Wire.Write(message));
        Assert.Equivalent(message, received, strict: true);
        Assert.Same(message, Wire.Copy(Wire.Silo, message));
    }

    private static StoreStatus Status() => new()
    {
        FenceEpoch = 9,
        Last = new LogPosition(8, 100),
        DurableSeq = 90,
        CommitSeq = 80,
        LogStart = new LogPosition(7, 70),
        Runs = [new EpochRun(7, 71), new EpochRun(8, 95)],
        Consistency = ReplicaConsistency.Rebuilding,
        RebuildBaseSeq = 60,
        MayHaveLostTail = true,
        IsDamaged = true,
        UsedBytes = 1L << 40,
        WritableBytes = 1L << 41,
    };

    private static StoreOperation Write(long block, int count, byte value)
    {
        var data = new byte[count * 4096];
        data.AsSpan().Fill(value);
        var checksums = Enumerable.Range(0, count).Select(i => Crc32C.Compute(data.AsSpan(i * 4096, 4096))).ToArray();
        return new StoreOperation(OperationKind.Write, block, count, data, checksums);
    }

    private sealed class Owner : IDisposable
    {
        public bool IsDisposed { get; private set; }

        public void Dispose() => IsDisposed = !IsDisposed ? true : throw new ObjectDisposedException(nameof(Owner));
    }
}
