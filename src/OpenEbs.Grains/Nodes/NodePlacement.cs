using Orleans.Placement;
using Orleans.Runtime;
using Orleans.Runtime.Placement;

namespace OpenEbs.Grains.Nodes;

/// <summary>On the silo whose address is the grain's key, or nowhere.</summary>
[GenerateSerializer, Immutable, SuppressReferenceTracking, Alias("openebs.NodePlacement")]
internal sealed class NodePlacement : PlacementStrategy
{
    public static readonly NodePlacement Instance = new();
}

[AttributeUsage(AttributeTargets.Class)]
internal sealed class NodePlacementAttribute() : PlacementAttribute(NodePlacement.Instance);

internal sealed class NodePlacementDirector : IPlacementDirector
{
    public Task<SiloAddress> OnAddActivation(PlacementStrategy strategy, PlacementTarget target, IPlacementContext context)
    {
        var key = target.GrainIdentity.Key.ToString();
        foreach (var silo in context.GetCompatibleSilos(target))
        {
            if (silo.ToParsableString() == key) return Task.FromResult(silo);
        }

        throw new SiloUnavailableException($"Silo {key} is not running.");
    }
}
