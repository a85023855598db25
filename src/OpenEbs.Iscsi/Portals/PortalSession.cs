using System.Net;

namespace OpenEbs.Iscsi.Portals;

/// <summary>A normal session as the portal shows it.</summary>
/// <param name="TargetName">The target's iSCSI name.</param>
/// <param name="InitiatorName">The initiator's iSCSI name.</param>
/// <param name="InitiatorAddress">Where its connection comes from.</param>
/// <param name="Since">When it logged in.</param>
/// <param name="CommandsInFlight">SCSI commands that have not been answered.</param>
public sealed record PortalSession(string TargetName, string InitiatorName, IPEndPoint InitiatorAddress, DateTimeOffset Since, int CommandsInFlight);
