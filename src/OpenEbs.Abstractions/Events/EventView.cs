namespace OpenEbs.Events;

/// <summary>Something that happened to a volume or to the cluster, as a user sees it.</summary>
[GenerateSerializer, Immutable, Alias("openebs.EventView")]
public sealed record EventView
{
    [Id(0)] public required DateTimeOffset At { get; init; }

    /// <summary>Empty for an event of the cluster.</summary>
    [Id(1)] public required string Volume { get; init; }

    /// <summary>What happened, in one word, such as ReplicaLeft.</summary>
    [Id(2)] public required string Kind { get; init; }

    /// <summary>A replica, pool or node; empty when it is the volume or the cluster itself.</summary>
    [Id(3)] public string Subject { get; init; } = "";

    [Id(4)] public string Before { get; init; } = "";

    [Id(5)] public string After { get; init; } = "";

    [Id(6)] public string Cause { get; init; } = "";
}
