using Microsoft.Extensions.Logging;
using OpenEbs.Replication.Replicas;
using OpenEbs.Storage.Store;

namespace OpenEbs.Replication.Volumes;

/// <summary>Reads every block of every in-sync replica within a period, at an even and low rate, so that what rots where nobody reads is found while there is a good copy: a bad block is
/// rewritten from another replica, and replicas are compared.</summary>
/// <remarks>What is in a node's page cache is checked there and not on its media.</remarks>
internal sealed partial class VolumeScrub(VolumeContext context, VolumeReads reads, ILinkOwner owner)
{
    /// <summary>64 MiB: the part whose allocated blocks are asked for at once.</summary>
    private const int WindowBlocks = 16384;

    /// <summary>256 KiB: what is checked, and kept from being written, at once.</summary>
    private const int PieceBlocks = 64;

    /// <summary>Whoever has the good copy may be away for a moment.</summary>
    private const int MaxTries = 3;
    private static readonly TimeSpan RetryPause = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan SaveInterval = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan LongestNap = TimeSpan.FromSeconds(5);

    private readonly ILogger _logger = context.Logger;
    private readonly Dictionary<ReplicaLink, Finding> _found = [];
    private TaskCompletionSource _wake = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _isHurried;
    private bool _isRestarted;
    private long _cursor;
    private long _savedAt;

    /// <summary>How much of the volume the present scrub has been through, 0 to 1.</summary>
    public double Progress => BlockCount is > 0 and var blocks ? Math.Min(1, (double)_cursor / blocks) : 0;

    /// <summary>It was asked for and goes on as fast as it can.</summary>
    public bool IsHurried => _isHurried;

    /// <summary>0 before the record was read.</summary>
    private long BlockCount => (context.Keeper.Record?.SizeBytes ?? 0) / VolumeBlocks.BlockBytes;

    /// <summary>Scrubs the whole volume from its beginning, at once and without pauses.</summary>
    public void Hurry()
    {
        _isHurried = _isRestarted = true;
        _wake.TrySetResult();
    }

    /// <summary>Goes on until the coordinator ends.</summary>
    public async Task RunAsync()
    {
        try
        {
            _cursor = context.Keeper.Record!.ScrubCursor;
            _savedAt = context.Now;
            while (!context.IsStopped)
            {
                if (_isRestarted)
                {
                    (_isRestarted, _cursor) = (false, 0);
                    _wake = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                }

                await GoOnAsync();
            }
        }
        catch (VolumeRecordConflictException e)
        {
            owner.OnFenced(e.Message);
        }
        catch (OperationCanceledException) when (context.IsStopped)
        {
        }
    }

    private async Task GoOnAsync()
    {
        try
        {
            if (!_isHurried && context.Options.ScrubPeriod <= TimeSpan.Zero) await NapAsync(LongestNap);
            else if (_cursor < BlockCount) await ScrubWindowAsync();
            else await EndAsync();
        }
        catch (Exception e) when (e is not VolumeRecordConflictException && !context.IsStopped)
        {
            // Nothing is expected here; but a scrub that ended in silence would be noticed by nobody.
            LogFailed(e);
            await NapAsync(LongestNap);
        }
    }

    private async Task ScrubWindowAsync()
    {
        var (first, count, started) = (_cursor, Math.Min(WindowBlocks, BlockCount - _cursor), context.Now);
        var period = context.Options.ScrubPeriod * (count / (double)BlockCount);
        if (await ListMappedAsync(first, count) is not { } pieces)
        {
            await NapAsync(LongestNap);
            return;
        }

        foreach (var piece in pieces)
        {
            if (_isRestarted || context.IsStopped) break;
            for (var tries = 1; !await ScrubPieceAsync(piece.Block, (int)piece.BlockCount, isLast: tries == MaxTries) && tries < MaxTries; tries++) await NapAsync(RetryPause);
            if (!_isRestarted) _cursor = piece.Block + piece.BlockCount;
            if (!_isHurried) await NapAsync(period / pieces.Count);
        }

        if (_found.Count > 0 || (!_isHurried && context.Now - _savedAt > context.Ticks(SaveInterval))) await SaveAsync(record => record);
        if (!_isHurried) await NapAsync(period - TimeSpan.FromSeconds((context.Now - started) / (double)context.Time.TimestampFrequency));
        if (!_isRestarted) _cursor = first + count;
    }

    private async Task EndAsync()
    {
        var wasHurried = _isHurried;
        (_isHurried, _cursor) = (false, 0);
        var now = context.UtcNow;
        await SaveAsync(record => wasHurried
            ? (record with { LastScrubAt = now }).Tell(new VolumeEvent(now, VolumeEventKind.Scrubbed, "", "", $"{record.SizeBytes} bytes", "asked for"))
            : record with { LastScrubAt = now });
        LogEnded();
    }

    /// <summary>The allocated blocks of a window, in pieces; null when no replica can say.</summary>
    private async Task<List<BlockRun>?> ListMappedAsync(long first, long count)
    {
        if (context.Source(null) is not { } source) return null;
        AllocatedReply reply;
        try
        {
            reply = await source.Channel.ListAllocatedAsync(context.Epoch, source.Incarnation, first, count, (int)count);
        }
        catch (Exception e) when (!context.IsStopped)
        {
            source.NoteFailure(e.Message);
            return null;
        }

        source.Learn(reply.Outcome);
        if (reply.Outcome != ReplicaOutcome.Ok) return null;
        var pieces = new List<BlockRun>();
        foreach (var run in reply.Runs.Where(run => run.Mapped && run.Block < first + count))
        {
            var end = Math.Min(run.Block + run.BlockCount, first + count);
            for (var block = run.Block; block < end; block += PieceBlocks) pieces.Add(new BlockRun(block, Math.Min(PieceBlocks, end - block)));
        }

        return pieces;
    }

    /// <summary>No write is in flight to the piece meanwhile: what the replicas have of it is the same. False when there is a bad block for which no good copy could be had now.</summary>
    private async Task<bool> ScrubPieceAsync(long block, int blockCount, bool isLast)
    {
        var range = context.Ranges.Enter(block, blockCount, RangeUse.Read);
        try
        {
            await range.GrantedAsync();
            if (context.IsStopped) return true;
            var answers = await Task.WhenAll(context.Links.Select(async link => (Link: link, Checked: await CheckAsync(link, block, blockCount, isLast))));

            // Who was passed over, or went down meanwhile, is not compared.
            var digests = answers.Where(answer => answer.Checked.Digest is not null && context.IsCurrent(answer.Link)).Select(answer => (answer.Link, Digest: answer.Checked.Digest!.Value)).ToList();
            if (digests.Count > 1 && digests.Exists(d => d.Digest != digests[0].Digest)) await ReportDifferenceAsync(block, blockCount, digests);
            return !Array.Exists(answers, answer => answer.Checked.IsBad);
        }
        finally
        {
            context.Ranges.Exit(range);
        }
    }

    /// <summary>The digest is null when the replica could not be asked, or is bad: has a bad block that no other has good.</summary>
    private async Task<(uint? Digest, bool IsBad)> CheckAsync(ReplicaLink link, long block, int blockCount, bool isLast)
    {
        for (var tries = 0; tries <= blockCount && context.IsCurrent(link) && !context.IsStopped; tries++)
        {
            if (await AskAsync(link, block, blockCount) is not { } reply) break;
            link.Learn(reply.Outcome);
            if (reply.Outcome == ReplicaOutcome.Ok) return (reply.Digest, false);
            if (reply.Outcome != ReplicaOutcome.BadBlock) break;
            var isRepaired = await reads.RepairAsync(link, reply.BadBlock);
            if (!isRepaired && !isLast) return (null, true);
            var found = _found.GetValueOrDefault(link) ?? new Finding(reply.BadBlock);
            _found[link] = found with { Count = found.Count + 1, Repaired = found.Repaired + (isRepaired ? 1 : 0) };
            LogBad(link.Entry.Id, reply.BadBlock, isRepaired ? "rewritten from a good copy" : "no other in-sync replica has a good copy");
            if (!isRepaired) return (null, true);
        }

        return (null, false);
    }

    /// <summary>Gives up soon: writes to the piece wait.</summary>
    private async Task<CheckReply?> AskAsync(ReplicaLink link, long block, int blockCount)
    {
        var asked = TryAskAsync();
        await Task.WhenAny(asked, Task.Delay(context.Options.ReplicaTimeout / 4, context.Time, CancellationToken.None));
        if (asked.IsCompleted) return await asked;
        _ = RepairLateAsync();
        return null;

        async Task RepairLateAsync()
        {
            if (await asked is { Outcome: ReplicaOutcome.BadBlock } late && !context.IsStopped) await reads.RepairLateAsync(link, late.BadBlock);
        }

        async Task<CheckReply?> TryAskAsync()
        {
            try
            {
                return await link.Channel.CheckAsync(context.Epoch, link.Incarnation, block, blockCount);
            }
            catch (Exception e)
            {
                if (!context.IsStopped) link.NoteFailure(e.Message);
                return null;
            }
        }
    }

    private async Task ReportDifferenceAsync(long block, int blockCount, List<(ReplicaLink Link, uint Digest)> digests)
    {
        var what = string.Join(", ", digests.Select(d => $"{d.Link.Entry.Id} has {d.Digest:x8}"));
        LogDiffer(block, blockCount, what);
        await context.Keeper.ChangeAsync(
            record => record.Tell(new VolumeEvent(context.UtcNow, VolumeEventKind.ReplicasDiffer, "", "", $"blocks from {block} on ({blockCount}): {what}", "found by a scrub; every checksum is right, so nobody can tell which is")), context.Stopped);
    }

    private async Task SaveAsync(Func<VolumeRecord, VolumeRecord> change)
    {
        _savedAt = context.Now;
        var found = _found.Select(f => (f.Key.Entry.Id, f.Value)).ToList();
        _found.Clear();
        await context.Keeper.ChangeAsync(
            record =>
            {
                foreach (var (id, finding) in found)
                    record = record.Tell(new VolumeEvent(context.UtcNow, VolumeEventKind.BadBlocks, id, "", $"{finding.Count} from block {finding.First} on, {finding.Repaired} rewritten from good copies", "found by a scrub"));
                return change(record) with { ScrubCursor = _cursor };
            },
            context.Stopped);
    }

    private async Task NapAsync(TimeSpan duration)
    {
        var until = context.Now + context.Ticks(duration);
        while (!context.IsStopped && !_isRestarted && until > context.Now)
        {
            // Delays are of whole milliseconds: a shorter one would end before it began.
            var left = TimeSpan.FromSeconds((until - context.Now) / (double)context.Time.TimestampFrequency) + TimeSpan.FromMilliseconds(1);
            await Task.WhenAny(_wake.Task, Task.Delay(left < LongestNap ? left : LongestNap, context.Time, CancellationToken.None));
        }
    }

    private sealed record Finding(long First, int Count = 0, int Repaired = 0);

    [LoggerMessage(2601, LogLevel.Warning, "A scrub found block {Block} bad on replica {Replica}: {Outcome}")]
    private partial void LogBad(string replica, long block, string outcome);

    [LoggerMessage(2602, LogLevel.Error, "A scrub found that replicas differ in blocks from {Block} on ({Count}): {What}")]
    private partial void LogDiffer(long block, int count, string what);

    [LoggerMessage(2604, LogLevel.Error, "A scrub failed and is tried again")]
    private partial void LogFailed(Exception exception);

    [LoggerMessage(2603, LogLevel.Information, "The volume has been scrubbed")]
    private partial void LogEnded();
}
