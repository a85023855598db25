using CsCheck;
using OpenEbs.Iscsi.Scsi.Reservations;
using OpenEbs.Iscsi.Scsi.Sense;

namespace OpenEbs.Iscsi.Tests.Reservations;

/// <summary>SPC-4 §5.13 and §6.16 as a function: single clauses, then what must hold after any sequence.</summary>
public class ReservationTransitionTests
{
    private static readonly NexusId A = new("iqn.2026-01.org.example:a", 1, 1);
    private static readonly NexusId B = new("iqn.2026-01.org.example:b", 2, 1);
    private static readonly NexusId C = new("iqn.2026-01.org.example:c", 3, 2);
    private static readonly ReservationType[] Types = [.. Enum.GetValues<ReservationType>().Where(type => type != ReservationType.None)];

    public static TheoryData<byte> AllTypes => [.. Types.Select(type => (byte)type)];

    [Fact]
    public void Register_OfAnUnregisteredNexus_NeedsKeyZero()
    {
        Refused(ReserveVerdict.Conflict, ReservationState.Empty, new ReserveOutRequest(A, ReserveOutAction.Register, 5, 6));
        var registered = Done(ReservationState.Empty, new ReserveOutRequest(A, ReserveOutAction.Register, 0, 6));
        Assert.Equal(6ul, registered.KeyOf(A));
        Assert.Equal(1u, registered.Generation);

        // "Do nothing": key zero for one that has none.
        Assert.Same(registered, Done(registered, new ReserveOutRequest(B, ReserveOutAction.Register, 0, 0)));
        Refused(ReserveVerdict.Conflict, registered, new ReserveOutRequest(A, ReserveOutAction.Register, 0, 7));
        Assert.Equal(7ul, Done(registered, new ReserveOutRequest(A, ReserveOutAction.Register, 6, 7)).KeyOf(A));
        Assert.Equal(8ul, Done(registered, new ReserveOutRequest(A, ReserveOutAction.RegisterAndIgnoreExistingKey, 99, 8)).KeyOf(A));
        Assert.False(Done(registered, new ReserveOutRequest(A, ReserveOutAction.Register, 6, 0)).IsRegistered(A));
    }

    [Fact]
    public void Register_WithSpecifiedAndAllPorts_RegistersThem()
    {
        var both = Done(ReservationState.Empty, new ReserveOutRequest(A, ReserveOutAction.Register, 0, 5) { Others = [B], TargetPorts = [1, 2] });
        Assert.Equal([A, B, A with { TargetPort = 2 }, B with { TargetPort = 2 }], both.Registrations.Select(registration => registration.Nexus));

        // SPEC_I_PT from a registered nexus, and with REGISTER AND IGNORE EXISTING KEY, is an error; somebody else's key cannot be taken.
        Refused(ReserveVerdict.InvalidSpecifyInitiatorPorts, both, new ReserveOutRequest(A, ReserveOutAction.Register, 5, 6) { Others = [C] });
        Refused(ReserveVerdict.InvalidSpecifyInitiatorPorts, both, new ReserveOutRequest(C, ReserveOutAction.RegisterAndIgnoreExistingKey, 0, 6) { Others = [A] });
        Refused(ReserveVerdict.Conflict, both, new ReserveOutRequest(C, ReserveOutAction.Register, 0, 6) { Others = [A] });
        var gone = Done(both, new ReserveOutRequest(A, ReserveOutAction.Register, 5, 0) { TargetPorts = [1, 2] });
        Assert.Equal([B, B with { TargetPort = 2 }], gone.Registrations.Select(registration => registration.Nexus));
    }

    [Theory]
    [MemberData(nameof(AllTypes))]
    public void Reserve_IsForOne_AndReleaseTellsThoseWhoSharedIt(byte value)
    {
        var type = (ReservationType)value;
        var registered = Registered();
        Refused(ReserveVerdict.Conflict, registered, Request(C, ReserveOutAction.Reserve, 0, type));
        Refused(ReserveVerdict.Conflict, registered, Request(A, ReserveOutAction.Reserve, 9, type));
        var reserved = Done(registered, Request(A, ReserveOutAction.Reserve, 1, type));
        Assert.True(reserved.IsHolder(A));
        Assert.Equal(type.IsAllRegistrants(), reserved.IsHolder(B));
        Assert.Equal(registered.Generation, reserved.Generation);
        Assert.Same(reserved, Done(reserved, Request(A, ReserveOutAction.Reserve, 1, type)));
        foreach (var other in Types.Where(other => other != type)) Refused(ReserveVerdict.Conflict, reserved, Request(A, ReserveOutAction.Reserve, 1, other));
        if (!type.IsAllRegistrants())
        {
            Refused(ReserveVerdict.Conflict, reserved, Request(B, ReserveOutAction.Reserve, 2, type));
            Assert.Same(reserved, Done(reserved, Request(B, ReserveOutAction.Release, 2, type)));
        }

        foreach (var other in Types.Where(other => other != type)) Refused(ReserveVerdict.InvalidRelease, reserved, Request(A, ReserveOutAction.Release, 1, other));
        var released = ReservationTransitions.Apply(reserved, Request(A, ReserveOutAction.Release, 1, type));
        Assert.False(released.State.IsReserved);
        AssertTold(released, type.AdmitsRegistered() ? [(AdditionalSense.ReservationsReleased, B)] : []);
    }

    [Theory]
    [MemberData(nameof(AllTypes))]
    public void Unregister_OfTheHolder_Releases_OfAllRegistrantsOnlyTheLast(byte value)
    {
        var type = (ReservationType)value;
        var reserved = Done(Registered(), Request(A, ReserveOutAction.Reserve, 1, type));
        var outcome = ReservationTransitions.Apply(reserved, new ReserveOutRequest(A, ReserveOutAction.Register, 1, 0));
        Assert.Equal(type.IsAllRegistrants(), outcome.State.IsReserved);
        AssertTold(outcome, type is ReservationType.WriteExclusiveRegistrantsOnly or ReservationType.ExclusiveAccessRegistrantsOnly ? [(AdditionalSense.ReservationsReleased, B)] : []);
        Assert.False(Done(outcome.State, new ReserveOutRequest(B, ReserveOutAction.Register, 2, 0)).IsReserved);
    }

    [Fact]
    public void Clear_LeavesNothing_AndTellsAll()
    {
        var reserved = Done(Registered(), Request(A, ReserveOutAction.Reserve, 1, ReservationType.ExclusiveAccess));
        Refused(ReserveVerdict.Conflict, reserved, Request(C, ReserveOutAction.Clear, 0));
        var cleared = ReservationTransitions.Apply(reserved, Request(B, ReserveOutAction.Clear, 2));
        Assert.Empty(cleared.State.Registrations);
        Assert.False(cleared.State.IsReserved);
        Assert.Equal(reserved.Generation + 1, cleared.State.Generation);
        AssertTold(cleared, [(AdditionalSense.ReservationsPreempted, A)]);
    }

    [Fact]
    public void Preempt_OfTheHolder_TakesItOver()
    {
        var reserved = Done(Done(Registered(), new ReserveOutRequest(C, ReserveOutAction.Register, 0, 3)), Request(A, ReserveOutAction.Reserve, 1, ReservationType.ExclusiveAccess));
        var outcome = ReservationTransitions.Apply(
            reserved, new ReserveOutRequest(B, ReserveOutAction.PreemptAndAbort, 2, 1) { Type = ReservationType.WriteExclusive });
        Assert.True(outcome.State.IsHolder(B));
        Assert.Equal(ReservationType.WriteExclusive, outcome.State.Type);
        Assert.Equal([B, C], outcome.State.Registrations.Select(registration => registration.Nexus));
        AssertTold(outcome, [(AdditionalSense.RegistrationsPreempted, A), (AdditionalSense.ReservationsReleased, C)]);
        Assert.True(outcome.Attentions[0].AbortsCommands);
        Assert.False(outcome.Attentions[1].AbortsCommands);
        var sameType = ReservationTransitions.Apply(reserved, new ReserveOutRequest(B, ReserveOutAction.Preempt, 2, 1) { Type = ReservationType.ExclusiveAccess });
        AssertTold(sameType, [(AdditionalSense.RegistrationsPreempted, A)]);
        Assert.False(sameType.Attentions[0].AbortsCommands);

        // The holder may preempt itself to change the type.
        var changed = Done(reserved, new ReserveOutRequest(A, ReserveOutAction.Preempt, 1, 1) { Type = ReservationType.WriteExclusive });
        Assert.True(changed.IsHolder(A));
        Assert.Equal(ReservationType.WriteExclusive, changed.Type);
    }

    [Fact]
    public void Preempt_OfOthers_RemovesThem()
    {
        var reserved = Done(Registered(), Request(A, ReserveOutAction.Reserve, 1, ReservationType.ExclusiveAccess));
        Refused(ReserveVerdict.Conflict, reserved, new ReserveOutRequest(A, ReserveOutAction.Preempt, 1, 77) { Type = ReservationType.ExclusiveAccess });
        Refused(ReserveVerdict.InvalidServiceActionKey, reserved, new ReserveOutRequest(A, ReserveOutAction.Preempt, 1, 0) { Type = ReservationType.ExclusiveAccess });
        var outcome = ReservationTransitions.Apply(reserved, new ReserveOutRequest(A, ReserveOutAction.Preempt, 1, 2) { Type = ReservationType.WriteExclusive });
        Assert.Equal(ReservationType.ExclusiveAccess, outcome.State.Type);
        Assert.Equal([A], outcome.State.Registrations.Select(registration => registration.Nexus));
        AssertTold(outcome, [(AdditionalSense.RegistrationsPreempted, B)]);
    }

    [Fact]
    public void Preempt_OfAllRegistrants_WithKeyZero_TakesAll()
    {
        var reserved = Done(Registered(), Request(A, ReserveOutAction.Reserve, 1, ReservationType.WriteExclusiveAllRegistrants));
        var outcome = ReservationTransitions.Apply(reserved, new ReserveOutRequest(B, ReserveOutAction.Preempt, 2, 0) { Type = ReservationType.ExclusiveAccess });
        Assert.Equal([B], outcome.State.Registrations.Select(registration => registration.Nexus));
        Assert.True(outcome.State.IsHolder(B));
        var one = Done(reserved, new ReserveOutRequest(B, ReserveOutAction.Preempt, 2, 1) { Type = ReservationType.ExclusiveAccess });
        Assert.Equal(ReservationType.WriteExclusiveAllRegistrants, one.Type);
        Assert.False(one.IsRegistered(A));
    }

    [Fact]
    public void Move_GivesTheReservationAway()
    {
        var registered = Registered();
        Refused(ReserveVerdict.NothingToMove, registered, MoveRequest(A, 1, C));
        var reserved = Done(registered, Request(A, ReserveOutAction.Reserve, 1, ReservationType.ExclusiveAccess));
        Refused(ReserveVerdict.Conflict, reserved, MoveRequest(B, 2, C));
        Refused(ReserveVerdict.InvalidDestination, reserved, MoveRequest(A, 1, A));
        var moved = Done(reserved, MoveRequest(A, 1, C));
        Assert.True(moved.IsHolder(C));
        Assert.Equal(33ul, moved.KeyOf(C));
        Assert.True(moved.IsRegistered(A));
        Assert.False(Done(reserved, MoveRequest(A, 1, C) with { Unregisters = true }).IsRegistered(A));
        var shared = Done(registered, Request(A, ReserveOutAction.Reserve, 1, ReservationType.WriteExclusiveAllRegistrants));
        Refused(ReserveVerdict.Conflict, shared, MoveRequest(A, 1, C));
    }

    /// <summary>SPC-2 §5.5 and SPC-4 §5.13.3.</summary>
    [Fact]
    public void ReserveUnit_AndPersistentReservations_ExcludeEachOther()
    {
        var reserved = ReservationTransitions.ReserveUnit(ReservationState.Empty, A).State;
        Assert.Equal(A, reserved.ReservedBy);
        Assert.Equal(ReserveVerdict.Done, ReservationTransitions.ReserveUnit(reserved, A).Verdict);
        Assert.Equal(ReserveVerdict.Conflict, ReservationTransitions.ReserveUnit(reserved, B).Verdict);
        Assert.Same(reserved, ReservationTransitions.ReleaseUnit(reserved, B).State);
        Refused(ReserveVerdict.Conflict, reserved, new ReserveOutRequest(A, ReserveOutAction.Register, 0, 1));
        Assert.Null(ReservationTransitions.ReleaseUnit(reserved, A).State.ReservedBy);
        Assert.Null(ReservationTransitions.LoseNexus(reserved, A).ReservedBy);
        Assert.Same(reserved, ReservationTransitions.LoseNexus(reserved, B));
        Assert.Equal(ReserveVerdict.Conflict, ReservationTransitions.ReserveUnit(Registered(), A).Verdict);

        // The holder of a persistent reservation gets GOOD, and nothing happens.
        var persistent = Done(Registered(), Request(A, ReserveOutAction.Reserve, 1, ReservationType.ExclusiveAccess));
        Assert.Same(persistent, ReservationTransitions.ReserveUnit(persistent, A).State);
        Assert.Equal(ReserveVerdict.Done, ReservationTransitions.ReserveUnit(persistent, A).Verdict);
        Assert.Equal(ReserveVerdict.Conflict, ReservationTransitions.ReserveUnit(persistent, B).Verdict);
        Assert.Equal(ReserveVerdict.Conflict, ReservationTransitions.ReleaseUnit(persistent, B).Verdict);
    }

    [Theory]
    [MemberData(nameof(AllTypes))]
    public void Conflicts_AreThoseOfTheTable(byte value)
    {
        var type = (ReservationType)value;
        var state = Done(Registered(), Request(A, ReserveOutAction.Reserve, 1, type));
        var forAll = (byte)type is 1 or 5 or 7;
        var forRegistered = (byte)type >= 5;
        Assert.False(ReservationRules.Conflicts(state, A, ReservationRule.Writes));
        Assert.False(ReservationRules.Conflicts(state, A, ReservationRule.Reads));
        Assert.Equal(!forRegistered, ReservationRules.Conflicts(state, B, ReservationRule.Writes));
        Assert.Equal(!forRegistered && !forAll, ReservationRules.Conflicts(state, B, ReservationRule.Reads));
        Assert.True(ReservationRules.Conflicts(state, C, ReservationRule.Writes));
        Assert.Equal(!forAll, ReservationRules.Conflicts(state, C, ReservationRule.Reads));
        Assert.False(ReservationRules.Conflicts(state, C, ReservationRule.DespitePersistent));
        Assert.False(ReservationRules.Conflicts(state, C, ReservationRule.Always));
        var reserved = ReservationTransitions.ReserveUnit(ReservationState.Empty, A).State;
        Assert.True(ReservationRules.Conflicts(reserved, B, ReservationRule.DespitePersistent));
        Assert.True(ReservationRules.Conflicts(reserved, B, ReservationRule.Reads));
        Assert.False(ReservationRules.Conflicts(reserved, B, ReservationRule.Always));
        Assert.False(ReservationRules.Conflicts(reserved, A, ReservationRule.Writes));
    }

    /// <summary>Any sequence of requests keeps the state whole, and what is refused changes nothing.</summary>
    [Fact]
    public void AnySequence_KeepsTheInvariants()
    {
        var nexus = OneOf([A, B, C, A with { TargetPort = 2 }]);
        var key = Gen.ULong[0, 4];
        var request = Gen.Select(nexus, OneOf(Enum.GetValues<ReserveOutAction>()), Gen.Select(key, key), OneOf(Types), nexus, Gen.Int[0, 15],
            (who, action, keys, type, other, bits) => new ReserveOutRequest(who, action, keys.Item1, keys.Item2)
            {
                Type = type,
                SurvivesPowerLoss = (bits & 1) != 0,
                Others = (bits & 6) == 6 ? [other] : null,
                TargetPorts = (bits & 8) != 0 ? [1, 2] : null,
                Destination = other,
                Unregisters = (bits & 2) != 0,
            });
        var step = Gen.Select(request, Gen.Int[0, 19], (wanted, unit) => (wanted, unit));
        step.Array[1, 60].Sample(steps =>
        {
            var state = ReservationState.Empty;
            foreach (var (wanted, unit) in steps)
            {
                var outcome = unit switch
                {
                    0 => ReservationTransitions.ReserveUnit(state, wanted.Nexus),
                    1 or 2 => ReservationTransitions.ReleaseUnit(state, wanted.Nexus),
                    _ => ReservationTransitions.Apply(state, wanted),
                };
                CheckStep(state, wanted, outcome, isUnit: unit <= 2);
                state = outcome.State;
            }
        });
    }

    private static Gen<T> OneOf<T>(T[] values) => Gen.Int[0, values.Length - 1].Select(i => values[i]);

    private static void CheckStep(ReservationState before, ReserveOutRequest request, ReserveOutcome outcome, bool isUnit)
    {
        var after = outcome.State;
        if (outcome.Verdict != ReserveVerdict.Done)
        {
            Assert.Same(before, after);
            Assert.Empty(outcome.Attentions);
            return;
        }

        Assert.Equal(after.Registrations.Length, after.Registrations.Select(registration => registration.Nexus).Distinct().Count());
        Assert.DoesNotContain(after.Registrations, registration => registration.Key == 0);
        Assert.Equal(after.IsReserved && !after.Type.IsAllRegistrants(), after.Holder is not null);
        if (after.Holder is { } holder) Assert.True(after.IsRegistered(holder));
        if (after.IsReserved) Assert.NotEmpty(after.Registrations);
        Assert.False(after.ReservedBy is not null && after.Registrations.Length > 0);
        Assert.InRange(after.Generation, before.Generation, before.Generation + 1);
        if (isUnit || request.Action is ReserveOutAction.Reserve or ReserveOutAction.Release) Assert.Equal(before.Generation, after.Generation);

        // Nobody is told who was not registered, nor the one who did it; nobody loses anything without being told.
        foreach (var attention in outcome.Attentions)
        {
            Assert.DoesNotContain(request.Nexus, attention.Nexuses);
            Assert.All(attention.Nexuses, nexus => Assert.True(before.IsRegistered(nexus)));
        }

        if (request.Action is ReserveOutAction.Clear or ReserveOutAction.Preempt or ReserveOutAction.PreemptAndAbort && !isUnit)
        {
            var lost = before.Registrations.Select(registration => registration.Nexus).Where(nexus => nexus != request.Nexus && !after.IsRegistered(nexus));
            Assert.All(lost, nexus => Assert.Contains(outcome.Attentions, attention => attention.Nexuses.Contains(nexus)));
        }

        // One who may not write now could either not write before, or was told.
        foreach (var nexus in new[] { A, B, C })
        {
            if (nexus == request.Nexus || !ReservationRules.Conflicts(before, nexus, ReservationRule.Writes)) continue;
            var isFree = !ReservationRules.Conflicts(after, nexus, ReservationRule.Writes);
            if (isFree && before.IsReserved && before.Type.AdmitsRegistered() && after.IsReserved) Assert.True(after.IsRegistered(nexus));
        }
    }

    private static ReservationState Registered() =>
        Done(Done(ReservationState.Empty, new ReserveOutRequest(A, ReserveOutAction.Register, 0, 1)), new ReserveOutRequest(B, ReserveOutAction.Register, 0, 2));

    private static ReserveOutRequest Request(NexusId nexus, ReserveOutAction action, ulong key, ReservationType type = default) => new(nexus, action, key, 0) { Type = type };

    private static ReserveOutRequest MoveRequest(NexusId nexus, ulong key, NexusId destination) => new(nexus, ReserveOutAction.RegisterAndMove, key, 33) { Destination = destination };

    private static ReservationState Done(ReservationState state, ReserveOutRequest request)
    {
        var outcome = ReservationTransitions.Apply(state, request);
        Assert.Equal(ReserveVerdict.Done, outcome.Verdict);
        return outcome.State;
    }

    private static void Refused(ReserveVerdict verdict, ReservationState state, ReserveOutRequest request)
    {
        var outcome = ReservationTransitions.Apply(state, request);
        Assert.Equal(verdict, outcome.Verdict);
        Assert.Same(state, outcome.State);
    }

    private static void AssertTold(ReserveOutcome outcome, (AdditionalSense Code, NexusId Nexus)[] expected) =>
        Assert.Equal(expected, outcome.Attentions.SelectMany(attention => attention.Nexuses.Select(nexus => (attention.Code, nexus))));
}
