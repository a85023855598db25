namespace OpenEbs.Volumes;

/// <summary>What all gateways of a volume share besides its blocks: reservations, unit attentions, mode parameters. The volume keeps it and decides the order of its changes; what it says
/// is the gateways' business.</summary>
[GenerateSerializer, Immutable, Alias("openebs.UnitState")]
public sealed record UnitState
{
    /// <summary>Higher with each change; 1 before the first.</summary>
    [Id(0)] public required long Version { get; init; }

    /// <summary>What stays when power is lost.</summary>
    [Id(1)] public required string Lasting { get; init; }

    /// <summary>The whole state, until power is lost.</summary>
    [Id(2)] public required string Passing { get; init; }
}

/// <summary>A change of the shared state.</summary>
[GenerateSerializer, Immutable, Alias("openebs.UnitChange")]
public sealed record UnitChange
{
    /// <summary>Tells it from others, also when it is asked for again. The first eight bytes are the same for all changes of one gateway, which asks for one at a time.</summary>
    [Id(0)] public required Guid Id { get; init; }

    /// <summary>The version of which it was made.</summary>
    [Id(1)] public required long FromVersion { get; init; }

    [Id(2)] public required string Lasting { get; init; }

    [Id(3)] public required string Passing { get; init; }

    /// <summary>Answered only when no I/O that came with an earlier version, through whichever gateway, can have any further effect.</summary>
    [Id(4)] public bool Drains { get; init; }
}

/// <summary>Answer to a question for the shared state, or to a change of it.</summary>
[GenerateSerializer, Immutable, Alias("openebs.UnitReply")]
public sealed record UnitReply
{
    /// <summary>Ok, Outdated, TimedOut, Fenced or Gone.</summary>
    [Id(0)] public required IoStatus Status { get; init; }

    /// <summary>The present state, if it is another than the asker knows.</summary>
    [Id(1)] public UnitState? State { get; init; }

    /// <summary>As in <see cref="IoReply"/>.</summary>
    [Id(2)] public long FactsVersion { get; init; }
}
