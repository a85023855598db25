using System.Collections.Concurrent;
using OpenEbs.Buffers;
using OpenEbs.Volumes;

namespace OpenEbs.Grains.Tests.Gateways;

/// <summary>A volume grain that does what the test says: each data call is put before the test, which answers it.</summary>
internal sealed class FakeVolume : IVolumeGrain
{
    public VolumeAttachment Attachment { get; set; } = new()
    {
        Name = "fake",
        Uid = Guid.NewGuid(),
        SizeBytes = 1 << 20,
        BlockLength = 512,
        WriteCache = true,
        IoTimeout = TimeSpan.FromSeconds(20),
        Epoch = 1,
        FactsVersion = 1,
    };

    /// <summary>Data calls under way, in the order in which they came.</summary>
    public BlockingCollection<Call> Calls { get; } = [];

    public Exception? AttachFailure { get; set; }

    public int Attaches { get; private set; }

    public Call Next() => Calls.TryTake(out var call, TimeSpan.FromSeconds(10)) ? call : throw new TimeoutException("No call came.");

    public ValueTask<VolumeAttachment> AttachAsync()
    {
        Attaches++;
        return AttachFailure is null ? ValueTask.FromResult(Attachment) : ValueTask.FromException<VolumeAttachment>(AttachFailure);
    }

    public ValueTask<IoReply> ReadAsync(long offsetBytes, int lengthBytes, long unitVersion) => Take($"read {offsetBytes}+{lengthBytes}");

    public ValueTask<IoReply> WriteAsync(long offsetBytes, IoBuffer data, IoFlags flags, long unitVersion) => Take($"write {offsetBytes}+{data.Length}");

    public ValueTask<IoReply> FlushAsync(long unitVersion) => Take("flush");

    public ValueTask<IoReply> WriteZeroesAsync(IReadOnlyList<ByteRange> ranges, IoFlags flags, long unitVersion) => Take("zeroes");

    public ValueTask<IoReply> CompareAndWriteAsync(long offsetBytes, IoBuffer compareThenWrite, IoFlags flags, long unitVersion) => Take("compare");

    public UnitState Unit { get; set; } = new() { Version = 1, Lasting = "", Passing = "" };

    public ValueTask<UnitReply> GetUnitAsync(long knownVersion) =>
        ValueTask.FromResult(new UnitReply { Status = IoStatus.Ok, State = Unit.Version == knownVersion ? null : Unit, FactsVersion = Attachment.FactsVersion });

    public ValueTask<UnitReply> ChangeUnitAsync(UnitChange change) => throw new NotSupportedException();

    public ValueTask<VolumeView> DescribeAsync() => throw new NotSupportedException();

    public ValueTask ResizeAsync(long sizeBytes) => throw new NotSupportedException();

    public ValueTask<IReadOnlyList<ProvisioningRange>> GetProvisioningStatusAsync(long offsetBytes, int maxRanges) => throw new NotSupportedException();

    public ValueTask ReportSessionsAsync(string node, IReadOnlyList<SessionView> sessions) => ValueTask.CompletedTask;

    public ValueTask SetRebuildLimitAsync(long? bytesPerSecond) => throw new NotSupportedException();

    public ValueTask SetTimeoutAsync(TimeSpan? ioTimeout, TimeoutAction? onTimeout) => throw new NotSupportedException();

    public ValueTask ScrubAsync() => throw new NotSupportedException();

    public ValueTask DeleteAsync() => throw new NotSupportedException();

    private ValueTask<IoReply> Take(string what)
    {
        var call = new Call(what);
        Calls.Add(call);
        return new ValueTask<IoReply>(call.Reply.Task);
    }

    internal sealed record Call(string What)
    {
        public TaskCompletionSource<IoReply> Reply { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public void Answer(IoStatus status, long factsVersion = 1) => Reply.SetResult(new IoReply(status, factsVersion: factsVersion));

        public void Fail(Exception failure) => Reply.SetException(failure);
    }
}
