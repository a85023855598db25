namespace OpenEbs.Pools;

/// <summary>What the cluster thinks of a pool for one volume.</summary>
public enum PoolVerdict
{
    /// <summary>It has a replica of the volume.</summary>
    Holding,

    /// <summary>It would get one.</summary>
    Chosen,

    /// <summary>It could have one, and others are better.</summary>
    Possible,

    /// <summary>It cannot have one.</summary>
    Refused,
}

/// <summary>Where a volume's replicas are or would be, and why.</summary>
[GenerateSerializer, Immutable, Alias("openebs.PlacementView")]
public sealed record PlacementView
{
    [Id(0)] public required string Volume { get; init; }

    /// <summary>Number of replicas that are wanted.</summary>
    [Id(1)] public required int Replicas { get; init; }

    /// <summary>Every pool: those that have a replica, that would get one, that could, and that cannot.</summary>
    [Id(2)] public required IReadOnlyList<PoolCandidateView> Candidates { get; init; }

    /// <summary>What is missing, for people; empty when nothing is.</summary>
    [Id(3)] public string Problem { get; init; } = "";
}

/// <summary>A pool as a place for a replica of one volume.</summary>
[GenerateSerializer, Immutable, Alias("openebs.PoolCandidateView")]
public sealed record PoolCandidateView
{
    [Id(0)] public required string Pool { get; init; }
    [Id(1)] public required string Node { get; init; }

    /// <summary>Empty when it is in none.</summary>
    [Id(2)] public required string Zone { get; init; }
    [Id(3)] public required PoolVerdict Verdict { get; init; }

    /// <summary>The higher the better: the sum of the parts.</summary>
    [Id(4)] public required int Score { get; init; }
    [Id(5)] public IReadOnlyList<ScorePartView> Parts { get; init; } = [];

    /// <summary>Why it cannot have a replica, a sentence each; of one that has one, what speaks against it now.</summary>
    [Id(6)] public IReadOnlyList<string> Refusals { get; init; } = [];
}

/// <summary>What adds to or takes from a pool's score.</summary>
/// <param name="Name">free, placed, replicas, node or zone.</param>
/// <param name="Points">Above zero for, below zero against.</param>
/// <param name="Reason">For people.</param>
[GenerateSerializer, Immutable, Alias("openebs.ScorePartView")]
public readonly record struct ScorePartView([property: Id(0)] string Name, [property: Id(1)] int Points, [property: Id(2)] string Reason);
