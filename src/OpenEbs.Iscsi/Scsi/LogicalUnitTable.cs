using OpenEbs.Iscsi.LogicalUnits;

namespace OpenEbs.Iscsi.Scsi;

/// <summary>The logical units that have sessions through this portal.</summary>
internal sealed class LogicalUnitTable(int targetPort)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, LogicalUnit> _units = new(StringComparer.Ordinal);

    public Nexus Join(string targetName, ILogicalUnitStore store)
    {
        lock (_gate)
        {
            if (!_units.TryGetValue(targetName, out var unit)) _units[targetName] = unit = new LogicalUnit(targetName, targetPort);
            var nexus = new Nexus(unit, store);
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
