using OpenEbs.Iscsi.Scsi.Reservations;
using OpenEbs.Iscsi.Scsi.Sense;
using OpenEbs.Paths.Tests.Models;

namespace OpenEbs.Paths.Tests.Histories;

internal enum ScsiKind
{
    Read,
    Write,
    TestUnitReady,
    ReserveOut,
    ReadKeys,

    /// <summary>LOGICAL UNIT RESET.</summary>
    Reset,
}

/// <summary>What the initiator knows of a command's end.</summary>
internal enum ScsiEnd
{
    /// <summary>No answer, or one that leaves it open: it may have happened, or may yet.</summary>
    Unknown,
    Good,

    /// <summary>RESERVATION CONFLICT.</summary>
    Conflict,

    /// <summary>CHECK CONDITION, ILLEGAL REQUEST.</summary>
    Refused,

    /// <summary>CHECK CONDITION, UNIT ATTENTION: the command was not carried out.</summary>
    Attention,
}

/// <summary>A command of an initiator and what came of it. Moments are numbers of events: unique and in order.</summary>
internal sealed class ScsiRecord
{
    public required int Id { get; init; }

    public required NexusId Nexus { get; init; }

    public required ScsiKind Kind { get; init; }

    /// <summary>What a PERSISTENT RESERVE OUT asks for.</summary>
    public ReserveOutCall? Call { get; init; }

    /// <summary>The stamp that a write leaves.</summary>
    public long WriteId { get; init; }

    public long StartedAt { get; set; }

    /// <summary>The highest number while there is no answer.</summary>
    public long EndedAt { get; set; } = long.MaxValue;

    public ScsiEnd End { get; set; }

    public AdditionalSense Sense { get; set; }

    public byte[] Data { get; set; } = [];

    /// <summary>Versions of the shared state that the command's calls of the volume bore.</summary>
    public List<long> SentVersions { get; } = [];

    /// <summary>How many places in the volume's order had been filled when it ended.</summary>
    public int PlacesAtEnd { get; set; }

    /// <summary>Changes the shared state when it is carried out.</summary>
    public bool MayChange => Kind is ScsiKind.ReserveOut or ScsiKind.Reset;

    /// <summary>Answered only when nothing of before has any further effect.</summary>
    public bool Drains => Kind == ScsiKind.Reset || Call?.Action == ReserveOutAction.PreemptAndAbort;

    public override string ToString() =>
        $"#{Id} {Kind}{(Call is null ? "" : $" {Call}")}{(WriteId > 0 ? $" id {WriteId}" : "")} of {NameOf(Nexus)} [{StartedAt}, {(EndedAt == long.MaxValue ? "-" : EndedAt)}] {End} {(Sense == AdditionalSense.None ? "" : Sense)} sent as {string.Join(',', SentVersions)}";

    public static string NameOf(NexusId nexus) => $"{nexus.InitiatorName[^1]}@{nexus.TargetPort}";
}
