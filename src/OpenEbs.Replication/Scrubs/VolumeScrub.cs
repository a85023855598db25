using Microsoft.Extensions.Logging;
using OpenEbs.Replication.Replicas;
using OpenEbs.Replication.Volumes;
using OpenEbs.Storage.Store;

namespace OpenEbs.Replication.Scrubs;

/// <summary>Reads every block of every in-sync replica from media within a period, at an even and low rate, so that what rots where nobody reads is found while there is a good copy: a bad block is
/// rewritten from another replica, blocks that differ are made equal, and in the end each store checks what it has beside the blocks.</summary>
internal sealed partial class VolumeScrub(VolumeContext context, VolumeReads reads, WriteOrder order, ILinkOwner owner)
{
    /// <summary>64 MiB: the part whose allocated blocks are asked for at once.</summary>
    private const int WindowBlocks = 16384;

    /// <summary>256 KiB: what is checked, and kept from being written, at once.</summary>
    private const int PieceBlocks = 64;

    /// <summary>In bytes a second.</summary>
    private const double MinStoreRate = 1 << 20;

    /// <summary>Whoever has the good copy may be away for a moment.</summary>
    private const int MaxTries = 3;
    private static readonly TimeSpan RetryPause = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan SaveInterval = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan LongestNap = TimeSpan.FromSeconds(5);

    private readonly ILogger _logger = context.Logger;
    private readonly Dictionary<ReplicaLink, Finding> _found = [];
    private readonly DifferingBlocks _differing = new(context, order);
    private readonly StoreScrubs _stores = new(context);
    
    /// <summary>What waits for it goes on within the call that completes it: by the thread pool it would leave this scheduling context.</summary>
    private TaskCompletionSource _wake = new();
    private bool _isHurried;
    private bool _isRestarted;
    private long _cursor;
    private long _savedAt;

    /// <summary>How much of the volume the present scrub has been through, 0 to 1.</summary>
    public double Progress => BlockCount is > 0 and var blocks ? Math.Min(1, (double)_cursor / blocks) : 0;

    /// <summary>What the present scrub has come to; null before the first began.</summary>
    public ScrubTally? Tally { get; private set; }

    /// <summary>It was asked for and goes on as fast as it may.</summary>
    public bool IsHurried => _isHurried;

    /// <summary>0 before the record was read.</summary>
    private long BlockCount => (context.Keeper.Record?.SizeBytes ?? 0) / VolumeBlocks.BlockBytes;

    /// <summary>Scrubs the whole volume from its beginning, at once and as fast as <see cref="CoordinatorOptions.ScrubLimitBytesPerSecond"/> allows.</summary>
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
            (_cursor, Tally) = (context.Keeper.Record!.ScrubCursor, context.Keeper.Record.PresentScrub);
            _isHurried = Tally is { IsAskedFor: true };
            _savedAt = context.Now;
            while (!context.IsStopped)
            {
                if (_isRestarted)
                {
                    (_isRestarted, _cursor, Tally) = (false, 0, null);
                    _wake = new TaskCompletionSource();
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
            else await ScrubStoresAsync();
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

        if (Tally is null)
        {
            // Another coordinator is to go on with what was asked for.
            Tally = new ScrubTally(context.UtcNow, IsAskedFor: _isHurried);
            if (_isHurried) await SaveAsync(record => record);
        }

        foreach (var piece in pieces)
        {
            if (_isRestarted || context.IsStopped) break;
            for (var tries = 1; !await ScrubPieceAsync(piece.Block, (int)piece.BlockCount, isLast: tries == MaxTries) && tries < MaxTries; tries++) await NapAsync(RetryPause);
            if (!_isRestarted) _cursor = piece.Block + piece.BlockCount;
            await NapAsync(_isHurried ? LimitedTime(piece.BlockCount * VolumeBlocks.BlockBytes) : period / pieces.Count);
        }

        if (_found.Count > 0 || context.Now - _savedAt > context.Ticks(SaveInterval)) await SaveAsync(record => record);
        if (!_isHurried) await NapAsync(period - TimeSpan.FromSeconds((context.Now - started) / (double)context.Time.TimestampFrequency));
        if (!_isRestarted) _cursor = first + count;
    }

    /// <summary>What so many bytes of each replica must take at least when a scrub was asked for.</summary>
    private TimeSpan LimitedTime(long bytes) => context.Options.ScrubLimitBytesPerSecond is > 0 and var limit ? TimeSpan.FromSeconds((double)bytes / limit) : TimeSpan.Zero;

    /// <summary>The last part of a scrub.</summary>
    private async Task ScrubStoresAsync()
    {
        var tally = await _stores.RunAsync(Tally ?? new ScrubTally(context.UtcNow, IsAskedFor: _isHurried), PaceAsync);
        if (_isRestarted || context.IsStopped) return;
        Tally = tally;
        await EndAsync();
    }

    /// <summary>Headers of many small records come to as much as the data: twice what the replica occupies, within the period.</summary>
    private async Task<bool> PaceAsync(ReplicaLink link, long bytes)
    {
        var rate = Math.Max(MinStoreRate, 2 * link.UsedBytes / Math.Max(1, context.Options.ScrubPeriod.TotalSeconds));
        await NapAsync(_isHurried ? LimitedTime(bytes) : TimeSpan.FromSeconds(bytes / rate));
        return !_isRestarted && !context.IsStopped;
    }

    private async Task EndAsync()
    {
        var now = context.UtcNow;
        var ended = Tally! with { EndedAt = now };
        (_isHurried, _cursor, Tally) = (false, 0, null);
        await SaveAsync(record => ended.IsAskedFor || !ended.IsClean
            ? Ended(record).Tell(new VolumeEvent(now, VolumeEventKind.Scrubbed, "", "", ended.ToString(), ended.IsAskedFor ? "asked for" : "its time had come"))
            : Ended(record));
        LogEnded(ended.ToString());

        VolumeRecord Ended(VolumeRecord record) => record with { LastScrubAt = now, LastScrub = ended };
    }

    /// <summary>The blocks of a window that are allocated on any replica that has everything, in pieces; null when none can say. All have the same, unless something is wrong with one.</summary>
    private async Task<List<BlockRun>?> ListMappedAsync(long first, long count)
    {
        var answers = await Task.WhenAll(context.Links.Where(context.IsCurrent).Select(link => ListMappedAsync(link, first, count)));
        if (Array.TrueForAll(answers, answer => answer is null)) return null;
        var pieces = new List<BlockRun>();
        var end = first;
        foreach (var run in answers.SelectMany(runs => runs ?? []).Where(run => run.Mapped && run.Block < first + count).OrderBy(run => run.Block))
        {
            var runEnd = Math.Min(run.Block + run.BlockCount, first + count);
            for (var block = Math.Max(run.Block, end); block < runEnd; block += PieceBlocks) pieces.Add(new BlockRun(block, Math.Min(PieceBlocks, runEnd - block)));
            end = Math.Max(end, runEnd);
        }

        return pieces;
    }

    private async Task<IReadOnlyList<AllocatedRun>?> ListMappedAsync(ReplicaLink link, long first, long count)
    {
        try
        {
            var reply = await link.Channel.ListAllocatedAsync(context.Epoch, link.Incarnation, first, count, (int)count);
            if (!context.IsStopped) link.Learn(reply.Outcome);
            return reply.Outcome == ReplicaOutcome.Ok ? reply.Runs : null;
        }
        catch (Exception e) when (!context.IsStopped)
        {
            link.NoteFailure(e.Message);
            return null;
        }
    }

    /// <summary>No write is in flight to the piece meanwhile: what the replicas have of it is the same. False when there is a bad block for which no good copy could be had now, or a difference that could not be settled.</summary>
    private async Task<bool> ScrubPieceAsync(long block, int blockCount, bool isLast)
    {
        var range = context.Ranges.Enter(block, blockCount, RangeUse.Read);
        (ReplicaLink Link, (uint? Digest, bool IsBad) Checked)[] answers;
        var differ = false;
        try
        {
            await range.GrantedAsync();
            if (context.IsStopped) return true;
            answers = await Task.WhenAll(context.Links.Select(async link => (Link: link, Checked: await CheckAsync(link, block, blockCount, isLast))));

            // Who was passed over, or went down meanwhile, is not compared.
            var digests = answers.Where(answer => answer.Checked.Digest is not null && context.IsCurrent(answer.Link)).Select(answer => (answer.Link, Digest: answer.Checked.Digest!.Value)).ToList();
            differ = digests.Count > 1 && digests.Exists(d => d.Digest != digests[0].Digest);
            Tally = Tally! with { CheckedBytes = Tally.CheckedBytes + ((long)digests.Count * blockCount * VolumeBlocks.BlockBytes) };
        }
        finally
        {
            context.Ranges.Exit(range);
        }

        // One that is in sync and did not answer in time, or is behind at the moment, is asked again soon; one that is out of sync is not waited for, but it has not been checked either.
        var missed = Array.FindAll(answers, answer => answer.Checked is (null, false));
        var isMissed = Array.Exists(missed, answer => answer.Link.Standing == ReplicaStanding.InSync);
        if (missed.Length > 0 && (isLast || !isMissed)) Tally = Tally! with { UnsettledPieces = Tally.UnsettledPieces + 1 };
        return (!differ || await SettleAsync(block, blockCount, isLast)) && !isMissed && !Array.Exists(answers, answer => answer.Checked.IsBad);
    }

    private async Task<bool> SettleAsync(long block, int blockCount, bool isLast)
    {
        LogDiffer(block, blockCount);
        var settled = await _differing.SettleAsync(block, blockCount);
        Tally = Tally! with { DifferingBlocks = Tally.DifferingBlocks + (settled ?? 0), UnsettledPieces = Tally.UnsettledPieces + (settled is null && isLast ? 1 : 0) };
        return settled is not null;
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
            Tally = Tally! with { BadBlocks = Tally.BadBlocks + 1, RepairedBlocks = Tally.RepairedBlocks + (isRepaired ? 1 : 0) };
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
                return change(record) with { ScrubCursor = _cursor, PresentScrub = Tally };
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

    [LoggerMessage(2602, LogLevel.Error, "A scrub found that replicas differ in blocks from {Block} on ({Count})")]
    private partial void LogDiffer(long block, int count);

    [LoggerMessage(2604, LogLevel.Error, "A scrub failed and is tried again")]
    private partial void LogFailed(Exception exception);

    [LoggerMessage(2603, LogLevel.Information, "The volume has been scrubbed: {Result}")]
    private partial void LogEnded(string result);
}
