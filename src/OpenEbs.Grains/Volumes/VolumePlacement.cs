using Orleans.Placement;
using Orleans.Runtime;
using Orleans.Runtime.Placement;

namespace OpenEbs.Grains.Volumes;

/// <summary>Where the placement hint says (the silo of the gateway that asks), else on the calling silo, else on any; never on a silo that is going down.</summary>
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
        if (volumes.IsStopping && silos.Length > 1) silos = [.. silos.Where(silo => !silo.Equals(context.LocalSilo))];
        if (IPlacementDirector.GetPlacementHint(target.RequestContextData, silos) is { } hint) return Task.FromResult(hint);
        if (silos.Contains(context.LocalSilo)) return Task.FromResult(context.LocalSilo);
        if (silos.Length == 0) throw new SiloUnavailableException("No running node can host volumes.");
        return Task.FromResult(silos[(int)(target.GrainIdentity.GetUniformHashCode() % silos.Length)]);
    }
}
