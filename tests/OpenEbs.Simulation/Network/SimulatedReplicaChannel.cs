using System.Buffers;
using OpenEbs.Replication.Replicas;
using OpenEbs.Simulation.Hosts;
using OpenEbs.Simulation.Scheduling;
using OpenEbs.Storage.Store;

namespace OpenEbs.Simulation.Network;

/// <summary>A coordinator's way to one replica, over the simulated network.</summary>
internal sealed class SimulatedReplicaChannel(SimulatedScheduler scheduler, SimulatedNetwork network, SimulatedHost from, SimulatedProcess caller, MemoryPool<byte> pool, ReplicaHost replica)
    : IReplicaChannel
{
    public bool IsLocal => replica.Host == from;

    public ValueTask<OpenReply> OpenAsync(OpenRequest request) => CallAsync("Open", session => session.OpenAsync(request));

    public ValueTask<ReplicaOutcome> DiscardAsync(long epoch, Guid incarnation) => CallAsync("Discard", session => session.DiscardAsync(epoch, incarnation));

    public async ValueTask<AppendReply> AppendAsync(AppendRequest request) => await SendAsync("Append", request, (session, copy) => session.AppendAsync(copy));

    public ValueTask<AppendReply> FlushAsync(long epoch, Guid incarnation, long commitSeq, bool flush) =>
        CallAsync("Flush", session => session.FlushAsync(epoch, incarnation, commitSeq, flush));

    public ValueTask<ReplicaOutcome> ReleaseAsync(long epoch, Guid incarnation, long commitSeq) => CallAsync("Release", session => session.ReleaseAsync(epoch, incarnation, commitSeq));

    public async ValueTask<ReadReply> ReadAsync(long epoch, Guid incarnation, long block, int blockCount)
    {
        var (reply, bytes) = await CallAsync("Read", async session =>
        {
            var reply = await session.ReadAsync(epoch, incarnation, block, blockCount);
            var bytes = reply.Data?.Memory[..(blockCount * 4096)].ToArray();
            reply.Data?.Dispose();
            return (Reply: reply with { Data = null }, Bytes: bytes);
        });
        if (bytes is null) return reply;
        var data = pool.Rent(bytes.Length);
        bytes.CopyTo(data.Memory);
        return reply with { Data = data };
    }

    public ValueTask<CheckReply> CheckAsync(long epoch, Guid incarnation, long block, int blockCount) =>
        CallAsync("Check", session => session.CheckAsync(epoch, incarnation, block, blockCount));

    public ValueTask<DigestReply> DigestAsync(long epoch, Guid incarnation, long block, int blockCount) =>
        CallAsync("Digest", session => session.DigestAsync(epoch, incarnation, block, blockCount));

    public ValueTask<BlocksReply> DescribeBlocksAsync(long epoch, Guid incarnation, long block, int blockCount) =>
        CallAsync("DescribeBlocks", session => session.DescribeBlocksAsync(epoch, incarnation, block, blockCount));

    public ValueTask<StoreScrubReply> ScrubStoreAsync(long epoch, Guid incarnation, bool restart) => CallAsync("ScrubStore", session => session.ScrubStoreAsync(epoch, incarnation, restart));

    public ValueTask<LogReply> ReadLogAsync(long epoch, Guid incarnation, long fromSeq, int maxBytes) => CallAsync("ReadLog", async session =>
    {
        var reply = await session.ReadLogAsync(epoch, incarnation, fromSeq, maxBytes);
        return reply with { Batch = reply.Batch is { } batch ? WireAppend.Copy(batch) : null };
    });

    public ValueTask<RebuildReply> RebuildAsync(RebuildRequest request) => CallAsync("Rebuild", session => session.RebuildAsync(request));

    public async ValueTask<RebuildReply> CopyAsync(AppendRequest request, bool repair) => await SendAsync("Copy", request, (session, copy) => session.CopyAsync(copy, repair));

    public ValueTask<ChangedReply> ListChangedAsync(long epoch, Guid incarnation, long sinceSeq, long fromBlock, int maxRuns) =>
        CallAsync("ListChanged", session => session.ListChangedAsync(epoch, incarnation, sinceSeq, fromBlock, maxRuns));

    public ValueTask<AllocatedReply> ListAllocatedAsync(long epoch, Guid incarnation, long fromBlock, long blockCount, int maxRuns) =>
        CallAsync("ListAllocated", session => session.ListAllocatedAsync(epoch, incarnation, fromBlock, blockCount, maxRuns));

    /// <summary>Requests with data: within a process the object itself is handed over, else a copy is made when the transport gets to it.</summary>
    private async ValueTask<TReply> SendAsync<TReply>(string what, AppendRequest request, Func<IReplicaChannel, AppendRequest, ValueTask<TReply>> invoke)
    {
        if (IsLocal && from.SharesProcess) return await CallAsync(what, session => invoke(session, request), request.Dispose);
        WireAppend wire;
        try
        {
            if (network.DrawSendingTime(replica.Host.Number) is var wait && wait > TimeSpan.Zero) await Task.Delay(wait, from.Time);
            wire = new WireAppend(request);
        }
        finally
        {
            request.Dispose();
        }

        return await CallAsync(what, session => invoke(session, wire.ToRequest(replica.Pool)));
    }

    private ValueTask<TReply> CallAsync<TReply>(string what, Func<IReplicaChannel, ValueTask<TReply>> invoke, Action? notDelivered = null)
    {
        var call = new SimulatedNetwork.PendingCall<TReply>();
        var timeout = network.Conditions.CallTimeout;
        scheduler.After(timeout, () => call.Fail(new TimeoutException($"{what} to {replica.Id} was not answered within {timeout}.")));
        network.Send(from.Number, replica.Host.Number, reliable: false, () => replica.Deliver(invoke, reply => Answer(call, what, reply), notDelivered), () => call.Fail(new IOException($"Replica {replica.Id} cannot be reached.")));
        return new ValueTask<TReply>(call.Task);
    }

    private void Answer<TReply>(SimulatedNetwork.PendingCall<TReply> call, string what, Task<TReply> reply) =>
        network.Send(replica.Host.Number, from.Number, reliable: false, () =>
        {
            if (call.IsAnswered || caller.IsDead) return;
            scheduler.Trace.Add(caller.Number);
            if (scheduler.Trace.KeepsText) scheduler.Trace.Write(scheduler.Now, $"{caller.Name} <- {replica.Id} {what}: {(reply.IsFaulted ? reply.Exception!.InnerException!.Message : Short(reply.Result))}");
            if (reply.IsFaulted) call.Fail(new IOException(reply.Exception!.InnerException!.Message));
            else call.Answer(reply.Result);
        });

    private static string Short<TReply>(TReply reply)
    {
        var text = reply?.ToString() ?? "";
        return text.Length > 200 ? text[..200] : text;
    }
}
