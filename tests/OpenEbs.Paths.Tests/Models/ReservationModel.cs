using OpenEbs.Iscsi.Scsi.Reservations;
using OpenEbs.Iscsi.Scsi.Sense;
using OpenEbs.Paths.Tests.Histories;

namespace OpenEbs.Paths.Tests.Models;

/// <summary>What a call leads to.</summary>
/// <param name="End">How it ends.</param>
/// <param name="Sense">With Refused: why.</param>
/// <param name="Next">The state after it; the same object when nothing changes.</param>
/// <param name="Told">Unit attentions for others.</param>
internal sealed record ModelOutcome(ScsiEnd End, AdditionalSense Sense, ReservationModel Next, IReadOnlyList<(AdditionalSense Code, NexusId Nexus)> Told);

/// <summary>Persistent reservations of one logical unit as a sequence of calls (SPC-4 §5.13), written from the standard's words and not from the product's code: who is registered with which
/// key, who holds what, PRGENERATION, and who has access.</summary>
internal sealed class ReservationModel
{
    private readonly int[] _ports;
    private readonly Dictionary<NexusId, ulong> _keys;

    public ReservationModel(int[] ports)
        : this(ports, [])
    {
    }

    private ReservationModel(int[] ports, Dictionary<NexusId, ulong> keys) => (_ports, _keys) = (ports, keys);

    public IReadOnlyDictionary<NexusId, ulong> Keys => _keys;

    public uint Generation { get; private init; }

    /// <summary>0 for none.</summary>
    public byte Type { get; private init; }

    /// <summary>Null also with the types that all registrants hold.</summary>
    public NexusId? Holder { get; private init; }

    public bool Survives { get; private init; }

    private bool IsForRegistrants => Type >= 5;

    private bool IsOfAll => Type >= 7;

    /// <summary>§5.13.1, table 49 and following, for reads and writes of the medium.</summary>
    public bool Allows(NexusId nexus, bool isWrite)
    {
        if (Type == 0 || Holds(nexus) || (IsForRegistrants && _keys.ContainsKey(nexus))) return true;
        return !isWrite && Type is 1 or 5 or 7;
    }

    /// <summary>Power was lost (§5.13.4).</summary>
    public ReservationModel LosePower() => Survives ? With(new(_keys), 0, Type, Holder, true) : new ReservationModel(_ports);

    public ModelOutcome Apply(NexusId asker, ReserveOutCall call)
    {
        var isRegistered = _keys.TryGetValue(asker, out var own);
        if (call.Action == ReserveOutAction.RegisterAndIgnoreExistingKey) return Register(asker, call, isRegistered);
        if (call.Action == ReserveOutAction.Register) return call.Key == own ? Register(asker, call, isRegistered) : Conflict();
        if (!isRegistered || own != call.Key) return Conflict();
        switch (call.Action)
        {
            case ReserveOutAction.Reserve:
                if (Type == 0) return Good(With(_keys, Generation, call.Type, call.Type >= 7 ? null : asker, Survives));
                return Holds(asker) && Type == call.Type ? Good(this) : Conflict();
            case ReserveOutAction.Release:
                if (Type == 0 || !Holds(asker)) return Good(this);
                if (Type != call.Type) return new ModelOutcome(ScsiEnd.Refused, AdditionalSense.InvalidReleaseOfPersistentReservation, this, []);
                return Good(With(_keys, Generation, 0, null, Survives), IsForRegistrants ? Others(_keys, asker, AdditionalSense.ReservationsReleased) : []);
            case ReserveOutAction.Clear:
                return Good(With([], Generation + 1, 0, null, Survives), Others(_keys, asker, AdditionalSense.ReservationsPreempted));
            case ReserveOutAction.Preempt or ReserveOutAction.PreemptAndAbort:
                return Preempt(asker, call);
            case ReserveOutAction.RegisterAndMove:
                return Move(asker, call);
            default:
                throw new ArgumentOutOfRangeException(nameof(call), call.Action, "Unknown service action.");
        }
    }

    public override string ToString() =>
        $"generation {Generation}, type {Type}, holder {(Holder is { } holder ? ScsiRecord.NameOf(holder) : "-")}, keys {string.Join(' ', _keys.OrderBy(pair => pair.Key.ToString(), StringComparer.Ordinal).Select(pair => $"{ScsiRecord.NameOf(pair.Key)}={pair.Value}"))}";

    private bool Holds(NexusId nexus) => IsOfAll ? _keys.ContainsKey(nexus) : Type != 0 && Holder == nexus;

    private ModelOutcome Register(NexusId asker, ReserveOutCall call, bool isRegistered)
    {
        var concerned = call.AllPorts ? _ports.Select(port => asker with { TargetPort = port }).ToArray() : [asker];
        var keys = new Dictionary<NexusId, ulong>(_keys);
        if (call.ActionKey != 0)
        {
            foreach (var nexus in concerned) keys[nexus] = call.ActionKey;
            return Good(With(keys, Generation + 1, Type, Holder, call.Survives));
        }

        if (!isRegistered) return Good(this);
        foreach (var nexus in concerned) keys.Remove(nexus);
        var isLost = IsOfAll ? keys.Count == 0 : Type != 0 && !keys.ContainsKey(Holder!.Value);
        return isLost
            ? Good(With(keys, Generation + 1, 0, null, call.Survives), IsForRegistrants ? Others(keys, asker, AdditionalSense.ReservationsReleased) : [])
            : Good(With(keys, Generation + 1, Type, Holder, call.Survives));
    }

    private ModelOutcome Preempt(NexusId asker, ReserveOutCall call)
    {
        if (call.ActionKey == 0 && !IsOfAll) return new ModelOutcome(ScsiEnd.Refused, AdditionalSense.InvalidFieldInParameterList, this, []);
        var everybody = call.ActionKey == 0;
        var takes = everybody || (Holder is { } holder && _keys[holder] == call.ActionKey);
        var victims = _keys.Where(pair => everybody || pair.Value == call.ActionKey).Select(pair => pair.Key).ToList();
        if (victims.Count == 0) return Conflict();
        if (takes) victims.Remove(asker);
        var keys = _keys.Where(pair => !victims.Contains(pair.Key)).ToDictionary();
        var told = victims.Where(victim => victim != asker).Select(victim => (AdditionalSense.RegistrationsPreempted, victim)).ToList();
        if (takes)
        {
            if (Type != call.Type) told.AddRange(Others(keys, asker, AdditionalSense.ReservationsReleased));
            return Good(With(keys, Generation + 1, call.Type, call.Type >= 7 ? null : asker, Survives), told);
        }

        var isLost = IsOfAll && keys.Count == 0;
        return Good(With(keys, Generation + 1, isLost ? (byte)0 : Type, isLost ? null : Holder, Survives), told);
    }

    private ModelOutcome Move(NexusId asker, ReserveOutCall call)
    {
        if (Type == 0) return new ModelOutcome(ScsiEnd.Refused, AdditionalSense.InvalidFieldInCdb, this, []);
        if (IsOfAll || Holder != asker) return Conflict();
        if (call.ActionKey == 0 || call.Destination == asker) return new ModelOutcome(ScsiEnd.Refused, AdditionalSense.InvalidFieldInParameterList, this, []);
        var keys = new Dictionary<NexusId, ulong>(_keys) { [call.Destination] = call.ActionKey };
        if (call.Unregisters) keys.Remove(asker);
        return Good(With(keys, Generation + 1, Type, call.Destination, call.Survives));
    }

    private ReservationModel With(Dictionary<NexusId, ulong> keys, uint generation, byte type, NexusId? holder, bool survives) =>
        new(_ports, keys) { Generation = generation, Type = type, Holder = holder, Survives = survives };

    private ModelOutcome Conflict() => new(ScsiEnd.Conflict, AdditionalSense.None, this, []);

    private static ModelOutcome Good(ReservationModel next, IReadOnlyList<(AdditionalSense Code, NexusId Nexus)>? told = null) => new(ScsiEnd.Good, AdditionalSense.None, next, told ?? []);

    private static List<(AdditionalSense Code, NexusId Nexus)> Others(Dictionary<NexusId, ulong> keys, NexusId but, AdditionalSense code) =>
        [.. keys.Keys.Where(nexus => nexus != but).Select(nexus => (code, nexus))];
}
