namespace OpenEbs.Replicas;

/// <summary>What a rebuild is doing. Names are shown and on the wire: append only.</summary>
public enum RebuildState
{
    /// <summary>It has not begun: as many others run on the coordinator's node as may.</summary>
    Waiting,

    /// <summary>Finding, comparing and copying what differs.</summary>
    Copying,

    /// <summary>Nothing is left to copy: the replica catches up with the newest writes and enters the in-sync set.</summary>
    Joining,

    /// <summary>The last attempt failed; the replica's reason says why and when the next is made.</summary>
    Failed,
}

/// <summary>How far the rebuild of a replica has come. Bytes are of the volume's data.</summary>
[GenerateSerializer, Immutable, Alias("openebs.RebuildView")]
public sealed record RebuildView
{
    [Id(0)] public required RebuildState State { get; init; }

    /// <summary>Why the replica is rebuilt.</summary>
    [Id(1)] public required string Reason { get; init; }

    /// <summary>Ids of the replicas that data is read from; empty before the first read.</summary>
    [Id(2)] public string Source { get; init; } = "";

    /// <summary>1 for the first attempt of the present coordinator.</summary>
    [Id(3)] public int Attempt { get; init; }

    /// <summary>When this attempt began.</summary>
    [Id(4)] public DateTimeOffset StartedAt { get; init; }

    /// <summary>What had changed on the source when it began; on large volumes an estimate.</summary>
    [Id(5)] public long TotalBytes { get; init; }

    /// <summary>Read from a source and sent to the replica.</summary>
    [Id(6)] public long MovedBytes { get; init; }

    /// <summary>Changed, but equal on the replica already: not moved.</summary>
    [Id(7)] public long EqualBytes { get; init; }

    /// <summary>Compared by digest before it was decided whether to move it.</summary>
    [Id(8)] public long ComparedBytes { get; init; }

    /// <summary>How much of the work is done, 0 to 1.</summary>
    [Id(9)] public double Progress { get; init; }

    /// <summary>Dealt with per second, over the last seconds.</summary>
    [Id(10)] public long BytesPerSecond { get; init; }

    /// <summary>At that speed; null when it cannot be said.</summary>
    [Id(11)] public TimeSpan? Remaining { get; init; }
}
