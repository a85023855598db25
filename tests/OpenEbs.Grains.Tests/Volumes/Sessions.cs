using OpenEbs.Volumes;
using Orleans.TestingHost;

namespace OpenEbs.Grains.Tests.Volumes;

internal static class Sessions
{
    public static SessionView One(InProcessSiloHandle node, string initiator = "iqn.2026-01.test:host") =>
        new() { Initiator = initiator, Address = "127.0.0.1", Node = node.Name, Since = DateTimeOffset.UnixEpoch };
}
