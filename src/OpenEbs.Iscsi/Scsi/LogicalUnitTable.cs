using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Iscsi.Scsi.Reservations;

namespace OpenEbs.Iscsi.Scsi;

/// <summary>The logical units that have sessions through this portal.</summary>
/// <param name="targetPort">Relative target port identifier of the portal.</param>
/// <param name="directory">The world around.</param>
internal sealed class LogicalUnitTable(int targetPort, IUnitDirectory directory)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, LogicalUnit> _units = new(StringComparer.Ordinal);

    public Nexus Join(string targetName, string initiatorName, ulong isid, ILogicalUnitStore store)
    {
        lock (_gate)
        {
            if (!_units.TryGetValue(targetName, out var unit)) _units[targetName] = unit = new LogicalUnit(targetName, targetPort, directory);
            var nexus = new Nexus(unit, store, new NexusId(initiatorName, isid, targetPort));
            unit.Join(nexus);
            return nexus;
        }
    }

    public void Leave(Nexus nexus)
    {
        lock (_gate)
        {
            if (nexus.Unit.Leave(nexus)) _units.Remove(nexus.Unit.TargetName);
        }
    }
}
