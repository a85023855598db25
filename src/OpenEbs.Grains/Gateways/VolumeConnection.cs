using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using OpenEbs.Buffers;
using OpenEbs.Volumes;

namespace OpenEbs.Grains.Gateways;

/// <summary>A gateway's way to one volume: grain calls that outlive the volume grain's activation. A command whose call fails because its silo is gone, or whose activation was fenced, is held
/// and sent again until the volume's ioTimeout has passed, in an order that never lets old data come back (see <see cref="CommandOrder"/>). All calls may run concurrently.</summary>
/// <remarks>Commands answer with an <see cref="IoReply"/> and do not throw, except <see cref="OperationCanceledException"/>. A command that is cancelled while its call is under way ends at once;
/// the call keeps the command's place, so that nothing that overlaps it is sent before it has ended (<see cref="PendingCall"/>). Buffers handed in remain the caller's; the data of a reply is the caller's to release.</remarks>
public sealed partial class VolumeConnection
{
    private readonly IVolumeGrain _volume;
    private readonly VolumeAttaching _attaching;
    private readonly CommandOrder _order = new();
    private readonly Action<Exception> _onCallFailed;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Lock _lock = new();
    private Task<AttachOutcome>? _recovery;
    private VolumeAttachment _attachment;
    private long _reportedLossCount;

    internal VolumeConnection(IVolumeGrain volume, VolumeAttaching attaching, VolumeAttachment attachment, TimeProvider time, ILogger logger)
    {
        _volume = volume;
        _attaching = attaching;
        _attachment = attachment;
        _reportedLossCount = attachment.DataLossCount;
        _time = time;
        _logger = logger;
        _onCallFailed = failure => LogCommandHeld(Name, failure.Message);
    }

    public string Name => _attachment.Name;

    /// <summary>What is known of the volume now: size and data-loss count may change at any time.</summary>
    public VolumeAttachment Attachment => Volatile.Read(ref _attachment);

    /// <summary>Whether initiators use the volume here.</summary>
    internal bool HasSessions { get; set; }

    /// <summary>Raised after <see cref="Attachment"/> changed, on any thread.</summary>
    public event Action<VolumeAttachment>? AttachmentChanged;

    /// <summary>What the volume's gateways share. Data calls that bear its version are refused with <see cref="IoStatus.Outdated"/> when it is no longer the present one, and it is refreshed.</summary>
    public SharedUnitLink Unit => field ??= new SharedUnitLink(this, _volume, _attaching.Options, _time);

    public ValueTask<IoReply> ReadAsync(long offsetBytes, int lengthBytes, long unitVersion = 0, CancellationToken cancellationToken = default) =>
        RunAsync(new VolumeCommand(VolumeCommandKind.Read, offsetBytes, lengthBytes, UnitVersion: unitVersion), cancellationToken);

    /// <summary>Writes all of <paramref name="data"/> (its Length). A retry after an unknown outcome is harmless.</summary>
    public ValueTask<IoReply> WriteAsync(long offsetBytes, IoBuffer data, IoFlags flags, long unitVersion = 0, CancellationToken cancellationToken = default) =>
        RunAsync(new VolumeCommand(VolumeCommandKind.Write, offsetBytes, data.Length, data, Flags: flags, UnitVersion: unitVersion), cancellationToken);

    /// <summary>Ok only when everything this connection was told is written is on stable media. After a loss of acknowledged, unflushed writes (the attachment's DataLossCount rose) one flush
    /// answers <see cref="IoStatus.MediumError"/>, as a disk does that could not write its cache.</summary>
    public ValueTask<IoReply> FlushAsync(long unitVersion = 0, CancellationToken cancellationToken = default) =>
        RunAsync(new VolumeCommand(VolumeCommandKind.Flush, UnitVersion: unitVersion), cancellationToken);

    public ValueTask<IoReply> WriteZeroesAsync(IReadOnlyList<ByteRange> ranges, IoFlags flags, long unitVersion = 0, CancellationToken cancellationToken = default)
    {
        if (ranges.Count == 0) return ValueTask.FromResult(IoReply.Done);
        var start = ranges.Min(range => range.OffsetBytes);
        var end = ranges.Max(range => range.OffsetBytes + range.LengthBytes);
        return RunAsync(new VolumeCommand(VolumeCommandKind.WriteZeroes, start, end - start, Ranges: ranges, Flags: flags, UnitVersion: unitVersion), cancellationToken);
    }

    /// <summary>Never sent twice: an unknown outcome is <see cref="IoStatus.TimedOut"/>.</summary>
    public ValueTask<IoReply> CompareAndWriteAsync(long offsetBytes, IoBuffer compareThenWrite, IoFlags flags, long unitVersion = 0, CancellationToken cancellationToken = default) =>
        RunAsync(new VolumeCommand(VolumeCommandKind.CompareAndWrite, offsetBytes, compareThenWrite.Length / 2, compareThenWrite, Flags: flags, UnitVersion: unitVersion), cancellationToken);

    /// <summary>Runs that cover the volume from <paramref name="offsetBytes"/> on; empty when the volume cannot say within its ioTimeout.</summary>
    public async ValueTask<IReadOnlyList<ProvisioningRange>> GetProvisioningStatusAsync(long offsetBytes, int maxRanges, CancellationToken cancellationToken = default)
    {
        var started = _time.GetTimestamp();
        while (true)
        {
            try
            {
                return await _volume.GetProvisioningStatusAsync(offsetBytes, maxRanges);
            }
            catch (Exception failure) when (VolumeAttaching.IsTransient(failure))
            {
                LogCommandHeld(Name, failure.Message);
            }

            if (!await RecoverAsync(started, cancellationToken)) return [];
        }
    }

    /// <summary>Brings <see cref="Attachment"/> up to the facts of this version; false when it cannot within the time.</summary>
    internal async ValueTask<bool> CatchUpAsync(long factsVersion, long started, CancellationToken cancellationToken)
    {
        while (Attachment.FactsVersion < factsVersion)
        {
            if (!await RecoverAsync(started, cancellationToken)) return false;
        }

        return true;
    }

    /// <summary>Asks the volume for its current facts, without holding anything up.</summary>
    internal void Refresh() => _ = ReattachAsync();

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<IoReply> RunAsync(VolumeCommand command, CancellationToken cancellationToken)
    {
        var started = _time.GetTimestamp();
        var turn = _order.Enter(command.OffsetBytes, command.LengthBytes, command.Writes);
        var isGivenUp = false;
        var isUnknown = false;
        try
        {
            while (_order.FindObstacle(turn) is { } obstacle) await obstacle.WaitAsync(cancellationToken);
            while (true)
            {
                if (CallTraces.IsTracing) CallTraces.Attach();
                var reply = await PendingCall.Send(command, _volume, _order, turn, _onCallFailed, cancellationToken);
                if (reply is { Status: not IoStatus.Fenced })
                {
                    if (command.Kind == VolumeCommandKind.Flush && reply.Status == IoStatus.Ok) return await BelieveFlushAsync(reply, started, cancellationToken);
                    if (reply.Status == IoStatus.Outdated)
                    {
                        if (!await Unit.RefreshAsync(Attachment.IoTimeout, cancellationToken)) return GiveUp();

                        // Sent before, it may have taken effect; now another command may come between, and it must not take effect after that one.
                        return isUnknown ? new IoReply(IoStatus.TimedOut, detail: "reservations changed while the command was held: its outcome is unknown") : reply;
                    }

                    if (reply.FactsVersion > Attachment.FactsVersion) Refresh();
                    return reply;
                }

                _order.MarkUnknown(turn);
                isUnknown = true;
                if (!command.MayRepeat) return new IoReply(IoStatus.TimedOut, detail: "the volume moved while the command was under way: its outcome is unknown");
                if (!await RecoverAsync(started, cancellationToken)) return GiveUp();
            }
        }
        catch (CommandGivenUpException)
        {
            isGivenUp = true;
            throw;
        }
        finally
        {
            if (!isGivenUp) _order.Leave(turn);
        }
    }

    /// <summary>A reply from another activation than the one attached to may hide that writes acknowledged by the old one were lost: learn the new facts before the flush is believed.</summary>
    private async ValueTask<IoReply> BelieveFlushAsync(IoReply reply, long started, CancellationToken cancellationToken)
    {
        while (Attachment.FactsVersion < reply.FactsVersion)
        {
            if (!await RecoverAsync(started, cancellationToken)) return GiveUp();
        }

        return TakeLoss() ? new IoReply(IoStatus.MediumError, detail: "writes that were acknowledged but not yet flushed were lost when all replicas of the volume went down") : reply;
    }

    /// <summary>True once for each loss of acknowledged, unflushed writes.</summary>
    private bool TakeLoss()
    {
        var count = Attachment.DataLossCount;
        var reported = Interlocked.Read(ref _reportedLossCount);
        return count > reported && Interlocked.CompareExchange(ref _reportedLossCount, count, reported) == reported;
    }

    /// <summary>Waits until the volume can be called again; false when the command's time is over, if it has an end, or the volume is gone.</summary>
    private async ValueTask<bool> RecoverAsync(long started, CancellationToken cancellationToken)
    {
        var delay = _attaching.Options.MinRetryDelay;
        while (true)
        {
            var left = Left(started);
            if (left <= TimeSpan.Zero) return false;
            await Task.Delay(delay < left ? delay : left, _time, cancellationToken);
            try
            {
                left = Left(started);
                if (left <= TimeSpan.Zero) return false;
                var outcome = await ReattachAsync().WaitAsync(left, _time, cancellationToken);
                if (outcome == AttachOutcome.Gone) return false;
                if (outcome == AttachOutcome.Attached) return true;
            }
            catch (TimeoutException)
            {
                return false;
            }

            delay = _attaching.Options.MaxRetryDelay;
        }
    }

    /// <summary>How long a command may still wait for the volume.</summary>
    private TimeSpan Left(long started) => Attachment is { OnTimeout: not TimeoutAction.Wait } attachment ? attachment.IoTimeout - _time.GetElapsedTime(started) : TimeSpan.FromDays(1);

    /// <summary>One attempt at a time serves all commands that wait for it.</summary>
    private Task<AttachOutcome> ReattachAsync()
    {
        lock (_lock)
        {
            if (_recovery is { IsCompleted: false } running) return running;
            return _recovery = AttachOnceAsync();
        }
    }

    private async Task<AttachOutcome> AttachOnceAsync()
    {
        await Task.Yield();
        var (outcome, attachment) = await _attaching.TryAttachAsync(_volume, HasSessions);
        if (attachment is null) return outcome;
        var known = Attachment;
        if (known == attachment) return outcome;
        Volatile.Write(ref _attachment, attachment);
        if (attachment.Epoch != known.Epoch) LogReattached(Name, attachment.Epoch, known.Epoch);
        if (attachment.DataLossCount > known.DataLossCount) LogDataLost(Name, attachment.DataLossCount - known.DataLossCount);
        AttachmentChanged?.Invoke(attachment);
        return outcome;
    }

    private IoReply GiveUp() => _recovery is { IsCompletedSuccessfully: true, Result: AttachOutcome.Gone }
        ? new IoReply(IoStatus.Gone, detail: $"volume {Name} was deleted")
        : new IoReply(IoStatus.TimedOut, detail: $"volume {Name} could not be reached within its io-timeout of {Attachment.IoTimeout}");

    [LoggerMessage(1300, LogLevel.Debug, "Volume {Volume}: a command is held and will be sent again: {Reason}")]
    private partial void LogCommandHeld(string volume, string reason);

    [LoggerMessage(1301, LogLevel.Information, "Volume {Volume}: attached again, at epoch {Epoch} after {PreviousEpoch}")]
    private partial void LogReattached(string volume, long epoch, long previousEpoch);

    [LoggerMessage(1302, LogLevel.Error,
        "Volume {Volume}: writes that were acknowledged but not flushed may be lost ({Count} new event(s)): every replica's host went down before they were on stable media")]
    private partial void LogDataLost(string volume, long count);
}
