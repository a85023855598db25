using OpenEbs.Iscsi.Scsi.Sense;

namespace OpenEbs.Iscsi.Scsi;

/// <summary>A logical unit as one portal shows it: what all its initiators share. Mode parameters have the policy "per target port"
/// (mode page policy VPD page, SPC-4 §7.8.9), since a volume's gateways do not share them.</summary>
internal sealed class LogicalUnit(string targetName, int targetPort)
{
    private readonly Lock _gate = new();
    private readonly List<Nexus> _nexuses = [];
    private volatile bool _descriptorSense;

    /// <summary>The iSCSI name of the target, lower case.</summary>
    public string TargetName { get; } = targetName;

    /// <summary>Relative target port identifier and target portal group tag of the portal.</summary>
    public int TargetPort { get; } = targetPort;

    /// <summary>D_SENSE of the control mode page.</summary>
    public bool DescriptorSense => _descriptorSense;

    public void Join(Nexus nexus)
    {
        lock (_gate) _nexuses.Add(nexus);
    }

    /// <summary>Forgets a nexus; true when it was the last.</summary>
    public bool Leave(Nexus nexus)
    {
        lock (_gate)
        {
            _nexuses.Remove(nexus);
            return _nexuses.Count == 0;
        }
    }

    /// <summary>Sets D_SENSE; the other initiators get MODE PARAMETERS CHANGED (SPC-4 §5.8).</summary>
    public void SetDescriptorSense(bool value, Nexus changedBy)
    {
        if (_descriptorSense == value) return;
        _descriptorSense = value;
        Announce(AdditionalSense.ModeParametersChanged, changedBy);
    }

    /// <summary>A logical unit reset: mode parameters return to their defaults, every initiator is told (SAM-5 §6.3.3).</summary>
    public void ResetState(AdditionalSense announcement)
    {
        _descriptorSense = false;
        Announce(announcement, except: null);
    }

    private void Announce(AdditionalSense code, Nexus? except)
    {
        lock (_gate)
        {
            foreach (var nexus in _nexuses)
            {
                if (nexus != except) nexus.UnitAttentions.Establish(code);
            }
        }
    }
}
