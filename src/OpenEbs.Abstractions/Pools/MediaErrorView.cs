namespace OpenEbs.Pools;

/// <summary>Something that was found damaged on a pool's media.</summary>
/// <param name="At">When it was met first, by the clock of the pool's node.</param>
/// <param name="Replica">Whose it is.</param>
/// <param name="What">For people.</param>
[GenerateSerializer, Immutable, Alias("openebs.MediaErrorView")]
public sealed record MediaErrorView([property: Id(0)] DateTimeOffset At, [property: Id(1)] string Replica, [property: Id(2)] string What);
