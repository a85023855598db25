using System.Net;
using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Nodes;
using OpenEbs.Pools;
using OpenEbs.Server.Portals;
using OpenEbs.Volumes;
using Xunit;

namespace OpenEbs.Server.Tests.Portals;

/// <summary>Which portals initiators are told of, and where they are sent.</summary>
public sealed class OtherPortalsTests
{
    private const string Initiator = "iqn.2026-01.org.example:host";

    [Theory]
    [InlineData("127.0.0.1", "10.0.0.2:3260 127.0.0.2:3260 169.254.7.7:3260")]
    [InlineData("169.254.1.1", "10.0.0.2:3260 169.254.7.7:3260")]
    [InlineData("10.0.0.9", "10.0.0.2:3260")]
    [InlineData("fd00::9", "[fd00::2]:3260")]
    [InlineData("fe80::9", "[fd00::2]:3260 [fe80::7]:3260")]
    [InlineData("::1", "[fd00::2]:3260 [fe80::7]:3260 [::1]:3260")]
    public void Within_TheReachOfTheAddressUsed_AreThoseThatItSees(string used, string expected)
    {
        string[] all = ["10.0.0.2:3260", "127.0.0.2:3260", "169.254.7.7:3260", "[fd00::2]:3260", "[fe80::7]:3260", "[::1]:3260"];
        var portals = all.Select((address, i) => new OtherPortal($"node-{i}", IPEndPoint.Parse(address), IsLeaving: false)).ToList();
        Assert.Equal(expected, string.Join(' ', OtherPortals.Within(portals, IPAddress.Parse(used)).Select(portal => portal.Address)));
    }

    [Fact]
    public void Of_TheNodes_AreOthersThatAreUpAndHaveAPortal()
    {
        NodeView[] nodes =
        [
            Node("a", "Active", "10.0.0.1:3260"), Node("b", "Active", "10.0.0.2:3260"), Node("c", "Dead", "10.0.0.3:3260"), Node("d", "Active", ""),
            Node("e", "Active", "10.0.0.5:3260") with { Availability = Availability.Drained },
        ];
        Assert.Equal([("b", false), ("e", true)], OtherPortals.Of(nodes, "a").Select(portal => (portal.Node, portal.IsLeaving)));
    }

    [Theory]

    // This portal leaves: to the coordinator's, else to any that stays; an initiator with another path comes again later.
    [InlineData(true, "b", "", "b")]
    [InlineData(true, "a", "", "b")]
    [InlineData(true, "c", "", "c")]
    [InlineData(true, "e", "", "b")]
    [InlineData(true, "b", "a", "b")]
    [InlineData(true, "b", "c", "later")]

    // It stays: only beside a volume that others keep where it is.
    [InlineData(false, "b", "", "here")]
    [InlineData(false, "b", "other@b", "b")]
    [InlineData(false, "a", "other@b", "here")]
    [InlineData(false, "b", "c", "here")]
    [InlineData(false, "e", "other@e", "here")]
    public void Route_GoesBesideTheVolume_AndNeverWhereTheInitiatorIs(bool isLeaving, string coordinator, string sessions, string expected)
    {
        OtherPortal[] portals = [Portal("b", 2, false), Portal("c", 3, false), Portal("e", 5, true)];
        var route = OtherPortals.Route(portals, Volume(coordinator, sessions), Initiator, "a", isLeaving);
        var place = route.Place switch
        {
            LoginPlace.Here => "here",
            LoginPlace.Later => "later",
            _ => portals.Single(portal => portal.Address.Equals(route.Address)).Node,
        };
        Assert.Equal(expected, place);
    }

    private static OtherPortal Portal(string node, int number, bool isLeaving) => new(node, new IPEndPoint(new IPAddress([10, 0, 0, (byte)number]), 3260), isLeaving);

    private static NodeView Node(string name, string status, string portal) => new() { Name = name, SiloAddress = name, Status = status, Portal = portal };

    /// <param name="coordinator">Where it is.</param>
    /// <param name="session">A node with a session of the initiator, or other@node; empty for none.</param>
    private static VolumeView Volume(string coordinator, string session) => new()
    {
        Name = "v",
        Uid = Guid.Empty,
        Spec = new VolumeSpec { SizeBytes = 1 << 20 },
        State = VolumeState.Healthy,
        Epoch = 1,
        Coordinator = coordinator,
        TargetName = "iqn.2016-09.com.openebs.orleans:v",
        Sessions = session.Length == 0 ? [] : [new SessionView { Initiator = session.Contains('@') ? "iqn.2026-01.org.example:other" : Initiator, Address = "", Node = session.Split('@')[^1], Since = default }],
    };
}
