using System.Net;
using System.Net.Sockets;
using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Nodes;
using OpenEbs.Pools;
using OpenEbs.Volumes;

namespace OpenEbs.Server.Portals;

/// <summary>Another node's portal.</summary>
/// <param name="Node">The node's name.</param>
/// <param name="Address">As it announces itself.</param>
/// <param name="IsLeaving">The node is drained: its sessions are sent away.</param>
internal sealed record OtherPortal(string Node, IPEndPoint Address, bool IsLeaving);

/// <summary>Which other portals an initiator is told of, and to which it is sent.</summary>
internal static class OtherPortals
{
    /// <summary>Those of the nodes that are up.</summary>
    public static IReadOnlyList<OtherPortal> Of(IEnumerable<NodeView> nodes, string self)
    {
        var portals = new List<OtherPortal>();
        foreach (var node in nodes.Where(node => node.Status == nameof(SiloStatus.Active) && node.Name != self))
        {
            if (IPEndPoint.TryParse(node.Portal, out var address)) portals.Add(new OtherPortal(node.Name, address, node.Availability is Availability.Draining or Availability.Drained));
        }

        return portals;
    }

    /// <summary>Those that an initiator can be expected to reach which came to <paramref name="used"/>: of the same address family; on a loopback or link-local address only if it used such a one
    /// itself. (Its way to others is not known; it finds out which of them answer.)</summary>
    public static IReadOnlyList<OtherPortal> Within(IReadOnlyList<OtherPortal> portals, IPAddress used) =>
        [.. portals.Where(portal => portal.Address.AddressFamily == used.AddressFamily && Scope(portal.Address.Address) <= Scope(used))];

    /// <summary>Where a login to a volume is served. An initiator that has a session with it through another portal has its second path already: it is not sent there again, where the same
    /// initiator port would replace its session (RFC 7143 §6.3.5).</summary>
    /// <param name="portals">Those within its reach.</param>
    /// <param name="volume">The volume.</param>
    /// <param name="initiator">Its name.</param>
    /// <param name="self">This node.</param>
    /// <param name="isLeaving">This portal sends its sessions away.</param>
    public static LoginRoute Route(IReadOnlyList<OtherPortal> portals, VolumeView volume, string initiator, string self, bool isLeaving)
    {
        var stays = new LoginRoute(isLeaving ? LoginPlace.Later : LoginPlace.Here);
        if (volume.Sessions.Any(session => session.Node != self && string.Equals(session.Initiator, initiator, StringComparison.OrdinalIgnoreCase))) return stays;
        var candidates = portals.Where(portal => !portal.IsLeaving).ToList();
        var beside = candidates.Find(portal => portal.Node == volume.Coordinator);

        // Without sessions elsewhere the volume comes here by itself.
        if (!isLeaving) return beside is not null && volume.Sessions.Any(session => session.Node != self) ? new LoginRoute(LoginPlace.Elsewhere, beside.Address) : stays;
        var next = beside ?? candidates.FirstOrDefault();
        return next is null ? stays : new LoginRoute(LoginPlace.Elsewhere, next.Address);
    }

    /// <summary>How far an address is from being reachable by everybody.</summary>
    private static int Scope(IPAddress address)
    {
        if (IPAddress.IsLoopback(address)) return 2;
        var isLinkLocal = address.AddressFamily == AddressFamily.InterNetworkV6 ? address.IsIPv6LinkLocal : address.GetAddressBytes() is [169, 254, ..];
        return isLinkLocal ? 1 : 0;
    }
}
