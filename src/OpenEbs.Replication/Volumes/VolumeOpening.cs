using Microsoft.Extensions.Logging;
using OpenEbs.Replication.Replicas;
using OpenEbs.Storage.Store;

namespace OpenEbs.Replication.Volumes;

/// <summary>Takes a volume over: fences its replicas at the new epoch, chooses the one with the newest log as source, and brings the others level with it
/// (design section 4, Opening and Recovery). Runs after the epoch was raised in the record.</summary>
internal sealed partial class VolumeOpening(VolumeContext context, ILinkOwner owner)
{
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(10);
    private readonly ILogger _logger = context.Logger;
    private readonly List<Candidate> _candidates = [.. context.Links.Where(l => l.Standing == ReplicaStanding.InSync).Select(l => new Candidate(l))];

    /// <summary>Why it is not finished yet, for people.</summary>
    public string Reason { get; private set; } = "raising the epoch";

    /// <summary>When this returns all in-sync links are live and level; the caller adds the epoch's first operation.</summary>
    /// <exception cref="VolumeRecordConflictException">Another coordinator took over.</exception>
    public async Task RunAsync()
    {
        if (_candidates.Count == 0)
        {
            // No change of the record by a coordinator leads here. Choosing one anyway could silently bring back old data: that is for a person to decide.
            Reason = "the volume's record lists no replica in sync";
            await Task.Delay(Timeout.InfiniteTimeSpan, context.Time, context.Stopped);
        }

        var started = context.Now;
        while (true)
        {
            var responders = await FenceAsync(started);
            var source = Choose(responders);
            var status = source.Status!;
            context.History = new LogHistory(status);
            if (!context.Faults.SkipLevelling && !await LevelAllAsync(source, responders)) continue;
            await RecordAsync(responders);
            Begin(source, responders);
            return;
        }
    }

    /// <summary>Fences replicas until all have answered, or enough of them and the rest cannot be reached: then the predecessor's leases must have run out first.</summary>
    private async Task<List<Candidate>> FenceAsync(long started)
    {
        var options = context.Options;
        foreach (var candidate in _candidates.Where(c => c.Status is null && !c.IsFencing)) _ = FenceAsync(candidate);
        while (true)
        {
            context.Stopped.ThrowIfCancellationRequested();
            var responders = _candidates.Where(c => c.Status is not null).ToList();
            var missing = _candidates.Where(c => c.Status is null).ToList();
            if (missing.Count == 0) return responders;
            Reason = $"waiting for {string.Join(", ", missing.Select(c => $"replica {c.Link.Entry.Id} ({c.Reason})"))}";
            var gaveUp = context.Now - started > context.Ticks(options.ReplicaTimeout) || missing.All(c => c.Failed);
            var minInSync = context.Keeper.Record!.MinInSync;
            var isEnough = responders.Count >= minInSync && responders.Any(c => !c.Status!.MayHaveLostTail);
            if (gaveUp && !isEnough && missing.Any(c => c.Answer is not null))
            {
                // What is damaged may do for as long as there is nothing better.
                foreach (var candidate in missing) candidate.Status = candidate.Answer;
                continue;
            }

            // Nobody needs to wait for those that will never answer: what all in-sync replicas had, each of the others has.
            if ((gaveUp && isEnough) || (responders.Count > 0 && missing.All(c => c.IsLost)))
            {
                // A predecessor that is cut off from us but not from a missing replica may still serve reads from it while it holds
                // leases of the others; those were granted before they were fenced.
                var fenced = responders.Max(c => c.FencedAt);
                var wait = (long)(context.Ticks(options.LeaseDuration) * (1 + (2 * options.ClockDrift)));
                if (context.Now - fenced >= wait || context.Faults.SkipLeaseWait || responders.Any(IsAfterTheEnd)) return responders;
            }

            await context.Delay(Poll);
        }
    }

    /// <summary>Whether, as this replica knows, nobody serves under leases any more. Its last coordinator said so, or its process has ended after it had finished opening (an operation of its epoch
    /// shows that). Any that opened the volume in between and finished would have fenced this replica too, or taken it out of the in-sync set; and those before had ended when it finished.</summary>
    private bool IsAfterTheEnd(Candidate candidate) => candidate.Predecessor is { } before
        && (before.HasReleased || (before.Opener.Length > 0 && candidate.Status!.Last.Epoch == before.Epoch && context.Options.HasEnded(before.Opener)));

    private async Task FenceAsync(Candidate candidate)
    {
        candidate.IsFencing = true;
        try
        {
            while (!context.IsStopped && candidate.Status is null && candidate.Link.State == LinkState.Down && !candidate.Link.Rejoining)
            {
                await TryFenceAsync(candidate);
                if (candidate.Status is null) await context.Delay(context.Options.RetryDelay);
            }
        }
        catch (OperationCanceledException) when (context.IsStopped)
        {
        }
        finally
        {
            candidate.IsFencing = false;
        }
    }

    private async Task TryFenceAsync(Candidate candidate)
    {
        var link = candidate.Link;
        try
        {
            var reply = await link.Channel.OpenAsync(new OpenRequest(context.Epoch, Create: !link.Entry.Created, link.NextStepNumber(), context.Keeper.ForReplicas, IsNew: true, context.Options.Process));
            if (reply.Outcome == ReplicaOutcome.StaleEpoch) owner.OnFenced($"replica {link.Entry.Id} has seen a higher epoch");
            else if (reply.Outcome != ReplicaOutcome.Ok || reply.Status is null)
            {
                candidate.IsLost = reply.Outcome == ReplicaOutcome.Lost;
                Fail(candidate, reply.Reason);
            }
            else if (reply.Status.Consistency != ReplicaConsistency.Prefix) Fail(candidate, "it is in the middle of a rebuild");
            else
            {
                link.Incarnation = reply.Incarnation;
                link.UsedBytes = reply.Status.UsedBytes;
                candidate.FencedAt = context.Now;
                candidate.Predecessor = reply.Predecessor;
                candidate.Answer = reply.Status;
                if (reply.Status.IsDamaged) Fail(candidate, "its store is damaged");
                else candidate.Status = reply.Status;
            }
        }
        catch (Exception e) when (!context.IsStopped)
        {
            Fail(candidate, e.Message);
        }
    }

    private static void Fail(Candidate candidate, string reason)
    {
        candidate.Failed = true;
        candidate.Reason = candidate.Link.Reason = reason;
    }

    /// <summary>Every in-sync replica has all acknowledged operations; the one with the highest (epoch, seq) also has what others of the last epoch may have.</summary>
    private Candidate Choose(List<Candidate> responders)
    {
        var source = context.Faults.ShortestSource ? responders.MinBy(c => c.Status!.Last)! : responders.MaxBy(c => c.Status!.Last)!;
        LogSource(source.Link.Entry.Id, source.Status!.Last);
        return source;
    }

    private async Task<bool> LevelAllAsync(Candidate source, List<Candidate> responders)
    {
        Reason = $"levelling replicas with {source.Link.Entry.Id} at {source.Status!.Last}";
        var levelled = await Task.WhenAll(responders.Where(c => c != source).Select(c => LevelAsync(source, c)));
        if (levelled.All(done => done)) return true;

        // What was known of those that were levelled is no longer so: their logs have grown, or were cut.
        foreach (var candidate in responders) candidate.Status = candidate.Answer = null;
        return false;
    }

    private async Task<bool> LevelAsync(Candidate source, Candidate target)
    {
        try
        {
            if (context.History!.Match(target.Status!) is not { } seq || seq < target.Status!.LogStart.Seq) throw new LogUnavailableException("its log has nothing in common with its source's");
            if (seq < target.Status.Last.Seq)
            {
                LogDiscarding(target.Link.Entry.Id, target.Status.Last, seq);
                var request = new RebuildRequest(context.Epoch, target.Link.Incarnation, RebuildStep.Truncate, seq, default, target.Link.NextStepNumber());
                var reply = await target.Link.Channel.RebuildAsync(request);
                if (reply.Outcome != ReplicaOutcome.Ok) throw new IOException($"it could not discard what it alone has: {reply.Outcome} {reply.Reason}");
            }

            await SendMissingAsync(source, target, seq);
            return true;
        }
        catch (Exception e) when (!context.IsStopped)
        {
            // All are asked anew, since any may be the one that failed; a target that no log can level is left out and rebuilt later.
            Fail(target, e.Message);
            if (e is LogUnavailableException) _candidates.Remove(target);
            return false;
        }
    }

    private async Task SendMissingAsync(Candidate source, Candidate target, long seq)
    {
        var status = source.Status!;
        while (seq < status.Last.Seq)
        {
            var read = await source.Link.Channel.ReadLogAsync(context.Epoch, source.Link.Incarnation, seq + 1, context.Options.MaxBatchBytes);
            if (read.Outcome is ReplicaOutcome.Failed) throw new LogUnavailableException($"its source cannot send its log from seq {seq + 1}: {read.Reason}");
            if (read.Outcome != ReplicaOutcome.Ok || read.Batch is not { } batch) throw new IOException($"its source answered {read.Outcome}");

            using var request = new AppendRequest(context.Epoch, target.Link.Incarnation, status.CommitSeq, batch, flush: false);
            var reply = await target.Link.Channel.AppendAsync(request.AddReference());
            if (reply.Outcome != ReplicaOutcome.Ok || reply.LastSeq < batch.LastSeq) throw new IOException($"it refused operations of its source: {reply.Outcome} {reply.Reason}");
            seq = batch.LastSeq;
        }
    }

    private async Task RecordAsync(List<Candidate> responders)
    {
        Reason = "writing the volume's record";
        var lost = responders.All(c => c.Status!.MayHaveLostTail);
        if (lost) LogMayHaveLost();
        var reasons = context.Links.Where(l => l.Standing == ReplicaStanding.InSync && responders.All(c => c.Link != l))
            .ToDictionary(l => l.Entry.Id, l => l.Reason.Length > 0 ? l.Reason : "it did not answer when the volume was opened");
        var lives = responders.Select(c => c.Link.Incarnation).Distinct().ToList();
        var losses = context.Keeper.Record!.DataLossCount + 1;
        await context.Keeper.ChangeAsync(
            record =>
            {
                if (lost && record.DataLossCount < losses)
                {
                    record = (record with { DataLossCount = losses }).Tell(new VolumeEvent(
                        context.UtcNow, VolumeEventKind.DataLost, "", "", $"data loss count {losses}", "every in-sync replica's host lost power: writes acknowledged but not flushed may be missing"));
                }

                foreach (var responder in responders) record = record.With(responder.Link.Entry.Id, ReplicaStanding.InSync, "", "the volume was opened", context.UtcNow);
                foreach (var (id, reason) in reasons) record = record.With(id, ReplicaStanding.Faulted, reason, reason, context.UtcNow);
                return SharedUnit.Reopen(record, lives);
            },
            context.Stopped);
        foreach (var link in context.Links.Where(l => reasons.ContainsKey(l.Entry.Id)))
        {
            link.Standing = ReplicaStanding.Faulted;
            LogDropped(link.Entry.Id, reasons[link.Entry.Id]);
        }
    }

    private void Begin(Candidate source, List<Candidate> responders)
    {
        var last = source.Status!.Last.Seq;
        context.Log = new RetainedLog(last);
        context.AckedSeq = last;
        context.History!.Begin(context.Epoch, last + 1);
        context.CommitSeq = responders.Max(c => c.Status!.CommitSeq);
        foreach (var responder in responders) responder.Link.GoLive(last, responder == source ? responder.Status!.DurableSeq : 0);
    }

    private sealed class Candidate(ReplicaLink link)
    {
        public ReplicaLink Link { get; } = link;

        /// <summary>What it has, when it is to be opened with.</summary>
        public StoreStatus? Status { get; set; }

        /// <summary>What it has, also when that is damaged.</summary>
        public StoreStatus? Answer { get; set; }

        /// <summary>It has no store that can be opened.</summary>
        public bool IsLost { get; set; }

        public long FencedAt { get; set; }

        public Predecessor? Predecessor { get; set; }

        public bool IsFencing { get; set; }

        /// <summary>It answered with a failure, or the call to it failed, at least once.</summary>
        public bool Failed { get; set; }

        public string Reason { get; set; } = "it has not answered yet";
    }

    [LoggerMessage(2201, LogLevel.Information, "Replica {Replica} is the source, its log ends at {Last}")]
    private partial void LogSource(string replica, LogPosition last);

    [LoggerMessage(2202, LogLevel.Information, "Replica {Replica} discards its unacknowledged operations from {Last} down to seq {Seq}")]
    private partial void LogDiscarding(string replica, LogPosition last, long seq);

    [LoggerMessage(2203, LogLevel.Warning, "Every in-sync replica's host lost power: writes acknowledged but not flushed before may be missing")]
    private partial void LogMayHaveLost();

    [LoggerMessage(2204, LogLevel.Warning, "Replica {Replica} is out of the in-sync set: {Reason}")]
    private partial void LogDropped(string replica, string reason);
}
