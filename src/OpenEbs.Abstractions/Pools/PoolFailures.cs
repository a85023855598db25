namespace OpenEbs.Pools;

/// <summary>No pool of that id was ever seen.</summary>
[GenerateSerializer, Alias("openebs.PoolNotFound")]
public sealed class PoolNotFoundException(string message) : Exception(message);

/// <summary>A node or pool cannot be removed: it is still running, or something is left on it. The message says what, and what to do.</summary>
[GenerateSerializer, Alias("openebs.StillNeeded")]
public sealed class StillNeededException(string message) : Exception(message);
