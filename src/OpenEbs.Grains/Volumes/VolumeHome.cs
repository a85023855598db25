using OpenEbs.Grains.Nodes;
using OpenEbs.Replication.Volumes;
using OpenEbs.Volumes;
using Orleans.Runtime;

namespace OpenEbs.Grains.Volumes;

/// <summary>Where a volume goes when it has to leave.</summary>
internal static class VolumeHome
{
    /// <summary>A gateway that has sessions, else a node with a replica that is in sync; null when there is none that stays.</summary>
    /// <param name="nodes">The nodes.</param>
    /// <param name="leaving">Those that the volume has to leave, by name.</param>
    /// <param name="volumes">Knows which silos are going down or are drained.</param>
    /// <param name="sessions">The volume's sessions.</param>
    /// <param name="replicas">The volume's replicas; none when somebody else has said where to without sessions.</param>
    public static SiloAddress? Find(NodeDirectory nodes, IReadOnlyList<string> leaving, LocalVolumes volumes, IReadOnlyList<SessionView> sessions, IReadOnlyList<ReplicaSnapshot> replicas)
    {
        var users = sessions.Select(session => session.Node).ToHashSet();
        var home = nodes.ListActive().FirstOrDefault(node => users.Contains(node.Name) && IsStaying(node))
            ?? replicas.Where(replica => replica.Standing == ReplicaStanding.InSync).Select(replica => nodes.FindPool(replica.Pool)).FirstOrDefault(node => node is not null && IsStaying(node));
        return home?.Silo;

        bool IsStaying(NodeEntry node) => !leaving.Contains(node.Name) && !volumes.IsLeaving(node.Silo);
    }
}
