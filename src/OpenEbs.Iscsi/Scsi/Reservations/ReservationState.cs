using System.Collections.Immutable;

namespace OpenEbs.Iscsi.Scsi.Reservations;

/// <summary>An I_T nexus as reservations know it: the initiator port (iSCSI name and ISID, RFC 7143 §4.4.3) and the target port. It outlives sessions.</summary>
/// <param name="InitiatorName">Lower case.</param>
/// <param name="Isid">48 bits.</param>
/// <param name="TargetPort">Relative target port identifier.</param>
internal readonly record struct NexusId(string InitiatorName, ulong Isid, int TargetPort)
{
    /// <summary>Whether both have the same initiator port.</summary>
    public bool HasInitiatorOf(in NexusId other) => Isid == other.Isid && InitiatorName == other.InitiatorName;
}

/// <summary>Types of persistent reservations (SPC-4 §6.15.3.4). Values are stored: never change one.</summary>
internal enum ReservationType : byte
{
    None = 0,
    WriteExclusive = 1,
    ExclusiveAccess = 3,
    WriteExclusiveRegistrantsOnly = 5,
    ExclusiveAccessRegistrantsOnly = 6,
    WriteExclusiveAllRegistrants = 7,
    ExclusiveAccessAllRegistrants = 8,
}

/// <summary>A registered nexus and its key.</summary>
internal readonly record struct Registration(NexusId Nexus, ulong Key);

/// <summary>All that a logical unit knows of reservations (SPC-4 §5.13, and RESERVE and RELEASE of SPC-2 §5.5). Immutable.</summary>
internal sealed record ReservationState
{
    public static readonly ReservationState Empty = new();

    /// <summary>PRGENERATION.</summary>
    public uint Generation { get; init; }

    /// <summary>In the order in which they were made; at most one for each nexus.</summary>
    public ImmutableArray<Registration> Registrations { get; init; } = [];

    public ReservationType Type { get; init; }

    /// <summary>Holder of the persistent reservation; null when there is none, and with the all registrants types, where every registered nexus holds it.</summary>
    public NexusId? Holder { get; init; }

    /// <summary>APTPL as last set: registrations and reservation survive the loss of power.</summary>
    public bool SurvivesPowerLoss { get; init; }

    /// <summary>Who has reserved the unit by RESERVE(6) or (10).</summary>
    public NexusId? ReservedBy { get; init; }

    public bool IsReserved => Type != ReservationType.None;

    public ulong? KeyOf(in NexusId nexus)
    {
        foreach (var registration in Registrations)
        {
            if (registration.Nexus == nexus) return registration.Key;
        }

        return null;
    }

    public bool IsRegistered(in NexusId nexus) => KeyOf(nexus) is not null;

    /// <summary>SPC-4 §5.13.10: the one that reserved, or with the all registrants types every registered nexus.</summary>
    public bool IsHolder(in NexusId nexus) => IsReserved && (Type.IsAllRegistrants() ? IsRegistered(nexus) : Holder == nexus);
}

/// <summary>Properties of the types.</summary>
internal static class ReservationTypes
{
    public static bool IsAllRegistrants(this ReservationType type) => type is ReservationType.WriteExclusiveAllRegistrants or ReservationType.ExclusiveAccessAllRegistrants;

    /// <summary>Registered nexuses have access as the holder has.</summary>
    public static bool AdmitsRegistered(this ReservationType type) => type is >= ReservationType.WriteExclusiveRegistrantsOnly and <= ReservationType.ExclusiveAccessAllRegistrants;

    /// <summary>Anybody may read.</summary>
    public static bool AdmitsReads(this ReservationType type) =>
        type is ReservationType.WriteExclusive or ReservationType.WriteExclusiveRegistrantsOnly or ReservationType.WriteExclusiveAllRegistrants;

    public static bool IsDefined(byte type) => type is 1 or 3 or (>= 5 and <= 8);
}
