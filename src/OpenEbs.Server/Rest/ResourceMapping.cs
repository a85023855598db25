using OpenEbs.Events;
using OpenEbs.Nodes;
using OpenEbs.Pools;
using OpenEbs.Replicas;
using OpenEbs.Rest;
using OpenEbs.Volumes;

namespace OpenEbs.Server.Rest;

/// <summary>Resources of the grains' views: REST keeps its shape when those change.</summary>
internal static class ResourceMapping
{
    public static VolumeResource ToResource(this VolumeView view) => new()
    {
        Name = view.Name,
        Uid = view.Uid,
        SizeBytes = view.Spec.SizeBytes,
        ReplicaCount = view.Spec.Replicas,
        BlockLength = view.Spec.BlockLength,
        WriteCache = view.Spec.WriteCache,
        MinInSync = view.Spec.EffectiveMinInSync,
        IoTimeoutSeconds = view.Spec.IoTimeout.TotalSeconds,
        OnTimeout = view.Spec.OnTimeout,
        State = view.State,
        Reason = view.Reason,
        Epoch = view.Epoch,
        Coordinator = view.Coordinator,
        TargetName = view.TargetName,
        Portals = view.Portals,
        Seq = view.Seq,
        CommitSeq = view.CommitSeq,
        LastScrubAt = view.LastScrubAt,
        RebuildLimitBytesPerSecond = view.RebuildLimitBytesPerSecond,
        ScrubProgress = Math.Round(view.ScrubProgress, 4),
        IsScrubbing = view.IsScrubbing,
        LastScrub = view.LastScrub?.ToResource(),
        PresentScrub = view.PresentScrub?.ToResource(),
        Concern = view.Concern,
        NodeAntiAffinity = view.Spec.EffectivePlacement.Node,
        ZoneAntiAffinity = view.Spec.EffectivePlacement.Zone,
        Selector = view.Spec.EffectivePlacement.Selector,
        Locality = view.Spec.EffectivePlacement.Locality,
        Replicas = [.. view.Replicas.Select(ToResource)],
        Sessions = [.. view.Sessions.Select(session => session.ToResource())],
    };

    public static ReplicaResource ToResource(this ReplicaView view) => new()
    {
        Id = view.Id,
        Volume = view.Volume,
        Pool = view.Pool,
        Node = view.Node,
        State = view.State,
        Seq = view.Seq,
        Lag = view.Lag,
        UsedBytes = view.UsedBytes,
        WritableBytes = view.WritableBytes,
        Reason = view.Reason,
        Rebuild = view.Rebuild is { } rebuild ? rebuild.ToResource() : null,
    };

    public static ScrubResource ToResource(this ScrubView view) => new()
    {
        StartedAt = view.StartedAt,
        EndedAt = view.EndedAt,
        IsAskedFor = view.IsAskedFor,
        CheckedBytes = view.CheckedBytes,
        BadBlocks = view.BadBlocks,
        RepairedBlocks = view.RepairedBlocks,
        DifferingBlocks = view.DifferingBlocks,
        RepairedStructures = view.RepairedStructures,
        DamagedReplicas = view.DamagedReplicas,
        Summary = view.Summary,
    };

    public static RebuildResource ToResource(this RebuildView view) => new()
    {
        State = view.State,
        Reason = view.Reason,
        Source = view.Source,
        Attempt = view.Attempt,
        StartedAt = view.StartedAt,
        TotalBytes = view.TotalBytes,
        MovedBytes = view.MovedBytes,
        EqualBytes = view.EqualBytes,
        ComparedBytes = view.ComparedBytes,
        Progress = Math.Round(view.Progress, 4),
        BytesPerSecond = view.BytesPerSecond,
        RemainingSeconds = view.Remaining is { } remaining ? Math.Round(remaining.TotalSeconds, 1) : null,
    };

    public static PoolResource ToResource(this PoolView view) => new()
    {
        Id = view.Id,
        Node = view.Node,
        Path = view.Path,
        CapacityBytes = view.CapacityBytes,
        FreeBytes = view.FreeBytes,
        UsedBytes = view.Online ? view.CapacityBytes - view.FreeBytes : 0,
        Fullness = view.Fullness,
        ReplicaCount = view.Replicas,
        Online = view.Online,
        Reason = view.Reason,
        Availability = view.Availability,
        AvailabilityReason = view.AvailabilityReason,
        Labels = view.Labels,
        PlacedBytes = view.PlacedBytes,
        MediaErrorCount = view.MediaErrors.Count,
        LastMediaErrorAt = view.MediaErrors is [.., var newest] ? newest.At : null,
        LastMediaError = view.MediaErrors is [.., var last] ? $"replica {last.Replica}: {last.What}" : "",
        Suspicion = view.Suspicion,
        Drain = view.Drain?.ToResource(),
    };

    public static NodeResource ToResource(this NodeView view) => new()
    {
        Name = view.Name,
        SiloAddress = view.SiloAddress,
        Status = view.Status,
        Roles = view.Roles,
        Portal = view.Portal,
        HttpAddress = view.HttpAddress,
        Pools = view.Pools,
        Version = view.Version,
        Availability = view.Availability,
        Drain = view.Drain?.ToResource(),
    };

    public static PlacementResource ToResource(this PlacementView view) => new()
    {
        Volume = view.Volume,
        ReplicaCount = view.Replicas,
        Problem = view.Problem,
        Candidates = [.. view.Candidates.Select(candidate => new PoolCandidateResource
        {
            Pool = candidate.Pool,
            Node = candidate.Node,
            Zone = candidate.Zone,
            Verdict = candidate.Verdict,
            Score = candidate.Score,
            Parts = [.. candidate.Parts.Select(part => new ScorePartResource { Name = part.Name, Points = part.Points, Reason = part.Reason })],
            Refusals = candidate.Refusals,
        })],
    };

    public static DrainResource ToResource(this DrainView view) => new()
    {
        Since = view.Since,
        ReplicasAtStart = view.ReplicasAtStart,
        ReplicasLeft = view.ReplicasLeft,
        Obstacles = view.Obstacles,
    };

    public static DrainPlanResource ToResource(this DrainPlan plan) => new()
    {
        Subject = plan.Subject,
        CopyBytes = plan.CopyBytes,
        DurationSeconds = plan.Duration.TotalSeconds,
        AssumedBytesPerSecond = plan.AssumedBytesPerSecond,
        ConcurrentMoves = plan.ConcurrentMoves,
        Moves = [.. plan.Moves.Select(move => new DrainMoveResource
        {
            Volume = move.Volume,
            Replica = move.Replica,
            FromPool = move.FromPool,
            ToPool = move.ToPool,
            ToNode = move.ToNode,
            Bytes = move.Bytes,
            IsStuck = move.IsStuck,
            Risks = move.Risks,
        })],
    };

    public static EventResource ToResource(this EventView view) => new()
    {
        At = view.At,
        Volume = view.Volume,
        Kind = view.Kind,
        Subject = view.Subject,
        Before = view.Before,
        After = view.After,
        Cause = view.Cause,
    };

    public static VolumeSpec ToSpec(this CreateVolumeRequest request) => new()
    {
        SizeBytes = request.SizeBytes,
        Replicas = request.ReplicaCount,
        BlockLength = request.BlockLength,
        WriteCache = request.WriteCache,
        MinInSync = request.MinInSync,
        IoTimeout = Seconds(request.IoTimeoutSeconds),
        OnTimeout = request.OnTimeout,
        Placement = new PlacementPolicy { Node = request.NodeAntiAffinity, Zone = request.ZoneAntiAffinity, Selector = request.Selector, Locality = request.Locality, GatewayNode = request.GatewayNode },
    };

    /// <summary>A time span; what is no time at all becomes one that a spec refuses.</summary>
    public static TimeSpan Seconds(double seconds) => TimeSpan.FromSeconds(Math.Clamp(double.IsNaN(seconds) ? 0 : seconds, 0, 1e9));
}
