namespace OpenEbs.Storage.Store;

/// <summary>What one step of a scrub of a store's own structures came to.</summary>
/// <param name="IsDone">That was the last.</param>
/// <param name="CheckedBytes">Read from media.</param>
/// <param name="Repaired">What was damaged and has been put right, or is done without from now on; a sentence each.</param>
/// <param name="Damage">What is damaged beyond repair here; the replica is to be rebuilt from others. Empty when nothing is.</param>
public sealed record StoreScrubStep(bool IsDone, long CheckedBytes, IReadOnlyList<string> Repaired, IReadOnlyList<string> Damage)
{
    public static readonly StoreScrubStep Nothing = new(true, 0, [], []);
}

/// <summary>Collects what a step found.</summary>
internal sealed class ScrubFindings
{
    public long CheckedBytes { get; set; }

    public List<string> Repaired { get; } = [];

    public List<string> Damage { get; } = [];
}
