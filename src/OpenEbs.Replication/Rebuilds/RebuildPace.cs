using OpenEbs.Replication.Volumes;

namespace OpenEbs.Replication.Rebuilds;

/// <summary>How fast the replicas of one volume are rebuilt, all together: no faster than the volume's limit, and less while its users feel it (<see cref="RebuildPressure"/>).</summary>
internal sealed class RebuildPace(VolumeContext context)
{
    /// <summary>What may be copied in one go when the limit has not been used for a while.</summary>
    private static readonly TimeSpan Burst = TimeSpan.FromMilliseconds(100);

    private readonly RebuildPressure _pressure = new(context.Time.TimestampFrequency, context.Options.CopyWindowBytes);
    private int _copying;
    private long _paidUntil;

    /// <summary>What one rebuild may have under way.</summary>
    public long WindowBytes => _pressure.WindowBytes;

    /// <summary>Bytes a second at most; 0 for no limit.</summary>
    public long LimitBytesPerSecond => context.Keeper.Record?.RebuildLimitBytesPerSecond ?? context.Options.RebuildLimitBytesPerSecond;

    /// <summary>Pieces are no larger: while users wait each is small, lest they wait for it.</summary>
    public int PieceBytes => (int)Math.Min(context.Options.CopyBytes, Math.Max(_pressure.WindowBytes, RebuildPressure.MinWindowBytes));

    /// <summary>An I/O of a user has ended that was given at <paramref name="startedAt"/>.</summary>
    public void OnClientIo(long startedAt)
    {
        var now = context.Now;
        _pressure.Sample(now, now - startedAt);
    }

    /// <summary>A rebuild has something under way.</summary>
    public void BeginCopying()
    {
        if (_copying++ == 0) _pressure.SetCopying(context.Now, true);
    }

    /// <summary>It has nothing under way now.</summary>
    public void EndCopying()
    {
        if (--_copying == 0) _pressure.SetCopying(context.Now, false);
    }

    /// <summary>How long to wait before so many bytes more may be copied; they are then counted.</summary>
    /// <param name="bytes">How many.</param>
    /// <param name="isQuiet">Nothing may be under way during the wait.</param>
    public TimeSpan Admit(long bytes, out bool isQuiet)
    {
        var probe = _pressure.Decide(context.Now);
        isQuiet = probe > TimeSpan.Zero || _pressure.Rest > TimeSpan.Zero;
        var wait = probe > _pressure.Rest ? probe : _pressure.Rest;
        if (LimitBytesPerSecond is not (> 0 and var limit)) return wait;
        var now = context.Now;
        _paidUntil = Math.Max(_paidUntil, now - context.Ticks(Burst));
        var due = TimeSpan.FromSeconds((_paidUntil - now) / (double)context.Time.TimestampFrequency);
        _paidUntil += context.Ticks(TimeSpan.FromSeconds(bytes / (double)limit));
        return due > wait ? due : wait;
    }
}
