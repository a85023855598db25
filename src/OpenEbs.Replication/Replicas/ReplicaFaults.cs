namespace OpenEbs.Replication.Replicas;

/// <summary>Deliberate breakages of a replica session, for the test that proves that the simulation's checker catches them. Never set in production.</summary>
internal sealed record ReplicaFaults
{
    public static readonly ReplicaFaults None = new();

    /// <summary>Accepts callers of any epoch.</summary>
    public bool SkipEpochCheck { get; init; }
}
