using System.Net;

namespace OpenEbs.Iscsi.Portals;

/// <summary>A normal session as the portal shows it.</summary>
/// <param name="TargetName">The target's iSCSI name.</param>
/// <param name="InitiatorName">The initiator's iSCSI name.</param>
/// <param name="InitiatorAddress">Where its connection comes from.</param>
/// <param name="Since">When it logged in.</param>
/// <param name="CommandsInFlight">SCSI commands that have not been answered.</param>
public sealed record PortalSession(string TargetName, string InitiatorName, IPEndPoint InitiatorAddress, DateTimeOffset Since, int CommandsInFlight)
{
    /// <summary>Names the session among all of the cluster.</summary>
    public required string Id { get; init; }

    /// <summary>Name of the credential by which the initiator was authenticated; empty without.</summary>
    public required string Credential { get; init; }

    /// <summary>Still logging in: it was not attached to its target yet, and may not be.</summary>
    public required bool IsPending { get; init; }

    public bool HeaderDigest { get; init; }

    public bool DataDigest { get; init; }

    /// <summary>Bytes of SCSI data sent to the initiator.</summary>
    public long ReadBytes { get; init; }

    /// <summary>Bytes of SCSI data taken from the initiator.</summary>
    public long WrittenBytes { get; init; }

    /// <summary>SCSI commands received.</summary>
    public long CommandCount { get; init; }

    /// <summary>When the last SCSI command came; null before the first.</summary>
    public DateTimeOffset? LastCommandAt { get; init; }
}
