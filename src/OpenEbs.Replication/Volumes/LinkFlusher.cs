namespace OpenEbs.Replication.Volumes;

/// <summary>Flushes one replica, beside its operations: one request at a time, and again while something that is wanted is not durable.</summary>
internal sealed class LinkFlusher(VolumeContext context, ILinkOwner owner, ReplicaLink link)
{
    private int _life;
    private bool _running;
    private long _wanted;

    /// <summary>Time stamp of the unanswered flush; 0 when there is none.</summary>
    public long Since { get; private set; }

    /// <summary>Something wanted is not durable, and a flush now would make more durable.</summary>
    private bool IsNeeded => _wanted > link.DurableSeq && link.AckedSeq > link.DurableSeq;

    /// <summary>Makes everything up to <paramref name="seq"/> durable.</summary>
    public void Flush(long seq)
    {
        _wanted = Math.Max(_wanted, seq);
        if (link.State != LinkState.Live || _running || !IsNeeded) return;
        _running = true;
        _ = RunAsync(_life);
    }

    /// <summary>More has arrived of what is wanted.</summary>
    public void FlushMore() => Flush(_wanted);

    /// <summary>The replica went down: answers that are still to come count no more.</summary>
    public void EndLife()
    {
        _life++;
        _running = false;
        Since = 0;
    }

    private async Task RunAsync(int life)
    {
        try
        {
            // Only the first round is surely for the command that started this.
            for (var cause = ReplicaTraces.Cause; life == _life && IsNeeded && !context.IsStopped; cause = null)
            {
                using var span = ReplicaTraces.Start("replica flush", cause, link.Entry);
                var sentAt = Since = context.Now;
                var reply = await link.Channel.FlushAsync(context.Epoch, link.Incarnation, context.CommitSeq, flush: true);
                if (life != _life) return;
                Since = 0;
                link.Instruments.OnFlush(sentAt);
                link.Times.Flushes.Add(context.Now - sentAt);
                if (!link.Accept(reply, sentAt)) return;
                owner.OnProgress();
            }
        }
        catch (OperationCanceledException) when (context.IsStopped)
        {
        }
        catch (Exception e) when (life == _life)
        {
            // The next request for a flush tries again; a replica that keeps failing goes down by its appends or by the watch.
            if (link.NoteFailure(e.Message)) _ = RetryAsync(life);
        }
        finally
        {
            if (life == _life)
            {
                _running = false;
                Since = 0;
            }
        }
    }

    private async Task RetryAsync(int life)
    {
        await Task.Delay(context.Options.RetryDelay, context.Time, CancellationToken.None);
        if (life == _life && !context.IsStopped) Flush(_wanted);
    }
}
