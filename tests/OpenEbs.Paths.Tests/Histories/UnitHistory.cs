using OpenEbs.Replication.Volumes;
using OpenEbs.Simulation.Histories;

namespace OpenEbs.Paths.Tests.Histories;

/// <summary>One version of the shared state, as the metadata store got it.</summary>
internal sealed record UnitVersion(long Version, long CommittedAt, UnitRecord Unit);

/// <summary>Everything that initiators did and learnt, and how the shared state changed.</summary>
/// <param name="history">Where moments come from, and the order in which writes took effect.</param>
internal sealed class UnitHistory(History history)
{
    private readonly Dictionary<Guid, ScsiRecord> _changes = [];
    private readonly Dictionary<long, ScsiRecord> _writes = [];
    private readonly List<(long Version, long Moment)> _known = [];
    private int _commands;

    /// <summary>The command on whose behalf the code that runs calls the volume.</summary>
    public AsyncLocal<ScsiRecord?> Current { get; } = new();

    public List<ScsiRecord> Commands { get; } = [];

    public List<SessionRecord> Sessions { get; } = [];

    public List<UnitVersion> Versions { get; } = [new(1, 0, UnitRecord.Initial)];

    public VolumeOrder Order => history.Order;

    public int NextId() => ++_commands;

    public long NextMoment() => history.NextMoment();

    public void Begin(ScsiRecord command)
    {
        command.StartedAt = NextMoment();
        Commands.Add(command);
        if (command.WriteId > 0) _writes.Add(command.WriteId, command);
    }

    public void Complete(ScsiRecord command, ScsiEnd end)
    {
        command.End = end;
        command.EndedAt = NextMoment();
        command.PlacesAtEnd = Order.Places.Count;
    }

    /// <summary>A gateway asks for a change on behalf of the present command.</summary>
    public void ChangeAsked(Guid id)
    {
        if (Current.Value is { } command) _changes.TryAdd(id, command);
    }

    public void WriteSent(long writeId, long version)
    {
        if (_writes.TryGetValue(writeId, out var command)) command.SentVersions.Add(version);
    }

    /// <summary>The metadata store holds a new record.</summary>
    public void RecordChanged(VolumeRecord record)
    {
        if (record.Unit is { } unit && unit.Version > Versions[^1].Version) Versions.Add(new UnitVersion(unit.Version, NextMoment(), unit));
    }

    /// <summary>Some gateway hears of a version.</summary>
    public void Heard(long version)
    {
        if (_known.Count == 0 || version > _known[^1].Version) _known.Add((version, NextMoment()));
    }

    /// <summary>When the first gateway heard of this version or a later one; the highest number for never. Until then nobody can tell that the version before is over.</summary>
    public long HeardAt(long version)
    {
        foreach (var (known, moment) in _known)
        {
            if (known >= version) return moment;
        }

        return long.MaxValue;
    }

    /// <summary>The command that brought a version about; null when it was a loss of power.</summary>
    public ScsiRecord? CauseOf(UnitVersion version) => version.Unit.Passing.Length == 0 ? null : _changes.GetValueOrDefault(version.Unit.Changes[^1]);

    public ScsiRecord? WriterOf(long writeId) => _writes.GetValueOrDefault(writeId);
}
