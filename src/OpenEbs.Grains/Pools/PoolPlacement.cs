using OpenEbs.Grains.Nodes;
using Orleans.Placement;
using Orleans.Runtime;
using Orleans.Runtime.Placement;

namespace OpenEbs.Grains.Pools;

/// <summary>On the silo that owns the pool named in the grain's key ("pool/replica"), or nowhere: a replica's bytes are there and not elsewhere.</summary>
[GenerateSerializer, Immutable, SuppressReferenceTracking, Alias("openebs.PoolPlacement")]
internal sealed class PoolPlacement : PlacementStrategy
{
    public static readonly PoolPlacement Instance = new();
}

[AttributeUsage(AttributeTargets.Class)]
internal sealed class PoolPlacementAttribute() : PlacementAttribute(PoolPlacement.Instance);

internal sealed class PoolPlacementDirector(NodeDirectory nodes) : IPlacementDirector
{
    public Task<SiloAddress> OnAddActivation(PlacementStrategy strategy, PlacementTarget target, IPlacementContext context)
    {
        var key = target.GrainIdentity.Key.ToString()!;
        var pool = key[..Math.Max(0, key.IndexOf('/'))];
        var node = nodes.FindPool(pool) ?? throw new SiloUnavailableException($"No running node has pool '{pool}'; replica '{key}' comes back when its node does.");
        if (!context.GetCompatibleSilos(target).Contains(node.Silo))
        {
            throw new SiloUnavailableException($"Node '{node.Name}', which has pool '{pool}', cannot host replicas now (it is joining, leaving, or of another version).");
        }

        return Task.FromResult(node.Silo);
    }
}
