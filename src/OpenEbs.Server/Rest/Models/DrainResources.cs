using OpenEbs.Pools;

namespace OpenEbs.Rest;

/// <summary>How far the drain of a node or pool has come.</summary>
public sealed record DrainResource
{
    /// <summary>When it began.</summary>
    public required DateTimeOffset Since { get; init; }

    /// <summary>Replicas there when it began.</summary>
    public required int ReplicasAtStart { get; init; }

    /// <summary>Replicas still there, or whose files are.</summary>
    public required int ReplicasLeft { get; init; }

    /// <summary>What holds it up, a sentence each.</summary>
    public required IReadOnlyList<string> Obstacles { get; init; }
}

/// <summary>What a drain would do.</summary>
public sealed record DrainPlanResource
{
    /// <summary>The node or pool.</summary>
    public required string Subject { get; init; }

    /// <summary>Bytes to be copied.</summary>
    public required long CopyBytes { get; init; }

    /// <summary>About how many seconds it takes, if every move has somewhere to go.</summary>
    public required double DurationSeconds { get; init; }

    /// <summary>Bytes a second at which a move is taken to copy: an assumption, nothing measured.</summary>
    public required long AssumedBytesPerSecond { get; init; }

    /// <summary>Volumes that are moved at the same time.</summary>
    public required int ConcurrentMoves { get; init; }

    /// <summary>Replicas that would go.</summary>
    public required IReadOnlyList<DrainMoveResource> Moves { get; init; }
}

/// <summary>A replica that a drain would move.</summary>
public sealed record DrainMoveResource
{
    /// <summary>The volume.</summary>
    public required string Volume { get; init; }

    /// <summary>The replica that would go.</summary>
    public required string Replica { get; init; }

    /// <summary>The pool that it is on.</summary>
    public required string FromPool { get; init; }

    /// <summary>The pool that would get one in its stead; empty when there is none, or none is needed.</summary>
    public required string ToPool { get; init; }

    /// <summary>The node of that pool.</summary>
    public required string ToNode { get; init; }

    /// <summary>Bytes that the replica occupies.</summary>
    public required long Bytes { get; init; }

    /// <summary>There is no place for it: it stays until there is one.</summary>
    public required bool IsStuck { get; init; }

    /// <summary>What is at risk meanwhile, a sentence each.</summary>
    public required IReadOnlyList<string> Risks { get; init; }
}
