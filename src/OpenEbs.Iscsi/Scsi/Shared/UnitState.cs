using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;
using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Iscsi.Portals;
using OpenEbs.Iscsi.Scsi.Reservations;
using OpenEbs.Iscsi.Scsi.Sense;

namespace OpenEbs.Iscsi.Scsi.Shared;

/// <summary>Something that nexuses have to hear of.</summary>
/// <param name="Version">Version of the state that it came with.</param>
/// <param name="Code">The unit attention.</param>
/// <param name="For">For whom; null for all.</param>
/// <param name="Except">For all but this one.</param>
/// <param name="AbortsCommands">Commands that were checked against an earlier version are aborted.</param>
internal sealed record UnitEvent(long Version, AdditionalSense Code, ImmutableArray<NexusId>? For, NexusId? Except, bool AbortsCommands)
{
    public bool Concerns(NexusId nexus) => nexus != Except && (For is not { } some || some.Contains(nexus));
}

/// <summary>The shared state of a logical unit, decoded. Immutable. What is stored is JSON: members may be added, not changed.</summary>
internal sealed record UnitState
{
    /// <summary>Version of the <see cref="SharedState"/> that it is.</summary>
    [JsonIgnore]
    public long Version { get; init; } = 1;

    public ReservationState Reservations { get; init; } = ReservationState.Empty;

    /// <summary>D_SENSE of the control mode page.</summary>
    public bool DescriptorSense { get; init; }

    /// <summary>SWP of the control mode page.</summary>
    public bool WriteProtected { get; init; }

    /// <summary>The last ones, the newest last.</summary>
    public ImmutableArray<UnitEvent> Events { get; init; } = [];

    /// <summary><see cref="Events"/> has everything that came after this version.</summary>
    public long EventsSince { get; init; } = 1;

    public static UnitState Decode(SharedState shared)
    {
        if (shared.Passing.Length > 0)
        {
            return Parse(shared.Passing) with { Version = shared.Version };
        }

        // Never changed, or power was lost: then nobody was told.
        var reservations = shared.Lasting.Length > 0 ? ReservationTransitions.LosePower(Parse(shared.Lasting).Reservations) : ReservationState.Empty;
        return new UnitState { Version = shared.Version, Reservations = reservations, EventsSince = shared.Version };
    }

    /// <summary>The state that follows this one, to be stored.</summary>
    public SharedStateChange EncodeAfter(UnitState before, bool drains)
    {
        var lasting = Reservations.SurvivesPowerLoss ? JsonSerializer.Serialize(new UnitState { Reservations = Reservations }, UnitStateJson.Default.UnitState) : "";
        return new SharedStateChange(before.Version, lasting, JsonSerializer.Serialize(this, UnitStateJson.Default.UnitState), drains);
    }

    /// <summary>This state with one event more, which comes with the next version.</summary>
    public UnitState Tell(AdditionalSense code, ImmutableArray<NexusId>? nexuses, NexusId? except = null, bool abortsCommands = false)
    {
        var events = Events.Add(new UnitEvent(Version + 1, code, nexuses, except, abortsCommands));
        if (events.Length <= IscsiLimits.MaxUnitEvents) return this with { Events = events };
        return this with { Events = events.RemoveAt(0), EventsSince = Math.Max(EventsSince, events[0].Version) };
    }

    /// <summary>This state with other reservations, and the unit attentions that come of it.</summary>
    public UnitState With(ReserveOutcome outcome)
    {
        var next = this with { Reservations = outcome.State };
        foreach (var attention in outcome.Attentions) next = next.Tell(attention.Code, [.. attention.Nexuses], abortsCommands: attention.AbortsCommands);
        return next;
    }

    /// <summary>After a reset of the unit: RESERVE ends, mode parameters are the defaults, all are told and their commands end (SAM-5 §6.3.3).</summary>
    public UnitState Reset(AdditionalSense announcement) =>
        (this with { Reservations = ReservationTransitions.Reset(Reservations), DescriptorSense = false, WriteProtected = false }).Tell(announcement, null, abortsCommands: true);

    private static UnitState Parse(string json)
    {
        var state = JsonSerializer.Deserialize(json, UnitStateJson.Default.UnitState) ?? throw new JsonException("The state of a logical unit is stored as null.");
        return state with
        {
            Events = state.Events.IsDefault ? [] : state.Events,
            Reservations = state.Reservations with { Registrations = state.Reservations.Registrations.IsDefault ? [] : state.Reservations.Registrations },
        };
    }
}

[JsonSourceGenerationOptions(IgnoreReadOnlyProperties = true, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(UnitState))]
internal sealed partial class UnitStateJson : JsonSerializerContext;
