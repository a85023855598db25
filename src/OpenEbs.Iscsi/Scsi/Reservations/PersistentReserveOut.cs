using System.Buffers.Binary;
using OpenEbs.Iscsi.Scsi.Sense;
using OpenEbs.Iscsi.Scsi.Shared;

namespace OpenEbs.Iscsi.Scsi.Reservations;

/// <summary>PERSISTENT RESERVE OUT (SPC-4 §6.16), RESERVE and RELEASE (SPC-2 §7.21 to §7.24): decoded here, decided by <see cref="ReservationTransitions"/>.</summary>
internal static class PersistentReserveOut
{
    private const int ListBytes = 24;
    private const int OptionsOffset = 20;

    /// <summary>The parts of the CDB that can be wrong; length of the parameter list.</summary>
    public static SenseData? Check(ScsiCommand command)
    {
        var action = (ReserveOutAction)(command.Cdb[1] & 0x1f);
        command.DataOutLengthBytes = command.Cdb32(5);

        // §6.16.1: SCOPE and TYPE count where something is reserved or released.
        if (action is ReserveOutAction.Reserve or ReserveOutAction.Release or ReserveOutAction.Preempt or ReserveOutAction.PreemptAndAbort)
        {
            if (command.Cdb[2] >> 4 != 0) return SenseData.InvalidCdbField(2, 7);
            if (!ReservationTypes.IsDefined((byte)(command.Cdb[2] & 0x0f))) return SenseData.InvalidCdbField(2, 3);
        }

        return command.DataOutLengthBytes is < ListBytes or > 4096 ? SenseData.IllegalRequest(AdditionalSense.ParameterListLengthError) : null;
    }

    public static async ValueTask ExecuteAsync(ScsiCommand command, Nexus nexus)
    {
        var ports = NeedsPorts(command) ? await nexus.Unit.ListPortsAsync(command.Aborted) : [];
        if (Decode(command, nexus, ports, out var request) is { } sense)
        {
            command.Fail(sense);
            return;
        }

        var aborts = request.Action == ReserveOutAction.PreemptAndAbort;
        await UnitChanges.ApplyAsync(command, nexus, state => Decide(command, state, ReservationTransitions.Apply(state.Reservations, request)), drains: aborts);
    }

    public static ValueTask ReserveUnitAsync(ScsiCommand command, Nexus nexus) =>
        UnitChanges.ApplyAsync(command, nexus, state => Decide(command, state, ReservationTransitions.ReserveUnit(state.Reservations, nexus.Id)), drains: false);

    public static ValueTask ReleaseUnitAsync(ScsiCommand command, Nexus nexus) =>
        UnitChanges.ApplyAsync(command, nexus, state => Decide(command, state, ReservationTransitions.ReleaseUnit(state.Reservations, nexus.Id)), drains: false);

    private static bool NeedsPorts(ScsiCommand command) =>
        command.DataOutSpan.Length >= ListBytes && (AllPorts(command) || (command.Cdb[1] & 0x1f) == (byte)ReserveOutAction.RegisterAndMove);

    private static bool AllPorts(ScsiCommand command) =>
        (ReserveOutAction)(command.Cdb[1] & 0x1f) is ReserveOutAction.Register or ReserveOutAction.RegisterAndIgnoreExistingKey && (command.DataOutSpan[OptionsOffset] & 0x04) != 0;

    private static UnitState? Decide(ScsiCommand command, UnitState state, ReserveOutcome outcome)
    {
        switch (outcome.Verdict)
        {
            case ReserveVerdict.Done:
                if (ReferenceEquals(outcome.State, state.Reservations)) return state;
                return state.With(outcome);
            case ReserveVerdict.Conflict:
                command.Finish(ScsiStatus.ReservationConflict);
                return null;
        }

        command.Fail(outcome.Verdict switch
        {
            ReserveVerdict.InvalidRelease => SenseData.IllegalRequest(AdditionalSense.InvalidReleaseOfPersistentReservation),
            ReserveVerdict.InvalidServiceActionKey => SenseData.InvalidParameter(8),
            ReserveVerdict.InvalidSpecifyInitiatorPorts => SenseData.InvalidParameter(OptionsOffset, 3),
            ReserveVerdict.InvalidDestination => SenseData.InvalidParameter(ListBytes),
            ReserveVerdict.NothingToMove => SenseData.InvalidCdbField(1, 4),
            ReserveVerdict.TooManyRegistrations => SenseData.IllegalRequest(AdditionalSense.InsufficientRegistrationResources),
            _ => throw new InvalidOperationException($"Unknown verdict {outcome.Verdict}."),
        });
        return null;
    }

    private static SenseData? Decode(ScsiCommand command, Nexus nexus, IReadOnlyList<int> ports, out ReserveOutRequest request)
    {
        var list = command.DataOutSpan;
        var action = (ReserveOutAction)(command.Cdb[1] & 0x1f);
        request = new ReserveOutRequest(nexus.Id, action, BinaryPrimitives.ReadUInt64BigEndian(list), BinaryPrimitives.ReadUInt64BigEndian(list[8..]));
        switch (action)
        {
            case ReserveOutAction.RegisterAndMove:
                return DecodeMove(list, nexus, ports, ref request);
            case ReserveOutAction.Register or ReserveOutAction.RegisterAndIgnoreExistingKey:
                request = request with { SurvivesPowerLoss = (list[OptionsOffset] & 1) != 0, TargetPorts = AllPorts(command) ? ports : null };
                if ((list[OptionsOffset] & 0x08) != 0) return DecodeOthers(list, nexus, ref request);
                break;
            case ReserveOutAction.Clear:
                break;
            default:
                request = request with { Type = (ReservationType)(command.Cdb[2] & 0x0f) };
                break;
        }

        // §6.16.1: without SPEC_I_PT "the parameter list length shall be 24".
        if (list.Length != ListBytes) return SenseData.IllegalRequest(AdditionalSense.ParameterListLengthError);
        return null;
    }

    /// <summary>SPEC_I_PT: a list of TransportIDs behind its length (§6.16.3).</summary>
    private static SenseData? DecodeOthers(ReadOnlySpan<byte> list, Nexus nexus, ref ReserveOutRequest request)
    {
        if (list.Length < ListBytes + 4) return SenseData.IllegalRequest(AdditionalSense.ParameterListLengthError);
        var length = BinaryPrimitives.ReadUInt32BigEndian(list[ListBytes..]);
        if (length > list.Length - ListBytes - 4) return SenseData.IllegalRequest(AdditionalSense.ParameterListLengthError);
        var others = new List<NexusId>();
        var at = ListBytes + 4;
        var end = at + (int)length;
        while (at < end)
        {
            var read = TransportId.TryRead(list[at..end], nexus.Id.TargetPort, out var other);
            if (read == 0) return SenseData.InvalidParameter(at);
            others.Add(other);
            at += read;
        }

        request = request with { Others = others };
        return null;
    }

    /// <summary>REGISTER AND MOVE has a parameter list of its own (§6.16.4).</summary>
    private static SenseData? DecodeMove(ReadOnlySpan<byte> list, Nexus nexus, IReadOnlyList<int> ports, ref ReserveOutRequest request)
    {
        var port = BinaryPrimitives.ReadUInt16BigEndian(list[18..]);
        var length = BinaryPrimitives.ReadUInt32BigEndian(list[20..]);
        if (length != list.Length - ListBytes) return SenseData.IllegalRequest(AdditionalSense.ParameterListLengthError);
        if (port != nexus.Id.TargetPort && !ports.Contains(port)) return SenseData.InvalidParameter(18);
        if (TransportId.TryRead(list[ListBytes..], port, out var destination) != length) return SenseData.InvalidParameter(ListBytes);
        request = request with { Destination = destination, SurvivesPowerLoss = (list[17] & 1) != 0, Unregisters = (list[17] & 2) != 0 };
        return null;
    }
}
