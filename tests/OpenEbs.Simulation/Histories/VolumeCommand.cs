using OpenEbs.Storage.Store;

namespace OpenEbs.Simulation.Histories;

public enum CommandKind
{
    Read,
    Write,
    WriteZeroes,
    CompareAndWrite,
    Flush,
}

/// <summary>What the initiator knows of a command's end.</summary>
public enum CommandOutcome
{
    /// <summary>No answer yet.</summary>
    Pending,
    Ok,
    Miscompare,

    /// <summary>It may have happened, or not; it will not happen any more once the volume serves under a later epoch.</summary>
    Unknown,

    /// <summary>It failed, without effect.</summary>
    Failed,
}

/// <summary>One try of a command on one coordinator.</summary>
/// <param name="Epoch">The coordinator's epoch.</param>
/// <param name="StartedAt">Moment in the history.</param>
public sealed record CommandAttempt(long Epoch, long StartedAt);

/// <summary>A command of an initiator and what came of it. Moments are numbers of events in the history: unique and in order.</summary>
public sealed class VolumeCommand
{
    public required int Id { get; init; }

    public required CommandKind Kind { get; init; }

    public required long FirstSector { get; init; }

    public required int SectorCount { get; init; }

    public required bool ForceUnitAccess { get; init; }

    /// <summary>The stamp that a write leaves; 0 for zeroes.</summary>
    public long WriteId { get; init; }

    /// <summary>What a compare-and-write expects in each sector.</summary>
    public long[] Expected { get; init; } = [];

    public long InvokedAt { get; set; }

    public long CompletedAt { get; set; } = long.MaxValue;

    public CommandOutcome Outcome { get; set; }

    public string Detail { get; set; } = "";

    /// <summary>What a read found in each sector.</summary>
    public long[] Found { get; set; } = [];

    /// <summary>Sector, counted from the first, in which a compare-and-write found something else.</summary>
    public int MiscompareSector { get; set; }

    public List<CommandAttempt> Attempts { get; } = [];

    /// <summary>Epoch of the coordinator that acknowledged it; 0 while none has.</summary>
    public long AckedEpoch { get; set; }

    /// <summary>When that coordinator did so.</summary>
    public long AckedAt { get; set; }

    /// <summary>Where it stands in the volume's log, for an acknowledged write whose stamp was seen there.</summary>
    public LogPosition Position { get; set; }

    public bool Changes => Kind is CommandKind.Write or CommandKind.WriteZeroes or CommandKind.CompareAndWrite;

    public long EndSector => FirstSector + SectorCount;

    public bool Overlaps(VolumeCommand other) => Kind != CommandKind.Flush && other.Kind != CommandKind.Flush && FirstSector < other.EndSector && other.FirstSector < EndSector;

    public override string ToString() =>
        $"#{Id} {Kind} {FirstSector}+{SectorCount}{(ForceUnitAccess ? " FUA" : "")}{(WriteId != 0 ? $" id {WriteId}" : "")} [{InvokedAt}, {(CompletedAt == long.MaxValue ? "-" : CompletedAt)}] {Outcome} {Detail}";
}
