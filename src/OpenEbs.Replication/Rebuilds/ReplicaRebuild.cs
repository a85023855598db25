using Microsoft.Extensions.Logging;
using OpenEbs.Replication.Replicas;
using OpenEbs.Replication.Volumes;
using OpenEbs.Storage.Store;

namespace OpenEbs.Replication.Rebuilds;

/// <summary>Rebuilds one replica, attempt after attempt: waits for a slot, lists it as rebuilding in the record, copies what differs, and tells how it went (rule 9).</summary>
internal sealed partial class ReplicaRebuild(VolumeContext context, VolumeReads reads, ReplicaLink link, ILinkOwner owner)
{
    private const string WaitingForSlot = "waiting for another rebuild on this node";
    private readonly ILogger _logger = context.Logger;
    private readonly RebuildBackOff _backOff = new(context.Options);
    private int _attempts;

    /// <summary>The present attempt, or the last one until the replica is in sync; null when there was none.</summary>
    public RebuildProgress? Progress { get; private set; }

    /// <summary>Copies what changed since the base; operations flow to the replica from its beginning on. Afterwards it has everything older.</summary>
    /// <param name="baseSeq">Up to there its log and the volume's are the same.</param>
    /// <param name="cause">Why it is rebuilt, for people.</param>
    /// <param name="writableBytes">Room on its pool.</param>
    /// <exception cref="RebuildFailedException">It had begun and failed.</exception>
    /// <exception cref="IOException">It could not begin.</exception>
    public async Task RunAsync(long baseSeq, string cause, long writableBytes)
    {
        if (context.Source(link) is null) throw new IOException("no in-sync replica is reachable to copy from");
        RequireHeadroom(context, writableBytes);
        var progress = Progress = new RebuildProgress(context, cause, ++_attempts);
        var slots = context.Options.RebuildSlots;
        if (!slots.TryEnter())
        {
            link.Reason = WaitingForSlot;
            await slots.EnterAsync(context.Stopped);
        }

        try
        {
            await BeginAsync(baseSeq, cause, progress);
        }
        catch (Exception e) when (e is not VolumeRecordConflictException && !context.IsStopped && progress.Phase != RebuildPhase.Waiting)
        {
            var delay = _backOff.Fail(progress.MovedBytes);

            // A link that goes down cancels what was under way: it knows why.
            var why = e is OperationCanceledException && link.Reason.Length > 0 ? link.Reason : e.Message;
            progress.Phase = RebuildPhase.Failed;
            LogFailed(link.Entry.Id, why, progress.Summary);
            _ = TellAsync(VolumeEventKind.RebuildFailed, $"{why}; {progress.Summary}; tried again after {delay.TotalSeconds:0.#} s");
            throw new RebuildFailedException($"its rebuild failed: {why}; it is tried again {delay.TotalSeconds:0.#} s later{(_backOff.Failures > 1 ? $" ({_backOff.Failures} failures in a row)" : "")}", delay, e);
        }
        finally
        {
            slots.Leave();
        }
    }

    /// <summary>Bringing a replica back never fills the last space of its pool: volumes that are in sync there need it for their writes (promise P8).</summary>
    internal static void RequireHeadroom(VolumeContext context, long writableBytes)
    {
        var headroom = context.Options.RebuildHeadroomBytes;
        if (writableBytes < headroom)
            throw new IOException($"its pool is full: {Math.Max(0, writableBytes) >> 20} MiB are writable, and bringing a replica back leaves {headroom >> 20} MiB to others; free space on the pool or enlarge it");
    }

    /// <summary>Failures of the past count no more.</summary>
    public void BeginAnew() => _backOff.Succeed();

    /// <summary>The replica is in sync.</summary>
    public void End()
    {
        Progress = null;
        _backOff.Succeed();
        _attempts = 0;
    }

    private async Task BeginAsync(long baseSeq, string cause, RebuildProgress progress)
    {
        var isResumed = _attempts == 1 && context.Keeper.Record!.Find(link.Entry.Id)?.Standing == ReplicaStanding.Rebuilding;
        await context.Keeper.ChangeAsync(
            record => record.With(link.Entry.Id, ReplicaStanding.Rebuilding, "", $"{cause}: what changed since seq {baseSeq} is copied", context.UtcNow), context.Stopped);
        if (link.IsRetired || context.Keeper.Record!.Find(link.Entry.Id) is null) throw new IOException("it was removed from the volume");
        link.Standing = ReplicaStanding.Rebuilding;
        owner.OnProgress();
        if (isResumed) _ = TellAsync(VolumeEventKind.RebuildResumed, $"the coordinator before this one ended in the middle; {cause}");
        progress.Phase = RebuildPhase.Copying;
        var from = new LogPosition(context.Epoch, context.Log.LastSeq);
        var begun = await link.Channel.RebuildAsync(new RebuildRequest(context.Epoch, link.Incarnation, RebuildStep.Begin, baseSeq, from, link.NextStepNumber()));
        if (begun.Outcome != ReplicaOutcome.Ok) throw new IOException($"it could not begin a rebuild: {begun.Outcome} {begun.Reason}");
        baseSeq = begun.Status!.RebuildBaseSeq;
        LogRebuilding(link.Entry.Id, baseSeq, cause);
        link.GoLive(from.Seq, 0);
        await new RebuildCopy(context, reads, link, progress).RunAsync(baseSeq, from.Seq);
        var number = link.NextStepNumber();
        var ended = await link.RunStepAsync(() => link.Channel.RebuildAsync(new RebuildRequest(context.Epoch, link.Incarnation, RebuildStep.End, 0, default, number)));
        if (ended.Outcome != ReplicaOutcome.Ok) throw new IOException($"it could not end the rebuild: {ended.Outcome} {ended.Reason}");
        progress.Phase = RebuildPhase.Joining;
        LogRebuilt(link.Entry.Id, progress.Summary);
    }

    /// <summary>Beside the rebuild, which goes on whether or not the metadata store answers.</summary>
    private async Task TellAsync(VolumeEventKind kind, string cause)
    {
        var told = new VolumeEvent(context.UtcNow, kind, link.Entry.Id, "", "", cause);
        try
        {
            await context.Keeper.ChangeAsync(record => record.Find(told.Subject) is null ? record : record.Tell(told), context.Stopped);
        }
        catch (VolumeRecordConflictException e)
        {
            owner.OnFenced(e.Message);
        }
        catch (OperationCanceledException) when (context.IsStopped)
        {
        }
    }

    [LoggerMessage(2103, LogLevel.Information, "Replica {Replica} is rebuilt from what changed after seq {BaseSeq}: {Cause}")]
    private partial void LogRebuilding(string replica, long baseSeq, string cause);

    [LoggerMessage(2104, LogLevel.Information, "Replica {Replica} is rebuilt: {Summary}")]
    private partial void LogRebuilt(string replica, string summary);

    [LoggerMessage(2107, LogLevel.Warning, "The rebuild of replica {Replica} failed: {Reason}; {Summary}")]
    private partial void LogFailed(string replica, string reason, string summary);
}
