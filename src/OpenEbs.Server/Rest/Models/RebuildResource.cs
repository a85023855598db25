using OpenEbs.Replicas;

namespace OpenEbs.Rest;

/// <summary>The rebuild of a replica, under way or between two attempts. Bytes are of the volume's data.</summary>
public sealed record RebuildResource
{
    /// <summary>Waiting (for other rebuilds on the coordinator's node), Copying, Joining, or Failed (the replica's reason says why, and when it is tried again).</summary>
    public required RebuildState State { get; init; }

    /// <summary>Why the replica is rebuilt.</summary>
    public required string Reason { get; init; }

    /// <summary>Ids of the replicas that data is read from; empty before the first read.</summary>
    public required string Source { get; init; }

    /// <summary>1 for the first attempt of the present coordinator.</summary>
    public required int Attempt { get; init; }

    /// <summary>When this attempt began.</summary>
    public required DateTimeOffset StartedAt { get; init; }

    /// <summary>What had changed on the source when it began; on large volumes an estimate.</summary>
    public required long TotalBytes { get; init; }

    /// <summary>Read from a source and sent to the replica.</summary>
    public required long MovedBytes { get; init; }

    /// <summary>Changed, but equal on the replica already: not moved.</summary>
    public required long EqualBytes { get; init; }

    /// <summary>Compared by digest before it was decided whether to move it.</summary>
    public required long ComparedBytes { get; init; }

    /// <summary>How much of the work is done, 0 to 1.</summary>
    public required double Progress { get; init; }

    /// <summary>Dealt with per second, over the last seconds.</summary>
    public required long BytesPerSecond { get; init; }

    /// <summary>Seconds left at that speed; null when it cannot be said.</summary>
    public required double? RemainingSeconds { get; init; }
}
