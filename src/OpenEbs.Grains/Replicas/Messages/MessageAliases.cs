using OpenEbs.Replication.Replicas;
using Orleans.Serialization.Configuration;

namespace OpenEbs.Grains.Replicas.Messages;

/// <summary>Names on the wire of messages whose types do not know Orleans. Never change them.</summary>
internal static class MessageAliases
{
    public static readonly IReadOnlyDictionary<string, Type> All = new Dictionary<string, Type>
    {
        ["openebs.AppendRequest"] = typeof(AppendRequest),
        ["openebs.AppendReply"] = typeof(AppendReply),
        ["openebs.ReadReply"] = typeof(ReadReply),
        ["openebs.CheckReply"] = typeof(CheckReply),
        ["openebs.DigestReply"] = typeof(DigestReply),
        ["openebs.BlocksReply"] = typeof(BlocksReply),
        ["openebs.StoreScrubReply"] = typeof(StoreScrubReply),
        ["openebs.LogReply"] = typeof(LogReply),
        ["openebs.OpenRequest"] = typeof(OpenRequest),
        ["openebs.OpenReply"] = typeof(OpenReply),
        ["openebs.RebuildRequest"] = typeof(RebuildRequest),
        ["openebs.RebuildReply"] = typeof(RebuildReply),
        ["openebs.ChangedReply"] = typeof(ChangedReply),
        ["openebs.ReplicaInspection"] = typeof(ReplicaInspection),
        ["openebs.AllocatedReply"] = typeof(AllocatedReply),
    };

    public static void Register(TypeManifestOptions manifest)
    {
        foreach (var (alias, type) in All) manifest.WellKnownTypeAliases[alias] = type;
    }
}
