using OpenEbs.Pools;
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
}

internal static class NodeGrains
{
    public static INodeGrain GetNode(this IGrainFactory grains, SiloAddress silo) => grains.GetGrain<INodeGrain>(silo.ToParsableString());
}
