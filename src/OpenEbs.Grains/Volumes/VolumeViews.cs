using OpenEbs.Grains.Nodes;
using OpenEbs.Replicas;
using OpenEbs.Replication.Rebuilds;
using OpenEbs.Replication.Scrubs;
using OpenEbs.Replication.Volumes;
using OpenEbs.Volumes;

namespace OpenEbs.Grains.Volumes;

/// <summary>Makes views for users of what coordinators and records know.</summary>
internal static class VolumeViews
{
    public const string TargetPrefix = "iqn.2016-09.com.openebs.orleans:";

    public static VolumeView Of(string name, CoordinatorSnapshot snapshot, string coordinator, NodeDirectory nodes, IReadOnlyList<SessionView> sessions)
    {
        var record = snapshot.Record;
        var replicas = snapshot.Replicas.Select(replica => new ReplicaView
        {
            Id = replica.Id,
            Volume = name,
            Pool = replica.Pool,
            Node = nodes.FindPool(replica.Pool)?.Name ?? "",
            State = StateOf(replica.Standing),
            Seq = replica.AckedSeq,
            Lag = replica.Lag,
            UsedBytes = replica.UsedBytes,
            Reason = replica.Reason,
            WritableBytes = replica.WritableBytes,
            Rebuild = replica.Rebuild is { } rebuild ? RebuildOf(rebuild) : null,
        }).ToList();
        return new VolumeView
        {
            Name = name,
            Uid = record?.Uid ?? Guid.Empty,
            Spec = record is null ? new VolumeSpec { SizeBytes = 0 } : SpecOf(record),
            State = StateOf(snapshot.State, replicas, record?.EffectiveReplicas ?? 0),
            Epoch = record?.Epoch ?? 0,
            Coordinator = coordinator,
            TargetName = TargetPrefix + name,
            Portals = PortalsOf(nodes),
            Replicas = replicas,
            Sessions = sessions,
            Seq = snapshot.Seq,
            CommitSeq = snapshot.CommitSeq,
            Reason = snapshot.Reason,
            LastScrubAt = record?.LastScrubAt,
            RebuildLimitBytesPerSecond = record?.RebuildLimitBytesPerSecond,
            ScrubProgress = snapshot.ScrubProgress,
            IsScrubbing = snapshot.IsScrubHurried,
            LastScrub = ScrubOf(record?.LastScrub),
            PresentScrub = ScrubOf(snapshot.PresentScrub),
        };
    }

    /// <summary>A volume whose grain does not answer, from its record alone.</summary>
    public static VolumeView Of(VolumeRecord record, VolumeState state, string reason, NodeDirectory nodes) => new()
    {
        Name = record.Name,
        Uid = record.Uid,
        Spec = SpecOf(record),
        State = state,
        Epoch = record.Epoch,
        Coordinator = "",
        TargetName = TargetPrefix + record.Name,
        Portals = PortalsOf(nodes),
        Replicas =
        [
            .. record.Replicas.Select(replica => new ReplicaView
            {
                Id = replica.Id,
                Volume = record.Name,
                Pool = replica.Pool,
                Node = nodes.FindPool(replica.Pool)?.Name ?? "",
                State = StateOf(replica.Standing),
                Reason = replica.Reason,
            }),
        ],
        Reason = reason,
    };

    /// <summary>The spec as it stands, with the default of minInSync spelled out: equal specs compare equal.</summary>
    public static VolumeSpec SpecOf(VolumeRecord record) => new()
    {
        SizeBytes = record.SizeBytes,
        Replicas = record.EffectiveReplicas,
        BlockLength = record.BlockLength,
        WriteCache = record.WriteCache,
        MinInSync = record.MinInSync,
        IoTimeout = record.IoTimeout,
        OnTimeout = ActionOf(record.OnTimeout),
        Placement = PolicyOf(record),
    };

    public static VolumeAttachment AttachmentOf(VolumeRecord record, long factsVersion, bool isReadOnly) => new()
    {
        Name = record.Name,
        Uid = record.Uid,
        SizeBytes = record.SizeBytes,
        BlockLength = record.BlockLength,
        WriteCache = record.WriteCache,
        IoTimeout = record.IoTimeout,
        DataLossCount = record.DataLossCount,
        Epoch = record.Epoch,
        FactsVersion = factsVersion,
        OnTimeout = ActionOf(record.OnTimeout),
        IsReadOnly = isReadOnly,
    };

    public static TimeoutAction ActionOf(TimeoutPolicy policy) => policy switch
    {
        TimeoutPolicy.Wait => TimeoutAction.Wait,
        TimeoutPolicy.Error => TimeoutAction.Error,
        TimeoutPolicy.ReadOnly => TimeoutAction.ReadOnly,
        _ => throw new ArgumentOutOfRangeException(nameof(policy), policy, "Unknown policy."),
    };

    public static TimeoutPolicy PolicyOf(TimeoutAction action) => action switch
    {
        TimeoutAction.Wait => TimeoutPolicy.Wait,
        TimeoutAction.Error => TimeoutPolicy.Error,
        TimeoutAction.ReadOnly => TimeoutPolicy.ReadOnly,
        _ => throw new ArgumentOutOfRangeException(nameof(action), action, "Unknown policy."),
    };

    public static PlacementPolicy PolicyOf(VolumeRecord record) => record.Placement is not { } rules ? PlacementPolicy.Default : new PlacementPolicy
    {
        Node = rules.IsNodeHard ? AntiAffinity.Hard : AntiAffinity.Soft,
        Zone = rules.IsZoneHard ? AntiAffinity.Hard : AntiAffinity.Soft,
        Selector = rules.Selector,
        Locality = rules.IsLocalPreferred ? Locality.Preferred : Locality.None,
    };

    private static List<string> PortalsOf(NodeDirectory nodes) =>
        [.. nodes.ListActive().Select(node => node.Facts?.Portal ?? "").Where(portal => portal.Length > 0).Order(StringComparer.Ordinal)];

    private static ScrubView? ScrubOf(ScrubTally? tally) => tally is null ? null : new ScrubView
    {
        StartedAt = tally.StartedAt,
        EndedAt = tally.EndedAt,
        IsAskedFor = tally.IsAskedFor,
        CheckedBytes = tally.CheckedBytes,
        BadBlocks = tally.BadBlocks,
        RepairedBlocks = tally.RepairedBlocks,
        DifferingBlocks = tally.DifferingBlocks,
        RepairedStructures = tally.RepairedStructures,
        DamagedReplicas = tally.DamagedReplicas,
        Summary = tally.ToString(),
    };

    private static RebuildView RebuildOf(RebuildSnapshot rebuild) => new()
    {
        State = rebuild.Phase switch
        {
            RebuildPhase.Waiting => RebuildState.Waiting,
            RebuildPhase.Copying => RebuildState.Copying,
            RebuildPhase.Joining => RebuildState.Joining,
            RebuildPhase.Failed => RebuildState.Failed,
            _ => throw new ArgumentOutOfRangeException(nameof(rebuild), rebuild.Phase, "Unknown phase of a rebuild."),
        },
        Reason = rebuild.Reason,
        Source = rebuild.Source,
        Attempt = rebuild.Attempt,
        StartedAt = rebuild.StartedAt,
        TotalBytes = rebuild.TotalBytes,
        MovedBytes = rebuild.MovedBytes,
        EqualBytes = rebuild.EqualBytes,
        ComparedBytes = rebuild.ComparedBytes,
        Progress = rebuild.Fraction,
        BytesPerSecond = rebuild.BytesPerSecond,
        Remaining = rebuild.Remaining,
    };

    private static ReplicaState StateOf(ReplicaStanding standing) => standing switch
    {
        ReplicaStanding.InSync => ReplicaState.InSync,
        ReplicaStanding.Rebuilding => ReplicaState.Rebuilding,
        ReplicaStanding.Faulted => ReplicaState.Faulted,
        _ => throw new ArgumentOutOfRangeException(nameof(standing), standing, "Unknown standing of a replica."),
    };

    private static VolumeState StateOf(CoordinatorState state, List<ReplicaView> replicas, int wanted) => state switch
    {
        CoordinatorState.Opening or CoordinatorState.Closing or CoordinatorState.Fenced => VolumeState.Opening,
        CoordinatorState.Serving => replicas.Count(replica => replica.State == ReplicaState.InSync) >= wanted ? VolumeState.Healthy : VolumeState.Degraded,
        CoordinatorState.Frozen => VolumeState.Frozen,
        CoordinatorState.Gone => VolumeState.Deleting,
        _ => throw new ArgumentOutOfRangeException(nameof(state), state, "Unknown state of a coordinator."),
    };
}
