using System.Collections.Immutable;
using OpenEbs.Iscsi.Portals;
using OpenEbs.Iscsi.Scsi.Sense;

namespace OpenEbs.Iscsi.Scsi.Reservations;

/// <summary>Reservations as a function from state and request to state and unit attentions (SPC-4 §5.13, §6.16): no I/O, no clock.</summary>
internal static class ReservationTransitions
{
    /// <summary>PERSISTENT RESERVE OUT.</summary>
    public static ReserveOutcome Apply(ReservationState state, ReserveOutRequest request)
    {
        // SPC-2 §5.5.1: while a RESERVE is in effect, "all PERSISTENT RESERVE IN and all PERSISTENT RESERVE OUT" conflict, whoever sends them.
        if (state.ReservedBy is not null) return ReserveOutcome.Refused(ReserveVerdict.Conflict, state);
        var key = state.KeyOf(request.Nexus);
        switch (request.Action)
        {
            case ReserveOutAction.Register:
                // An unregistered nexus has the key zero (§5.13.7).
                return request.Key != (key ?? 0) ? ReserveOutcome.Refused(ReserveVerdict.Conflict, state) : Register(state, request, key is not null);
            case ReserveOutAction.RegisterAndIgnoreExistingKey:
                return request.Others is null ? Register(state, request, key is not null) : ReserveOutcome.Refused(ReserveVerdict.InvalidSpecifyInitiatorPorts, state);
        }

        if (key is null || key != request.Key) return ReserveOutcome.Refused(ReserveVerdict.Conflict, state);
        return request.Action switch
        {
            ReserveOutAction.Reserve => Reserve(state, request),
            ReserveOutAction.Release => Release(state, request),
            ReserveOutAction.Clear => Clear(state, request),
            ReserveOutAction.Preempt or ReserveOutAction.PreemptAndAbort => Preempt(state, request),
            ReserveOutAction.RegisterAndMove => Move(state, request),
            _ => throw new ArgumentOutOfRangeException(nameof(request), request.Action, "Unknown service action."),
        };
    }

    /// <summary>RESERVE(6) and (10). With persistent reservations it ends as SPC-4 §5.13.3 says, else as SPC-2 §5.5.</summary>
    public static ReserveOutcome ReserveUnit(ReservationState state, in NexusId nexus)
    {
        if (IsIgnored(state, nexus)) return ReserveOutcome.Done(state);
        if (state.Registrations.Length > 0) return ReserveOutcome.Refused(ReserveVerdict.Conflict, state);
        if (state.ReservedBy is { } holder && holder != nexus) return ReserveOutcome.Refused(ReserveVerdict.Conflict, state);
        return ReserveOutcome.Done(state.ReservedBy is null ? state with { ReservedBy = nexus } : state);
    }

    /// <summary>RELEASE(6) and (10): from another nexus than the holder it does nothing (SPC-2 §5.5.2).</summary>
    public static ReserveOutcome ReleaseUnit(ReservationState state, in NexusId nexus)
    {
        if (!IsIgnored(state, nexus) && state.Registrations.Length > 0) return ReserveOutcome.Refused(ReserveVerdict.Conflict, state);
        return ReserveOutcome.Done(state.ReservedBy == nexus ? state with { ReservedBy = null } : state);
    }

    /// <summary>The loss of a nexus ends what it reserved by RESERVE, and nothing that is persistent.</summary>
    public static ReservationState LoseNexus(ReservationState state, in NexusId nexus) => state.ReservedBy == nexus ? state with { ReservedBy = null } : state;

    /// <summary>A reset of the unit ends RESERVE and nothing that is persistent (SPC-4 §5.13.1).</summary>
    public static ReservationState Reset(ReservationState state) => state.ReservedBy is null ? state : state with { ReservedBy = null };

    /// <summary>Power was lost: what has APTPL stays, and PRGENERATION starts again (SPC-4 §6.15.2).</summary>
    public static ReservationState LosePower(ReservationState state) => state.SurvivesPowerLoss ? state with { Generation = 0, ReservedBy = null } : ReservationState.Empty;

    private static bool IsIgnored(ReservationState state, in NexusId nexus) => state.IsHolder(nexus) || (state.Type.AdmitsRegistered() && state.IsRegistered(nexus));

    /// <summary>REGISTER and REGISTER AND IGNORE EXISTING KEY, the key already checked (§5.13.7, table 52).</summary>
    private static ReserveOutcome Register(ReservationState state, ReserveOutRequest request, bool isRegistered)
    {
        if (isRegistered && request.Others is not null) return ReserveOutcome.Refused(ReserveVerdict.InvalidSpecifyInitiatorPorts, state);
        var nexuses = NexusesOf(request);
        if (request.ServiceActionKey == 0)
        {
            // "Do nothing, return GOOD" for a nexus that is not registered.
            return isRegistered ? Unregister(state, request, nexuses) : ReserveOutcome.Done(state);
        }

        var registrations = state.Registrations;
        foreach (var nexus in nexuses)
        {
            var at = IndexOf(registrations, nexus);
            if (at < 0) registrations = registrations.Add(new Registration(nexus, request.ServiceActionKey));

            // Another initiator port that SPEC_I_PT names and that is registered keeps its key unless it is the same: nobody may change another's.
            else if (!nexus.HasInitiatorOf(request.Nexus) && registrations[at].Key != request.ServiceActionKey) return ReserveOutcome.Refused(ReserveVerdict.Conflict, state);
            else registrations = registrations.SetItem(at, new Registration(nexus, request.ServiceActionKey));
        }

        if (registrations.Length > IscsiLimits.MaxRegistrations) return ReserveOutcome.Refused(ReserveVerdict.TooManyRegistrations, state);
        return ReserveOutcome.Done(state with { Registrations = registrations, SurvivesPowerLoss = request.SurvivesPowerLoss, Generation = state.Generation + 1 });
    }

    private static ImmutableArray<NexusId> NexusesOf(ReserveOutRequest request)
    {
        var nexuses = ImmutableArray.Create(request.Nexus);
        foreach (var other in request.Others ?? []) Add(other);
        if (request.TargetPorts is null) return nexuses;
        foreach (var nexus in nexuses)
        {
            foreach (var port in request.TargetPorts) Add(nexus with { TargetPort = port });
        }

        return nexuses;

        void Add(NexusId nexus)
        {
            if (!nexuses.Contains(nexus)) nexuses = nexuses.Add(nexus);
        }
    }

    /// <summary>§5.13.11.2: the holder's end of registration releases the reservation, of the all registrants types only the last one's.</summary>
    private static ReserveOutcome Unregister(ReservationState state, ReserveOutRequest request, ImmutableArray<NexusId> nexuses)
    {
        var next = state with
        {
            Registrations = state.Registrations.RemoveAll(registration => nexuses.Contains(registration.Nexus)),
            SurvivesPowerLoss = request.SurvivesPowerLoss,
            Generation = state.Generation + 1,
        };
        if (!LosesReservation(next)) return ReserveOutcome.Done(next);
        next = next with { Type = ReservationType.None, Holder = null };
        return state.Type.AdmitsRegistered()
            ? ReserveOutcome.Done(next, new Attention(AdditionalSense.ReservationsReleased, RegisteredBut(next, request.Nexus)))
            : ReserveOutcome.Done(next);
    }

    private static bool LosesReservation(ReservationState state) => state.IsReserved && (state.Type.IsAllRegistrants()
        ? state.Registrations.IsEmpty
        : !state.IsRegistered(state.Holder!.Value));

    /// <summary>§5.13.9: nobody, the holder included, may change what is reserved; asking for the same again is good.</summary>
    private static ReserveOutcome Reserve(ReservationState state, ReserveOutRequest request)
    {
        if (state.IsReserved)
        {
            return state.IsHolder(request.Nexus) && state.Type == request.Type ? ReserveOutcome.Done(state) : ReserveOutcome.Refused(ReserveVerdict.Conflict, state);
        }

        return ReserveOutcome.Done(state with { Type = request.Type, Holder = request.Type.IsAllRegistrants() ? null : request.Nexus });
    }

    /// <summary>§5.13.11.1.</summary>
    private static ReserveOutcome Release(ReservationState state, ReserveOutRequest request)
    {
        if (!state.IsHolder(request.Nexus)) return ReserveOutcome.Done(state);
        if (state.Type != request.Type) return ReserveOutcome.Refused(ReserveVerdict.InvalidRelease, state);
        var next = state with { Type = ReservationType.None, Holder = null };

        // "Unit attention ... for all registered I_T nexuses other than the one": only where those had access by it.
        return state.Type.AdmitsRegistered()
            ? ReserveOutcome.Done(next, new Attention(AdditionalSense.ReservationsReleased, RegisteredBut(next, request.Nexus)))
            : ReserveOutcome.Done(next);
    }

    /// <summary>§5.13.11.3.</summary>
    private static ReserveOutcome Clear(ReservationState state, ReserveOutRequest request)
    {
        var next = state with { Registrations = [], Type = ReservationType.None, Holder = null, Generation = state.Generation + 1 };
        return ReserveOutcome.Done(next, new Attention(AdditionalSense.ReservationsPreempted, RegisteredBut(state, request.Nexus)));
    }

    /// <summary>§5.13.11.2.4 to .6, PREEMPT and PREEMPT AND ABORT.</summary>
    private static ReserveOutcome Preempt(ReservationState state, ReserveOutRequest request)
    {
        var wanted = request.ServiceActionKey;
        var takesAll = wanted == 0 && state.Type.IsAllRegistrants();
        if (wanted == 0 && !takesAll) return ReserveOutcome.Refused(ReserveVerdict.InvalidServiceActionKey, state);
        var takesOver = takesAll || (state.Holder is { } holder && state.KeyOf(holder) == wanted);
        var removed = state.Registrations.Where(registration => takesAll || registration.Key == wanted).Select(registration => registration.Nexus).ToImmutableArray();
        if (removed.IsEmpty) return ReserveOutcome.Refused(ReserveVerdict.Conflict, state);

        // Who takes the reservation over stays registered, also with the key that is preempted.
        if (takesOver) removed = removed.Remove(request.Nexus);
        var next = state with
        {
            Registrations = state.Registrations.RemoveAll(registration => removed.Contains(registration.Nexus)),
            Generation = state.Generation + 1,
        };
        var changed = false;
        if (takesOver)
        {
            changed = state.Type != request.Type;
            next = next with { Type = request.Type, Holder = request.Type.IsAllRegistrants() ? null : request.Nexus };
        }
        else if (LosesReservation(next))
        {
            next = next with { Type = ReservationType.None, Holder = null };
        }

        return ReserveOutcome.Done(
            next,
            new Attention(AdditionalSense.RegistrationsPreempted, removed.Remove(request.Nexus), request.Action == ReserveOutAction.PreemptAndAbort),
            new Attention(AdditionalSense.ReservationsReleased, changed ? RegisteredBut(next, request.Nexus) : []));
    }

    /// <summary>§5.13.8 REGISTER AND MOVE.</summary>
    private static ReserveOutcome Move(ReservationState state, ReserveOutRequest request)
    {
        if (!state.IsReserved) return ReserveOutcome.Refused(ReserveVerdict.NothingToMove, state);

        // "If a ... all registrants type ... RESERVATION CONFLICT"; and only the holder has something to give away.
        if (state.Type.IsAllRegistrants() || state.Holder != request.Nexus) return ReserveOutcome.Refused(ReserveVerdict.Conflict, state);
        if (request.ServiceActionKey == 0) return ReserveOutcome.Refused(ReserveVerdict.InvalidServiceActionKey, state);
        if (request.Destination == request.Nexus) return ReserveOutcome.Refused(ReserveVerdict.InvalidDestination, state);
        var registrations = state.Registrations;
        var moved = new Registration(request.Destination, request.ServiceActionKey);
        var at = IndexOf(registrations, request.Destination);
        registrations = at < 0 ? registrations.Add(moved) : registrations.SetItem(at, moved);
        if (request.Unregisters) registrations = registrations.RemoveAll(registration => registration.Nexus == request.Nexus);
        if (registrations.Length > IscsiLimits.MaxRegistrations) return ReserveOutcome.Refused(ReserveVerdict.TooManyRegistrations, state);
        return ReserveOutcome.Done(state with
        {
            Registrations = registrations,
            Holder = request.Destination,
            SurvivesPowerLoss = request.SurvivesPowerLoss,
            Generation = state.Generation + 1,
        });
    }

    private static int IndexOf(ImmutableArray<Registration> registrations, NexusId nexus)
    {
        for (var i = 0; i < registrations.Length; i++)
        {
            if (registrations[i].Nexus == nexus) return i;
        }

        return -1;
    }

    private static List<NexusId> RegisteredBut(ReservationState state, NexusId except) =>
        [.. state.Registrations.Select(registration => registration.Nexus).Where(nexus => nexus != except)];
}
