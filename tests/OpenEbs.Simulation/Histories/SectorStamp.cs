using System.Runtime.InteropServices;

namespace OpenEbs.Simulation.Histories;

/// <summary>The contents of simulated writes: every sector of 512 bytes says which write made it and where it belongs, so that a sector read back names its writer exactly.</summary>
public static class SectorStamp
{
    public const int SectorBytes = 512;

    /// <summary>Reading decoded to neither zeros nor any stamp.</summary>
    public const long Corrupt = -1;

    /// <summary>Never written, or zeroed.</summary>
    public const long Zero = 0;

    private const int WordsPerSector = SectorBytes / sizeof(long);

    /// <summary>Fills whole sectors with the stamp of write <paramref name="writeId"/>.</summary>
    public static void Fill(Span<byte> data, long firstSector, long writeId)
    {
        var words = MemoryMarshal.Cast<byte, long>(data);
        for (var sector = 0; sector * WordsPerSector < words.Length; sector++)
        {
            var target = words.Slice(sector * WordsPerSector, WordsPerSector);
            target.Fill(writeId);
            if (writeId == Zero) continue;
            target[1] = target[^1] = firstSector + sector;
        }
    }

    /// <summary>The same for a mixture of writes: one id per sector.</summary>
    public static void Fill(Span<byte> data, long firstSector, ReadOnlySpan<long> writeIds)
    {
        for (var i = 0; i < writeIds.Length; i++) Fill(data.Slice(i * SectorBytes, SectorBytes), firstSector + i, writeIds[i]);
    }

    /// <summary>Who wrote the sector: a write's id, <see cref="Zero"/> or <see cref="Corrupt"/>.</summary>
    public static long Decode(ReadOnlySpan<byte> data, long sector)
    {
        var words = MemoryMarshal.Cast<byte, long>(data[..SectorBytes]);
        var id = words[0];
        if (id == Zero) return words.ContainsAnyExcept(0) ? Corrupt : Zero;
        if (id < 0 || words[1] != sector || words[^1] != sector) return Corrupt;
        return words[2..^1].ContainsAnyExcept(id) ? Corrupt : id;
    }

    public static long[] DecodeAll(ReadOnlySpan<byte> data, long firstSector)
    {
        var stamps = new long[data.Length / SectorBytes];
        for (var i = 0; i < stamps.Length; i++) stamps[i] = Decode(data.Slice(i * SectorBytes, SectorBytes), firstSector + i);
        return stamps;
    }
}
