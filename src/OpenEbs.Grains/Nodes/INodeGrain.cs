using OpenEbs.Pools;
using OpenEbs.Volumes;
using Orleans.Runtime;

namespace OpenEbs.Grains.Nodes;

/// <summary>One silo answering for its node. Key: the silo's address; never placed elsewhere. Its calls time out fast: a caller asks many of them.</summary>
[Alias("openebs.INodeGrain")]
internal interface INodeGrain : IGrainWithStringKey
{
    [Alias("GetFacts"), ResponseTimeout("00:00:02")]
    Task<NodeFacts> GetFactsAsync();

    [Alias("GetPools"), ResponseTimeout("00:00:02")]
    Task<IReadOnlyList<PoolView>> GetPoolsAsync();

    /// <summary>Which silos are being drained: volumes go elsewhere, and gateways there do not draw them back.</summary>
    [Alias("SetDraining"), ResponseTimeout("00:00:02")]
    Task SetDrainingAsync(IReadOnlyList<SiloAddress> silos);

    /// <summary>Every replica that has a directory in one of the node's pools.</summary>
    [Alias("GetReplicas"), ResponseTimeout("00:00:10")]
    Task<IReadOnlyList<StoredReplica>> GetReplicasAsync();

    /// <summary>The sessions of its gateway, of one volume or of all (null), with those that are just logging in.</summary>
    [Alias("ListSessions"), ResponseTimeout("00:00:02")]
    Task<IReadOnlyList<SessionView>> ListSessionsAsync(string? volume);

    /// <summary>Ends a session of its gateway; false when it has no such session.</summary>
    [Alias("CloseSession"), ResponseTimeout("00:00:20")]
    Task<bool> CloseSessionAsync(string id);

    /// <summary>Ends the sessions of a volume that its access rule does not allow.</summary>
    [Alias("ReviewAccess"), ResponseTimeout("00:00:20")]
    Task ReviewAccessAsync(string volume);
}

/// <summary>A replica's directory in a pool.</summary>
[GenerateSerializer, Immutable, Alias("openebs.StoredReplica")]
internal sealed record StoredReplica([property: Id(0)] string Pool, [property: Id(1)] string Id);

internal static class NodeGrains
{
    public static INodeGrain GetNode(this IGrainFactory grains, SiloAddress silo) => grains.GetGrain<INodeGrain>(silo.ToParsableString());
}
