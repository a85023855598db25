using System.Buffers;
using Microsoft.Extensions.Logging.Abstractions;
using OpenEbs.Replication.Replicas;
using OpenEbs.Storage.Store;
using OpenEbs.Testing.Store;
using Xunit;

namespace OpenEbs.Simulation.Tests;

/// <summary>What a replica refuses, whatever its coordinator believes of it.</summary>
public sealed class ReplicaSessionTests : IAsyncDisposable
{
    private readonly MemoryReplicaStore _store = new();
    private readonly ReplicaSession _session;

    public ReplicaSessionTests() =>
        _session = new ReplicaSession(_ => ValueTask.FromResult<IReplicaStore>(_store), () => ValueTask.CompletedTask, Guid.NewGuid(), MemoryPool<byte>.Shared, NullLogger.Instance);

    public ValueTask DisposeAsync() => _session.DisposeAsync();

    [Fact]
    public async Task Append_OfAnotherOperationThanItHasInThatPlace_IsRefused()
    {
        await _session.OpenAsync(new OpenRequest(2, Create: true, 1));
        Assert.Equal(ReplicaOutcome.Ok, (await AppendAsync(2, 1)).Outcome);
        Assert.Equal(ReplicaOutcome.Ok, (await AppendAsync(2, 2)).Outcome);

        // A coordinator that thinks the log ends at 2/1 issues seq 2 anew. That is no repetition.
        await _session.OpenAsync(new OpenRequest(3, Create: false, 1));
        var reply = await AppendAsync(3, 2);

        Assert.Equal(ReplicaOutcome.Failed, reply.Outcome);
        Assert.Contains("ends at 2/2", reply.Reason, StringComparison.Ordinal);
        Assert.Equal(new LogPosition(2, 2), _store.Status.Last);
        Assert.Null(_session.Failure);

        // A repetition, and what continues the log, are taken.
        Assert.Equal(ReplicaOutcome.Ok, (await AppendAsync(3, 3)).Outcome);
        Assert.Equal(ReplicaOutcome.Ok, (await AppendAsync(3, 3)).Outcome);
        Assert.Equal(new LogPosition(3, 3), _store.Status.Last);
    }

    [Fact]
    public async Task Discard_OfASoundStore_IsRefused()
    {
        await _session.OpenAsync(new OpenRequest(2, Create: true, 1));
        Assert.Equal(ReplicaOutcome.Failed, await _session.DiscardAsync(2, _session.Incarnation));
        Assert.Equal(ReplicaOutcome.Ok, (await AppendAsync(2, 1)).Outcome);
    }

    [Fact]
    public async Task Open_OfAStoreThatCannotBeOpened_SaysThatItIsLost_AndLetsItBeDiscarded()
    {
        var isDiscarded = false;
        await using var session = new ReplicaSession(
            opening => isDiscarded && opening == StoreOpening.CreateRebuilding ? ValueTask.FromResult<IReplicaStore>(_store) : throw new StoreCorruptException("neither superblock checks"),
            () =>
            {
                isDiscarded = true;
                return ValueTask.CompletedTask;
            },
            Guid.NewGuid(), MemoryPool<byte>.Shared, NullLogger.Instance);
        var reply = await session.OpenAsync(new OpenRequest(2, Create: true, 1));
        Assert.Equal((ReplicaOutcome.Lost, "neither superblock checks"), (reply.Outcome, reply.Reason));
        Assert.Equal(ReplicaOutcome.Restarted, (await session.FlushAsync(2, session.Incarnation, 0, flush: true)).Outcome);

        // Found in an earlier life, from which it may have been rebuilt since.
        Assert.Equal(ReplicaOutcome.Restarted, await session.DiscardAsync(2, Guid.NewGuid()));
        Assert.False(isDiscarded);
        Assert.Equal(ReplicaOutcome.Ok, await session.DiscardAsync(2, session.Incarnation));
        Assert.Equal(ReplicaOutcome.Ok, (await session.OpenAsync(new OpenRequest(2, Create: true, 2))).Outcome);
    }

    [Fact]
    public async Task Step_SentBeforeTheReplicaWasOpenedAnew_IsRefused()
    {
        await _session.OpenAsync(new OpenRequest(2, Create: true, 1));
        await AppendAsync(2, 1);
        await AppendAsync(2, 2);
        var late = new RebuildRequest(2, _session.Incarnation, RebuildStep.Truncate, 1, default, 2);
        await _session.OpenAsync(new OpenRequest(2, Create: false, 3));
        await AppendAsync(2, 3);

        Assert.Equal(ReplicaOutcome.Failed, (await _session.RebuildAsync(late)).Outcome);
        Assert.Equal(3, _store.Status.Last.Seq);

        // One that was sent after it is carried out.
        Assert.Equal(ReplicaOutcome.Ok, (await _session.RebuildAsync(late with { Number = 4 })).Outcome);
        Assert.Equal(1, _store.Status.Last.Seq);
    }

    [Fact]
    public async Task Open_TellsWhetherItsPredecessorServesNoMore()
    {
        var first = await _session.OpenAsync(new OpenRequest(2, Create: true, 1, Opener: "one"));
        Assert.Null(first.Predecessor);

        // One of a higher epoch that never released anything; asked twice, since the first answer may be lost.
        Assert.Equal(new Predecessor(2, "one", HasReleased: false), (await _session.OpenAsync(new OpenRequest(3, Create: false, 1, Opener: "two"))).Predecessor);
        Assert.Equal(new Predecessor(2, "one", HasReleased: false), (await _session.OpenAsync(new OpenRequest(3, Create: false, 2, Opener: "two"))).Predecessor);

        // The first one's release comes too late; the second one's counts, once or twice.
        Assert.Equal(ReplicaOutcome.StaleEpoch, await _session.ReleaseAsync(2, _session.Incarnation, 0));
        Assert.Equal(ReplicaOutcome.Ok, await _session.ReleaseAsync(3, _session.Incarnation, 0));
        Assert.Equal(ReplicaOutcome.Ok, await _session.ReleaseAsync(3, _session.Incarnation, 0));
        Assert.Equal(new Predecessor(3, "two", HasReleased: true), (await _session.OpenAsync(new OpenRequest(4, Create: false, 1, Opener: "three"))).Predecessor);

        // And says nothing of the third.
        Assert.Equal(ReplicaOutcome.StaleEpoch, await _session.ReleaseAsync(3, _session.Incarnation, 0));
        Assert.Equal(new Predecessor(4, "three", HasReleased: false), (await _session.OpenAsync(new OpenRequest(9, Create: false, 1, Opener: "four"))).Predecessor);
    }

    [Fact]
    public async Task Open_InANewLife_KnowsOfNoPredecessor()
    {
        await _session.OpenAsync(new OpenRequest(2, Create: true, 1, Opener: "one"));
        await _session.ReleaseAsync(2, _session.Incarnation, 0);
        await using var next = new ReplicaSession(_ => ValueTask.FromResult<IReplicaStore>(_store), () => ValueTask.CompletedTask, Guid.NewGuid(), MemoryPool<byte>.Shared, NullLogger.Instance);
        Assert.Null((await next.OpenAsync(new OpenRequest(3, Create: false, 1, Opener: "two"))).Predecessor);
        Assert.Equal(ReplicaOutcome.Restarted, await next.ReleaseAsync(3, _session.Incarnation, 0));
    }

    [Fact]
    public async Task Open_OfAReplicaThatLeaves_IsRefused_AndWhoHasOpenedItIsServedOn()
    {
        await _session.OpenAsync(new OpenRequest(2, Create: true, 1));
        _session.BeginLeaving();
        var refused = await _session.OpenAsync(new OpenRequest(3, Create: false, 1));
        Assert.Equal((ReplicaOutcome.Failed, ReplicaSession.LeavingReason), (refused.Outcome, refused.Reason));
        Assert.Equal(2, _store.Status.FenceEpoch);
        Assert.Equal(ReplicaOutcome.Ok, (await AppendAsync(2, 1)).Outcome);
    }

    private async Task<AppendReply> AppendAsync(long epoch, long seq)
    {
        var mark = new StoreOperation(OperationKind.Mark, 0, 0, default, default);
        return await _session.AppendAsync(new AppendRequest(epoch, _session.Incarnation, 0, new StoreBatch(epoch, seq, new[] { mark }), flush: false));
    }
}
