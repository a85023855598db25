using System.Globalization;

namespace OpenEbs.Replication.Scrubs;

/// <summary>What a scrub of a volume has come to so far, or came to. Kept in the volume's record: it goes on where it was when the volume moves.</summary>
/// <param name="StartedAt">When it began, by the clock of the coordinator's node.</param>
/// <param name="EndedAt">When it ended; null while it goes on.</param>
/// <param name="IsAskedFor">It was asked for; else it is the one of the present period.</param>
/// <param name="CheckedBytes">Read from media, over all replicas.</param>
/// <param name="BadBlocks">Blocks that did not check.</param>
/// <param name="RepairedBlocks">Of these, rewritten from a good copy.</param>
/// <param name="DifferingBlocks">Blocks that checked everywhere and were not the same everywhere; made the same.</param>
/// <param name="RepairedStructures">Superblocks, map pages, headers and manifests that were damaged, and were written anew or are done without.</param>
/// <param name="DamagedReplicas">Replicas with damage that only a rebuild mends.</param>
/// <param name="UnsettledPieces">Pieces of 256 KiB that were not checked on some replica, or in which replicas differ and were not made equal, since one did not answer in time: the next scrub looks again.</param>
public sealed record ScrubTally(
    DateTimeOffset StartedAt, DateTimeOffset? EndedAt = null, bool IsAskedFor = false, long CheckedBytes = 0, long BadBlocks = 0, long RepairedBlocks = 0, long DifferingBlocks = 0, long RepairedStructures = 0,
    long DamagedReplicas = 0, long UnsettledPieces = 0)
{
    /// <summary>Nothing was damaged, and nothing differed.</summary>
    public bool IsClean => BadBlocks == 0 && DifferingBlocks == 0 && RepairedStructures == 0 && DamagedReplicas == 0 && UnsettledPieces == 0;

    /// <summary>For people.</summary>
    public override string ToString() => IsClean
        ? string.Create(CultureInfo.InvariantCulture, $"{CheckedBytes} bytes read from media, nothing found")
        : string.Create(
            CultureInfo.InvariantCulture,
            $"{CheckedBytes} bytes read from media; {BadBlocks} bad block(s), {RepairedBlocks} rewritten; {DifferingBlocks} differing block(s) made equal; {RepairedStructures} damaged structure(s) put right; {DamagedReplicas} replica(s) to be rebuilt{(UnsettledPieces > 0 ? $"; {UnsettledPieces} piece(s) of 256 KiB left to the next scrub, since a replica did not answer" : "")}");
}
