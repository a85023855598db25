using OpenEbs.Pools;

namespace OpenEbs.Rest;

/// <summary>Where a volume's replicas are or would be, and why.</summary>
public sealed record PlacementResource
{
    /// <summary>The volume.</summary>
    public required string Volume { get; init; }

    /// <summary>Number of replicas that are wanted.</summary>
    public required int ReplicaCount { get; init; }

    /// <summary>What is missing; empty when every replica has a place.</summary>
    public required string Problem { get; init; }

    /// <summary>Every pool.</summary>
    public required IReadOnlyList<PoolCandidateResource> Candidates { get; init; }
}

/// <summary>A pool as a place for a replica of one volume.</summary>
public sealed record PoolCandidateResource
{
    /// <summary>The pool.</summary>
    public required string Pool { get; init; }

    /// <summary>Its node.</summary>
    public required string Node { get; init; }

    /// <summary>Its zone; empty when it is in none.</summary>
    public required string Zone { get; init; }

    /// <summary>Holding (it has a replica), Chosen (it would get one), Possible (others are better) or Refused.</summary>
    public required PoolVerdict Verdict { get; init; }

    /// <summary>The higher the better: the sum of the parts.</summary>
    public required int Score { get; init; }

    /// <summary>What the score is made of.</summary>
    public required IReadOnlyList<ScorePartResource> Parts { get; init; }

    /// <summary>Why it cannot have a replica, a sentence each; of one that holds one, what speaks against it now.</summary>
    public required IReadOnlyList<string> Refusals { get; init; }
}

/// <summary>What adds to or takes from a pool's score.</summary>
public sealed record ScorePartResource
{
    /// <summary>free, placed, replicas, node or zone.</summary>
    public required string Name { get; init; }

    /// <summary>Above zero for, below zero against.</summary>
    public required int Points { get; init; }

    /// <summary>Why.</summary>
    public required string Reason { get; init; }
}
