using OpenEbs.Iscsi.Scsi.Sense;

namespace OpenEbs.Iscsi.Scsi.Reservations;

/// <summary>Service actions of PERSISTENT RESERVE OUT (SPC-4 §6.16.2).</summary>
internal enum ReserveOutAction : byte
{
    Register = 0,
    Reserve = 1,
    Release = 2,
    Clear = 3,
    Preempt = 4,
    PreemptAndAbort = 5,
    RegisterAndIgnoreExistingKey = 6,
    RegisterAndMove = 7,
}

/// <summary>A PERSISTENT RESERVE OUT, decoded.</summary>
internal sealed record ReserveOutRequest(NexusId Nexus, ReserveOutAction Action, ulong Key, ulong ServiceActionKey)
{
    public ReservationType Type { get; init; }

    /// <summary>APTPL, for the service actions that have it.</summary>
    public bool SurvivesPowerLoss { get; init; }

    /// <summary>SPEC_I_PT: nexuses to register besides. Null when the bit is zero.</summary>
    public IReadOnlyList<NexusId>? Others { get; init; }

    /// <summary>ALL_TG_PT: the target ports for which the initiator port registers, with that of the nexus. Null when the bit is zero.</summary>
    public IReadOnlyList<int>? TargetPorts { get; init; }

    /// <summary>REGISTER AND MOVE: who gets the reservation.</summary>
    public NexusId Destination { get; init; }

    /// <summary>REGISTER AND MOVE: UNREG.</summary>
    public bool Unregisters { get; init; }
}

/// <summary>How a reservation command ends.</summary>
internal enum ReserveVerdict : byte
{
    Done,

    /// <summary>RESERVATION CONFLICT.</summary>
    Conflict,

    /// <summary>ILLEGAL REQUEST, INVALID RELEASE OF PERSISTENT RESERVATION.</summary>
    InvalidRelease,

    /// <summary>ILLEGAL REQUEST, INVALID FIELD IN PARAMETER LIST: the service action reservation key.</summary>
    InvalidServiceActionKey,

    /// <summary>The same: SPEC_I_PT.</summary>
    InvalidSpecifyInitiatorPorts,

    /// <summary>The same: the TransportID of REGISTER AND MOVE.</summary>
    InvalidDestination,

    /// <summary>ILLEGAL REQUEST, INVALID FIELD IN CDB: nothing is reserved that could be moved.</summary>
    NothingToMove,

    /// <summary>ILLEGAL REQUEST, INSUFFICIENT REGISTRATION RESOURCES.</summary>
    TooManyRegistrations,
}

/// <summary>A unit attention for some nexuses (SPC-4 §5.13), and whether their commands are aborted with it.</summary>
internal readonly record struct Attention(AdditionalSense Code, IReadOnlyList<NexusId> Nexuses, bool AbortsCommands = false);

/// <summary>What a reservation command leads to. Unless Done, the state is the one before.</summary>
internal sealed record ReserveOutcome(ReserveVerdict Verdict, ReservationState State, IReadOnlyList<Attention> Attentions)
{
    public static ReserveOutcome Refused(ReserveVerdict verdict, ReservationState state) => new(verdict, state, []);

    public static ReserveOutcome Done(ReservationState state, params IReadOnlyList<Attention> attentions) =>
        new(ReserveVerdict.Done, state, [.. attentions.Where(attention => attention.Nexuses.Count > 0)]);
}
