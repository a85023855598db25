using OpenEbs.Storage.Store;

namespace OpenEbs.Simulation.Histories;

/// <summary>P5: whether a range of sectors, read in one command or found after a crash, shows a write whole or not at all.</summary>
public sealed class AtomicityCheck
{
    private readonly Dictionary<long, VolumeCommand> _writes;
    private readonly VolumeCommand[] _zeroes;
    private readonly Dictionary<long, (LogPosition First, LogPosition Last)> _places = [];

    public AtomicityCheck(IReadOnlyList<VolumeCommand> commands, VolumeOrder order)
    {
        _writes = commands.Where(command => command.WriteId != 0).ToDictionary(command => command.WriteId);
        _zeroes = [.. commands.Where(command => command.Kind == CommandKind.WriteZeroes)];
        foreach (var (writeId, position) in order.Places)
        {
            _places[writeId] = _places.TryGetValue(writeId, out var known)
                ? (position < known.First ? position : known.First, position > known.Last ? position : known.Last)
                : (position, position);
        }
    }

    /// <param name="where">For the message.</param>
    /// <param name="firstSector">The first sector of <paramref name="found"/>.</param>
    /// <param name="found">Who wrote each sector.</param>
    /// <exception cref="PromiseBrokenException">A write shows in part.</exception>
    public void Check(string where, long firstSector, long[] found)
    {
        foreach (var id in found.Where(id => id > 0).Distinct())
        {
            if (!_writes.TryGetValue(id, out var write)) throw new PromiseBrokenException(Promise.ReadsSeeLastWrite, $"{where} shows write {id}, which nobody issued.");
            var begin = Math.Max(firstSector, write.FirstSector);
            var end = Math.Min(firstSector + found.Length, write.EndSector);
            for (var sector = begin; sector < end; sector++)
            {
                var other = found[sector - firstSector];
                if (other == id || !IsOlder(other, write, sector)) continue;
                throw new PromiseBrokenException(Promise.WritesAreAtomic, $"{where} shows a part of {write}, and in sector {sector} still {(other == 0 ? "zeros" : $"{_writes[other]} at {_places[other]}, the other at {_places[id]}")}.");
            }
        }
    }

    /// <summary>Whether finding <paramref name="other"/> in a sector proves that <paramref name="write"/> did not reach it.</summary>
    private bool IsOlder(long other, VolumeCommand write, long sector)
    {
        if (other == SectorStamp.Zero) return !_zeroes.Any(zero => zero.FirstSector <= sector && sector < zero.EndSector && zero.CompletedAt > write.InvokedAt);
        return _places.TryGetValue(other, out var theirs) && _places.TryGetValue(write.WriteId, out var ours) && theirs.Last < ours.First;
    }
}
