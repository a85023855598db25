using Orleans.Placement;
using Orleans.Runtime;
using Orleans.Runtime.Placement;

namespace OpenEbs.Grains.Volumes;

/// <summary>Where the placement hint says (the silo of the gateway that asks), else on the calling silo, else on any; never on a silo that is going down or drained, if there is another.</summary>
[GenerateSerializer, Immutable, SuppressReferenceTracking, Alias("openebs.VolumePlacement")]
internal sealed class VolumePlacement : PlacementStrategy
{
    public static readonly VolumePlacement Instance = new();
}

[AttributeUsage(AttributeTargets.Class)]
internal sealed class VolumePlacementAttribute() : PlacementAttribute(VolumePlacement.Instance);

internal sealed class VolumePlacementDirector(LocalVolumes volumes) : IPlacementDirector
{
    public Task<SiloAddress> OnAddActivation(PlacementStrategy strategy, PlacementTarget target, IPlacementContext context)
    {
        var silos = context.GetCompatibleSilos(target);
        var staying = Array.FindAll(silos, silo => !volumes.IsLeaving(silo));
        if (staying.Length > 0) silos = staying;
        if (IPlacementDirector.GetPlacementHint(target.RequestContextData, silos) is { } hint) return Task.FromResult(hint);
        if (silos.Contains(context.LocalSilo)) return Task.FromResult(context.LocalSilo);
        if (silos.Length == 0) throw new SiloUnavailableException("No running node can host volumes.");
        return Task.FromResult(silos[(int)(target.GrainIdentity.GetUniformHashCode() % silos.Length)]);
    }
}
