using OpenEbs.Grains.Nodes;
using OpenEbs.Nodes;
using Orleans.Runtime;

namespace OpenEbs.Grains.Cluster;

/// <summary>The nodes of the cluster as users see them: those that the membership table has and that were not removed, and those of which only the pools are known.</summary>
internal sealed class NodeRoster(Registry registry, Cordons cordons, NodeDirectory nodes)
{
    private const string Absent = "Absent";

    public IReadOnlyList<NodeView> List()
    {
        var members = nodes.List().Where(node => node.IsActive || registry.Current.RemovedNodes.GetValueOrDefault(node.Name) != node.Silo.ToParsableString()).Select(View).ToList();
        var others = registry.Current.Pools.Values.Select(pool => pool.Node).Concat(registry.Current.NodeAvailability.Keys).Distinct().Except(members.Select(node => node.Name));
        return [.. members.Concat(others.Select(AbsentNode)).OrderBy(node => node.Name, StringComparer.Ordinal)];
    }

    /// <exception cref="NodeNotFoundException">There is none.</exception>
    public NodeView Get(string name) =>
        List().FirstOrDefault(node => node.Name == name) ?? throw new NodeNotFoundException($"There is no node '{name}'. 'openebsctl node list' shows those that there are.");

    /// <exception cref="NodeNotFoundException">There is none.</exception>
    public void EnsureKnown(string name) => Get(name);

    /// <summary>Its process has not ended, as far as the cluster knows.</summary>
    public bool IsRunning(string name) => nodes.List().Any(node => node.Name == name && node.Status is not (SiloStatus.Dead or SiloStatus.None));

    private NodeView View(NodeEntry node) => new()
    {
        Name = node.Name,
        SiloAddress = node.Silo.ToParsableString(),
        Status = node.Status.ToString(),
        Roles = node.Facts?.Roles ?? [],
        Portal = node.Facts?.Portal ?? "",
        HttpAddress = node.Facts?.HttpAddress ?? "",
        Pools = node.Facts?.Pools ?? [],
        Version = node.Facts?.Version ?? "",
        Availability = cordons.OfNode(node.Name),
        Drain = cordons.DrainOfNode(node.Name),
    };

    private NodeView AbsentNode(string name) => new()
    {
        Name = name,
        SiloAddress = "",
        Status = Absent,
        Pools = [.. registry.Current.PoolsOf(name).Order(StringComparer.Ordinal)],
        Availability = cordons.OfNode(name),
        Drain = cordons.DrainOfNode(name),
    };
}
