using OpenEbs.Grains.Access;
using OpenEbs.Iscsi.Portals;
using OpenEbs.Server.Configuration;
using OpenEbs.Volumes;

namespace OpenEbs.Server.Portals;

/// <summary>The portal's sessions as the cluster sees them.</summary>
internal sealed class PortalSessions(IscsiPortal portal, NodeOptions options) : IGatewaySessions
{
    public IReadOnlyList<SessionView> List() => [.. portal.Sessions.Select(session => new SessionView
    {
        Initiator = session.InitiatorName,
        Address = session.InitiatorAddress.ToString(),
        Node = options.NodeName,
        Since = session.Since,
        Id = session.Id,
        Volume = VolumeCatalog.VolumeOf(session.TargetName) ?? "",
        Credential = session.Credential,
        HeaderDigest = session.HeaderDigest,
        DataDigest = session.DataDigest,
        IsPending = session.IsPending,
        ReadBytes = session.ReadBytes,
        WrittenBytes = session.WrittenBytes,
        CommandCount = session.CommandCount,
        LastCommandAt = session.LastCommandAt,
    })];

    public async Task<bool> CloseAsync(string id, bool isRevoked)
    {
        try
        {
            return await portal.CloseSessionAsync(id, isRevoked);
        }
        catch (TimeoutException)
        {
            // Closed; its last commands wait for a volume that cannot serve.
            return true;
        }
    }
}
