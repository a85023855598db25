namespace OpenEbs.Replication.Volumes;

/// <summary>What a coordinator that is asked to end does for the one that follows: leaves it little to do, and nothing to wait for.</summary>
internal sealed class VolumeHandOver(VolumeContext context, WriteOrder order, IoGate gate)
{
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(1);

    /// <summary>Makes what was written durable, while the volume serves: what is left for the time in which I/O is held is little.</summary>
    public async Task PrepareAsync()
    {
        if (context.Faults.ReleaseEarly)
        {
            await ReleaseAsync();
            await PatientlyAsync(Task.Delay(context.Options.ClosePatience, context.Time, CancellationToken.None), context.Options.ClosePatience);
        }

        await FlushAsync(context.Options.ClosePatience);
    }

    /// <summary>Waits for the commands inside the gate to end, then for stable media once more.</summary>
    public async Task DrainAsync()
    {
        var deadline = context.Now + context.Ticks(context.Options.ClosePatience);
        while (!context.IsStopped && context.Now < deadline && (gate.InsideCount > 0 || !order.IsIdle)) await Task.Delay(Poll, context.Time, CancellationToken.None);
        await FlushAsync(context.Options.HandOverPatience);
    }

    /// <summary>Gives the leases up at the replicas, after this coordinator has ended: no read of it that a replica still carries out is answered. Whatever becomes of these messages, no harm comes of it:
    /// where none arrives the next coordinator waits for the leases to run out, if it has to.</summary>
    public Task ReleaseAsync() =>
        PatientlyAsync(Task.WhenAll(context.Links.Where(link => link.State == LinkState.Live).Select(ReleaseAsync)), context.Options.HandOverPatience);

    private async Task FlushAsync(TimeSpan patience)
    {
        if (!context.IsStopped) await PatientlyAsync(order.FlushAsync(IoDeadline.Within(context.Now, context.Ticks(patience))).AsTask(), patience);
    }

    private async Task ReleaseAsync(ReplicaLink link)
    {
        try
        {
            await link.Channel.ReleaseAsync(context.Epoch, link.Incarnation, context.CommitSeq);
        }
        catch (Exception)
        {
            // It is gone, or cannot be reached.
        }
    }

    private async Task PatientlyAsync(Task task, TimeSpan patience) => await Task.WhenAny(task, Task.Delay(patience, context.Time, CancellationToken.None));
}
