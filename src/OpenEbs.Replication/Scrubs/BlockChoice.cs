namespace OpenEbs.Replication.Scrubs;

/// <summary>A replica's copy of a block whose checksum is right.</summary>
/// <param name="Digest">Of its contents.</param>
/// <param name="Seq">Of what changed it last on that replica.</param>
internal readonly record struct BlockCopy(ReadOnlyMemory<byte> Digest, long Seq);

/// <summary>Which of several copies of a block is right, when each has the right checksum and they are not the same. No rule can be certain: a checksum says that the bytes are those that were stored, not that
/// those were the last to be stored.</summary>
/// <remarks>
/// 1. What more than half of the copies hold. 2. Else the copy that was changed last (the highest seq, which runs on across epochs): a replica that missed a write, or the copy of one, has the lower. (What a
/// rebuild copied has a seq at or above the source's: so this finds a block that was not copied, and not one that was copied wrongly.) 3. Else that of the replica from which the volume is read: what users have
/// seen so far stays.
/// </remarks>
internal static class BlockChoice
{
    /// <param name="copies">At least one; first that of the replica from which the volume is read.</param>
    /// <returns>The right one, and by which rule.</returns>
    public static (int Index, string Rule) Choose(IReadOnlyList<BlockCopy> copies)
    {
        for (var i = 0; i < copies.Count; i++)
        {
            var same = 0;
            foreach (var copy in copies) same += copy.Digest.Span.SequenceEqual(copies[i].Digest.Span) ? 1 : 0;
            if (same * 2 > copies.Count) return (i, $"{same} of {copies.Count} replicas agree");
        }

        var newest = 0;
        for (var i = 1; i < copies.Count; i++)
        {
            if (copies[i].Seq > copies[newest].Seq) newest = i;
        }

        // Several may be equally new, and differ.
        for (var i = 0; i < copies.Count; i++)
        {
            if (i != newest && copies[i].Seq == copies[newest].Seq && !copies[i].Digest.Span.SequenceEqual(copies[newest].Digest.Span)) return (newest, "the volume is read from it");
        }

        return (newest, "it was changed last");
    }
}
