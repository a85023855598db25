namespace OpenEbs.Pools;

/// <summary>How far the drain of a node or pool has come.</summary>
[GenerateSerializer, Immutable, Alias("openebs.DrainView")]
public sealed record DrainView
{
    [Id(0)] public required DateTimeOffset Since { get; init; }

    /// <summary>Replicas there when the drain began.</summary>
    [Id(1)] public required int ReplicasAtStart { get; init; }

    /// <summary>Replicas still there, or whose files are.</summary>
    [Id(2)] public required int ReplicasLeft { get; init; }

    /// <summary>What holds it up, a sentence each; empty when nothing does.</summary>
    [Id(3)] public IReadOnlyList<string> Obstacles { get; init; } = [];
}

/// <summary>What a drain would do: nothing is done yet.</summary>
[GenerateSerializer, Immutable, Alias("openebs.DrainPlan")]
public sealed record DrainPlan
{
    /// <summary>The node or pool.</summary>
    [Id(0)] public required string Subject { get; init; }

    [Id(1)] public required IReadOnlyList<DrainMove> Moves { get; init; }

    /// <summary>Bytes to be copied.</summary>
    [Id(2)] public required long CopyBytes { get; init; }

    /// <summary>About how long that takes, if every move has somewhere to go.</summary>
    [Id(3)] public required TimeSpan Duration { get; init; }

    /// <summary>Bytes a second that each move is taken to copy at, for want of anything measured.</summary>
    [Id(4)] public required long AssumedBytesPerSecond { get; init; }

    /// <summary>Volumes that are moved at the same time.</summary>
    [Id(5)] public required int ConcurrentMoves { get; init; }
}

/// <summary>A replica that a drain would move.</summary>
[GenerateSerializer, Immutable, Alias("openebs.DrainMove")]
public sealed record DrainMove
{
    [Id(0)] public required string Volume { get; init; }
    [Id(1)] public required string Replica { get; init; }
    [Id(2)] public required string FromPool { get; init; }

    /// <summary>Where a new replica would be made; empty when there is no place, or none is needed.</summary>
    [Id(3)] public required string ToPool { get; init; }

    /// <summary>The node of that pool; empty without one.</summary>
    [Id(4)] public required string ToNode { get; init; }

    /// <summary>Bytes that the replica occupies.</summary>
    [Id(5)] public required long Bytes { get; init; }

    /// <summary>What is at risk meanwhile, a sentence each; empty when nothing is.</summary>
    [Id(6)] public IReadOnlyList<string> Risks { get; init; } = [];

    /// <summary>There is no place for it: it stays where it is until there is one.</summary>
    [Id(7)] public bool IsStuck { get; init; }
}
