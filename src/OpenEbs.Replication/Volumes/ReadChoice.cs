namespace OpenEbs.Replication.Volumes;

/// <summary>Which replica is asked for data.</summary>
/// <remarks>A replica in this process before others, the first of several; of those elsewhere, for each part of the volume the same one. So each part lies in one page cache and not in all, and replicas from which
/// nothing is read can do without one. But none that is much slower than another.</remarks>
internal sealed class ReadChoice(VolumeContext context)
{
    /// <summary>Parts of 8 MiB.</summary>
    private const int PartBits = 11;

    /// <summary>One that is passed over for its slowness has it forgotten by this part each time, so that it is tried again in the end: one read in some hundreds or thousands.</summary>
    private const int Forgetting = 256;
    private static readonly TimeSpan SlowBy = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan SlowHereBy = TimeSpan.FromMilliseconds(5);

    /// <summary>A read of a replica took so long, or has taken so long already.</summary>
    public static void Note(ReplicaLink link, long ticks) => link.ReadTicks += (ticks - link.ReadTicks) / 8;

    /// <param name="block">The first to be read.</param>
    /// <param name="excluded">Mask of those that are not to be asked.</param>
    /// <param name="except">Another.</param>
    /// <returns>Null when there is none.</returns>
    public ReplicaLink? Choose(long block, long excluded, ReplicaLink? except)
    {
        var (here, elsewhere) = (Survey(true), Survey(false));
        if (here.Count == 0 && elsewhere.Count == 0) return null;

        // What is not known of one elsewhere counts as quick, so that it is tried.
        var isSlowHere = here.Count > 0 && elsewhere.Count > 0 && here.Quickest > (4 * elsewhere.Quickest) + context.Ticks(SlowHereBy);
        var isLocal = here.Count > 0 && !isSlowHere;
        var (count, quickest) = isLocal ? here : elsewhere;
        var turn = isLocal ? 0 : (int)((block >> PartBits) % count);
        var limit = (2 * quickest) + context.Ticks(SlowBy);
        ReplicaLink? best = null;
        foreach (var link in context.Links)
        {
            if (!MayRead(link, excluded, except)) continue;
            if (link.Channel.IsLocal != isLocal)
            {
                if (isSlowHere) link.ReadTicks -= link.ReadTicks / Forgetting;
                continue;
            }

            var isItsTurn = turn-- == 0;
            if (isItsTurn && link.ReadTicks <= limit) return link;
            if (isItsTurn) link.ReadTicks -= link.ReadTicks / Forgetting;
            if (best is null || link.ReadTicks < best.ReadTicks) best = link;
        }

        return best;

        (int Count, long Quickest) Survey(bool isLocal)
        {
            var (count, quickest) = (0, long.MaxValue);
            foreach (var link in context.Links)
            {
                if (link.Channel.IsLocal != isLocal || !MayRead(link, excluded, except)) continue;
                count++;
                quickest = Math.Min(quickest, link.ReadTicks);
            }

            return (count, quickest);
        }
    }

    private bool MayRead(ReplicaLink link, long excluded, ReplicaLink? except) => link != except && context.IsCurrent(link) && (excluded & link.Bit) == 0;
}
