using OpenEbs.Replication.Rebuilds;
using OpenEbs.Replication.Replicas;
using OpenEbs.Storage.Store;

namespace OpenEbs.Replication.Volumes;

/// <summary>Whether a coordinator's operations flow to a replica.</summary>
internal enum LinkState : byte
{
    /// <summary>Unreachable, or being opened, matched and caught up by <see cref="ReplicaRejoin"/>.</summary>
    Down,

    /// <summary>Operations flow to it as they come.</summary>
    Live,
}

/// <summary>What a link tells its coordinator.</summary>
internal interface ILinkOwner
{
    /// <summary>A replica acknowledged or made durable more than before.</summary>
    void OnProgress();

    /// <summary>A replica went down.</summary>
    void OnDown(ReplicaLink link);

    /// <summary>A replica has seen a higher epoch.</summary>
    void OnFenced(string reason);
}

/// <summary>A coordinator's way to one replica: sends operations in order of seq, one request in flight, everything that queued meanwhile in the next; flushes beside it.</summary>
internal sealed class ReplicaLink(VolumeContext context, ILinkOwner owner, ReplicaEntry entry, IReplicaChannel channel)
{
    private readonly Queue<LinkStep> _steps = new();
    private int _life;
    private bool _pumping;
    private long _stepNumber;
    private Task? _renewal;

    public ReplicaEntry Entry { get; } = entry;

    public IReplicaChannel Channel { get; } = channel;

    public LinkState State { get; private set; }

    public ReplicaStanding Standing { get; set; } = entry.Standing;

    /// <summary>Acknowledgements need it already though the record does not yet list it in sync.</summary>
    public bool Joining { get; set; }

    /// <summary>The record change that takes it in is under way: its outcome is unknown, so it must be treated as in sync.</summary>
    public bool JoinUnsettled { get; set; }

    /// <summary>It is being taken out of the in-sync set.</summary>
    public bool Dropping { get; set; }

    /// <summary>A <see cref="ReplicaRejoin"/> is at work on it.</summary>
    public bool Rejoining { get; set; }

    /// <summary>It was removed from the volume: it never comes back.</summary>
    public bool IsRetired { get; private set; }

    /// <summary>Stands for it in masks of replicas.</summary>
    public long Bit { get; } = context.FreeBit();

    public bool MustAcknowledge => Standing == ReplicaStanding.InSync || Joining;

    public Guid Incarnation { get; set; }

    /// <summary>The life of the replica that is said to end soon.</summary>
    public Guid LeavingIncarnation { get; set; }

    public bool IsLeaving => Incarnation != Guid.Empty && LeavingIncarnation == Incarnation;

    /// <summary>Nothing above was acknowledged in the replica's earlier lives. Before it has everything up to there, what it may have lost with its host's power is not made good.</summary>
    public long LevelSeq { get; set; }

    /// <summary>The next operation to send.</summary>
    public long NextSeq { get; private set; }

    public long AckedSeq { get; private set; }

    public long DurableSeq { get; private set; }

    public long WritableBytes { get; private set; } = long.MaxValue;

    /// <summary>Time stamp of the newest request that it answered with Ok: it had seen no higher epoch then, and <see cref="WritableBytes"/> is not older.</summary>
    public long ConfirmedAt { get; private set; }

    public long UsedBytes { get; set; }

    /// <summary>Time stamp until which this replica lets the coordinator serve reads.</summary>
    public long LeaseUntil { get; private set; }

    /// <summary>Time stamp since when calls have failed; 0 when the last one succeeded.</summary>
    public long FailingSince { get; private set; }

    /// <summary>Time stamp since when it has had no space for what it must take; 0 when it has.</summary>
    public long FullSince { get; private set; }

    /// <summary>Time stamp since when it has been down.</summary>
    public long DownSince { get; private set; } = context.Now;

    /// <summary>Time stamp of the unanswered request, other than a flush; 0 when there is none.</summary>
    public long InFlightSince { get; private set; }

    /// <summary>Time stamp of the unanswered flush; 0 when there is none.</summary>
    public long FlushSince => Flusher.Since;

    /// <summary>Time stamp of the unanswered request for a lease; 0 when there is none.</summary>
    public long RenewalSince { get; private set; }

    /// <summary>Why it is down, in one line: a failure's message may go on with a stack trace.</summary>
    public string Reason { get; set => field = value.AsSpan().IndexOfAny('\r', '\n') is var end and >= 0 ? value[..end] : value; } = entry.Reason;

    /// <summary>Why it is not in sync, for people; empty when there is nothing to tell.</summary>
    public string Plight => State == LinkState.Down ? Reason : Times.HeldUntil != 0 ? "it was slow: it is sent everything, and not waited for" : "";

    /// <summary>Smoothed time of a read, in time stamp ticks.</summary>
    public long ReadTicks { get; set; }

    public LinkTimes Times { get; } = new();

    /// <summary>Its rebuild, under way or between attempts; null when it has none.</summary>
    public ReplicaRebuild? Rebuild { get; set; }

    public ReplicaInstruments Instruments { get; } = new(context.Time, context.Keeper.Record?.Name ?? "", entry.Id);

    public long NextStepNumber() => ++_stepNumber;

    /// <summary>Operations after <paramref name="lastSeq"/>, which the replica has, flow from now on.</summary>
    public void GoLive(long lastSeq, long durableSeq)
    {
        if (IsRetired) return;
        State = LinkState.Live;
        NextSeq = lastSeq + 1;
        AckedSeq = lastSeq;
        DurableSeq = Math.Min(durableSeq, lastSeq);
        FailingSince = FullSince = 0;
        Reason = "";
        Kick();
    }

    public void GoDown(string reason)
    {
        Reason = reason;
        if (State == LinkState.Down) return;
        State = LinkState.Down;
        DownSince = context.Now;
        EndLife();

        // What it acknowledged may be gone with its process; nothing more may rest on it.
        AckedSeq = Math.Min(AckedSeq, context.AckedSeq);
        if (!JoinUnsettled) Joining = false;
        owner.OnDown(this);
    }

    /// <summary>The record no longer lists it.</summary>
    public void Retire()
    {
        IsRetired = true;
        JoinUnsettled = Joining = false;
        Standing = ReplicaStanding.Faulted;
        GoDown("it was removed from the volume");
    }

    /// <summary>Sends what there is to send.</summary>
    public void Kick()
    {
        if (State != LinkState.Live || _pumping || !HasWork) return;
        _pumping = true;
        _ = PumpAsync(_life);
    }

    /// <summary>Makes the replica flush until everything up to <paramref name="seq"/> is durable there.</summary>
    public void Flush(long seq) => Flusher.Flush(seq);

    /// <summary>Asks for a new lease; concurrent callers share one request.</summary>
    public Task RenewLeaseAsync()
    {
        if (_renewal is null || _renewal.IsCompleted) _renewal = RenewAsync(_life);
        return _renewal;
    }

    /// <summary>Carries out a step between the operations up to now and those that follow. Fails with <see cref="OperationCanceledException"/> when the replica goes down.</summary>
    public Task<RebuildReply> RunStepAsync(Func<ValueTask<RebuildReply>> send)
    {
        var step = new LinkStep(context.Log.LastSeq, send);
        if (State != LinkState.Live) throw new OperationCanceledException("The replica went down.");
        _steps.Enqueue(step);
        Kick();
        return step.Reply.Task;
    }

    /// <summary>Takes what an answer says of the replica; false when it went down or the coordinator is fenced.</summary>
    public bool Accept(AppendReply reply, long sentAt)
    {
        switch (reply.Outcome)
        {
            case ReplicaOutcome.Ok:
                FailingSince = FullSince = 0;
                LeaseUntil = Math.Max(LeaseUntil, sentAt + context.Ticks(context.Options.LeaseDuration));
                (WritableBytes, ConfirmedAt) = (reply.WritableBytes, Math.Max(ConfirmedAt, sentAt));
                AckedSeq = Math.Max(AckedSeq, Math.Min(reply.LastSeq, context.Log.LastSeq));
                DurableSeq = Math.Max(DurableSeq, Math.Min(reply.DurableSeq, AckedSeq));
                NextSeq = Math.Max(NextSeq, AckedSeq + 1);
                return true;
            case ReplicaOutcome.StaleEpoch:
                owner.OnFenced($"replica {Entry.Id} has seen a higher epoch");
                return false;
            case ReplicaOutcome.SeqGap when reply.LastSeq >= AckedSeq:
                NextSeq = reply.LastSeq + 1;
                return true;
            case ReplicaOutcome.NoSpace:
                return NoteFull();
            case ReplicaOutcome.Restarted:
                GoDown("it restarted");
                return false;
            case ReplicaOutcome.SeqGap:
                GoDown($"it lost operations: its log ends at {reply.LastSeq}, it had acknowledged {AckedSeq}");
                return false;
            case ReplicaOutcome.Failed:
                GoDown(reply.Reason);
                return false;
            default:
                throw new InvalidOperationException($"A replica answered an append with {reply.Outcome}.");
        }
    }

    /// <summary>Not even the pool's reserve has room for an operation that has its place in the order. In sync it stays so, for a good while: the operation waits, and space may appear. One that
    /// is being brought back leaves what there is to others.</summary>
    private bool NoteFull()
    {
        WritableBytes = 0;
        var now = context.Now;
        if (FullSince == 0) FullSince = now;
        Reason = "its pool is full";
        if (MustAcknowledge && now - FullSince < context.Ticks(context.Options.FullGrace)) return true;
        GoDown(Reason);
        return false;
    }

    /// <summary>Takes what an answer about its log or its map says of the replica: with no I/O under way nothing else would find out that it restarted.</summary>
    public void Learn(ReplicaOutcome outcome)
    {
        if (outcome == ReplicaOutcome.StaleEpoch) owner.OnFenced($"replica {Entry.Id} has seen a higher epoch");
        else if (outcome == ReplicaOutcome.Restarted) GoDown("it restarted");
    }

    /// <summary>A call failed outright: false when it has been failing for too long, or surely will go on failing, and the link went down.</summary>
    public bool NoteFailure(string reason)
    {
        if (State == LinkState.Down) return false;
        var (now, obstacle) = (context.Now, Channel.Obstacle);
        if (FailingSince == 0) FailingSince = now;
        Reason = obstacle ?? reason;
        if (obstacle is null && now - FailingSince < context.Ticks(context.Options.FailureGrace)) return true;
        GoDown(Reason);
        return false;
    }

    private LinkFlusher Flusher => field ??= new LinkFlusher(context, owner, this);

    private bool HasWork => NextSeq <= context.Log.LastSeq || _steps.Count > 0;

    private void EndLife()
    {
        _life++;
        _pumping = false;
        Flusher.EndLife();
        _renewal = null;
        InFlightSince = RenewalSince = 0;
        LeaseUntil = 0;
        while (_steps.TryDequeue(out var step)) step.Reply.TrySetCanceled(CancellationToken.None);
    }

    private async Task PumpAsync(int life)
    {
        try
        {
            // Lets the calls that are already queued on the volume join the first request.
            await Task.Yield();
            while (life == _life && State == LinkState.Live && !context.IsStopped)
            {
                var barrier = _steps.TryPeek(out var step) ? step.AfterSeq : long.MaxValue;
                if (NextSeq > barrier) await RunAsync(step!, life);
                else if (NextSeq <= context.Log.LastSeq) await SendAsync(Math.Min(barrier, context.Log.LastSeq), life);
                else break;
            }
        }
        catch (OperationCanceledException) when (context.IsStopped)
        {
        }
        catch (Exception e) when (life == _life)
        {
            GoDown(e.Message);
        }
        finally
        {
            if (life == _life) _pumping = false;
        }
    }

    private async Task SendAsync(long toSeq, int life)
    {
        if (NextSeq < context.Log.FirstSeq)
        {
            await ReplicaRejoin.ShipAsync(context, this, NextSeq, next => { if (life == _life) NextSeq = Math.Max(NextSeq, next); });
            return;
        }

        var options = context.Options;
        var group = context.Log.Group(NextSeq, toSeq, options.MaxBatchOperations, options.MaxBatchBytes);
        var batch = new StoreBatch(context.Epoch, group.FirstSeq, group.Stored);
        var request = new AppendRequest(context.Epoch, Incarnation, context.CommitSeq, batch with { EndsDoubt = batch.LastSeq >= LevelSeq }, flush: false, group) { IsReadElsewhere = context.IsReadElsewhere(this) };
        var sentAt = context.Now;
        InFlightSince = sentAt;
        AppendReply reply;
        try
        {
            using var span = ReplicaTraces.Start("replica append", group.Cause, Entry);
            reply = await Channel.AppendAsync(request);
        }
        catch (Exception e) when (life == _life && !context.IsStopped)
        {
            InFlightSince = 0;
            if (NoteFailure(e.Message)) await context.Delay(options.RetryDelay);
            return;
        }

        if (life != _life) return;
        InFlightSince = 0;
        Instruments.OnWrite(sentAt);
        Times.Appends.Add(context.Now - sentAt);
        if (!Accept(reply, sentAt)) return;
        if (reply.Outcome != ReplicaOutcome.Ok) await context.Delay(options.RetryDelay);
        else
        {
            owner.OnProgress();
            Flusher.FlushMore();
        }
    }

    private async Task RunAsync(LinkStep step, int life)
    {
        RebuildReply reply;
        InFlightSince = context.Now;
        try
        {
            reply = await step.Send();
        }
        catch (Exception e) when (life == _life && !context.IsStopped)
        {
            InFlightSince = 0;
            if (NoteFailure(e.Message)) await context.Delay(context.Options.RetryDelay);
            return;
        }

        if (life != _life) return;
        InFlightSince = 0;
        switch (reply.Outcome)
        {
            case ReplicaOutcome.Ok:
                FailingSince = 0;
                goto case ReplicaOutcome.NoSpace;
            case ReplicaOutcome.NoSpace:
                _steps.Dequeue();
                step.Reply.TrySetResult(reply);
                break;
            case ReplicaOutcome.StaleEpoch:
                owner.OnFenced($"replica {Entry.Id} has seen a higher epoch");
                break;
            default:
                GoDown(reply.Reason.Length > 0 ? reply.Reason : $"it answered {reply.Outcome}");
                break;
        }
    }

    private async Task RenewAsync(int life)
    {
        var sentAt = RenewalSince = context.Now;
        try
        {
            var reply = await Channel.FlushAsync(context.Epoch, Incarnation, context.CommitSeq, flush: false);
            if (life == _life && Accept(reply, sentAt)) owner.OnProgress();
        }
        catch (Exception e)
        {
            if (life == _life && !context.IsStopped) NoteFailure(e.Message);
        }
        finally
        {
            if (life == _life) RenewalSince = 0;
        }
    }
}
