using System.Buffers.Binary;
using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Iscsi.Scsi.Sense;
using OpenEbs.Iscsi.Scsi.Shared;
using OpenEbs.Paths.Tests.Models;

namespace OpenEbs.Paths.Tests.Histories;

/// <summary>What was promised and not kept.</summary>
internal sealed class UnitPromiseBrokenException(string message) : Exception(message);

/// <summary>Compares a run with the sequential model: the versions of the shared state must be what the commands that made them lead to, each command must have made as many as its answer says,
/// every answer must have been right at some moment between the command's beginning and its end, nothing may take effect after a drain that came before it, and every unit attention must have been
/// reported, once.</summary>
internal sealed class UnitHistoryCheck
{
    private readonly UnitHistory _history;
    private readonly List<ReservationModel> _states = [];
    private readonly List<(long Version, AdditionalSense Code, Iscsi.Scsi.Reservations.NexusId? Nexus)> _told = [];
    private readonly Dictionary<ScsiRecord, UnitVersion> _made = [];

    public UnitHistoryCheck(UnitHistory history, int[] ports)
    {
        _history = history;
        _states.Add(new ReservationModel(ports));
    }

    public int PowerLossCount { get; private set; }

    public void Run()
    {
        for (var i = 1; i < _history.Versions.Count; i++) Follow(_history.Versions[i]);
        foreach (var command in _history.Commands) CheckAnswer(command);
        CheckDrains();
        foreach (var session in _history.Sessions) CheckReports(session);
    }

    /// <summary>One version after the other, by the model.</summary>
    private void Follow(UnitVersion version)
    {
        if (version.Version != _states.Count + 1) throw Broken($"version {version.Version} follows version {_states.Count}");
        var before = _states[^1];
        var cause = _history.CauseOf(version);
        if (cause is null)
        {
            if (version.Unit.Passing.Length > 0) throw Broken($"nobody asked for version {version.Version}");
            PowerLossCount++;
            _states.Add(before.LosePower());
            _told.Add((version.Version, AdditionalSense.PowerOnResetOrBusDeviceReset, null));
        }
        else if (!_made.TryAdd(cause, version))
        {
            throw Broken($"{cause} was carried out twice, as versions {_made[cause].Version} and {version.Version}");
        }
        else if (cause.Kind == ScsiKind.Reset)
        {
            _states.Add(before);
            _told.Add((version.Version, AdditionalSense.BusDeviceResetFunctionOccurred, null));
        }
        else
        {
            var outcome = before.Apply(cause.Nexus, cause.Call!);
            if (outcome.End != ScsiEnd.Good || ReferenceEquals(outcome.Next, before)) throw Broken($"{cause} made version {version.Version} of: {before}");
            _states.Add(outcome.Next);
            foreach (var (code, nexus) in outcome.Told) _told.Add((version.Version, code, nexus));
        }

        RequireSame(version, _states[^1]);
    }

    private static void RequireSame(UnitVersion version, ReservationModel expected)
    {
        var stored = UnitState.Decode(new SharedState(version.Version, version.Unit.Lasting, version.Unit.Passing)).Reservations;
        var isSame = stored.Registrations.Length == expected.Keys.Count && stored.Registrations.All(registration => expected.Keys.TryGetValue(registration.Nexus, out var key) && key == registration.Key)
            && (byte)stored.Type == expected.Type && stored.Holder == expected.Holder && stored.Generation == expected.Generation && stored.SurvivesPowerLoss == expected.Survives;
        if (!isSame) throw Broken($"version {version.Version} is {version.Unit.Passing}, and should be {expected}");
    }

    /// <summary>The versions that may have held at some moment of a command: from when it was stored until somebody heard of the next one.</summary>
    private IEnumerable<ReservationModel> During(ScsiRecord command)
    {
        for (var i = 0; i < _states.Count; i++)
        {
            if (_history.Versions[i].CommittedAt <= command.EndedAt && _history.HeardAt(_history.Versions[i].Version + 1) >= command.StartedAt) yield return _states[i];
        }
    }

    private void CheckAnswer(ScsiRecord command)
    {
        if (_made.TryGetValue(command, out var made))
        {
            if (command.End is not (ScsiEnd.Good or ScsiEnd.Unknown)) throw Broken($"{command} made version {made.Version} all the same");
            if (command.EndedAt < made.CommittedAt && command.End == ScsiEnd.Good) throw Broken($"{command} was answered before version {made.Version} was stored, at {made.CommittedAt}");
            return;
        }

        if (command.End is ScsiEnd.Unknown or ScsiEnd.Attention) return;
        var isRight = command.Kind switch
        {
            ScsiKind.Read or ScsiKind.Write => During(command).Any(state => state.Allows(command.Nexus, command.Kind == ScsiKind.Write) == (command.End == ScsiEnd.Good)) && command.End != ScsiEnd.Refused,
            ScsiKind.TestUnitReady => command.End == ScsiEnd.Good,
            ScsiKind.ReadKeys => command.End == ScsiEnd.Good && During(command).Any(state => Shows(command.Data, state)),
            ScsiKind.ReserveOut => During(command).Any(state => IsAnswer(command, state)),

            // It says Good only when it was made.
            ScsiKind.Reset => false,
            _ => throw new InvalidOperationException($"Unknown kind {command.Kind}."),
        };
        if (!isRight) throw Broken($"{command} is not right by any state that held meanwhile: {string.Join("; ", During(command))}");
    }

    private static bool IsAnswer(ScsiRecord command, ReservationModel state)
    {
        var outcome = state.Apply(command.Nexus, command.Call!);
        return outcome.End == command.End && outcome.Sense == command.Sense && ReferenceEquals(outcome.Next, state);
    }

    /// <summary>READ KEYS (SPC-4 §6.15.2).</summary>
    private static bool Shows(byte[] data, ReservationModel state)
    {
        var keys = new List<ulong>();
        for (var at = 8; at < data.Length; at += 8) keys.Add(BinaryPrimitives.ReadUInt64BigEndian(data.AsSpan(at)));
        return BinaryPrimitives.ReadUInt32BigEndian(data) == state.Generation && keys.Order().SequenceEqual(state.Keys.Values.Order());
    }

    /// <summary>Once a PREEMPT AND ABORT or a reset is answered, no write that was checked before it changes anything any more.</summary>
    private void CheckDrains()
    {
        foreach (var drain in _history.Commands.Where(command => command is { Drains: true, End: ScsiEnd.Good }))
        {
            if (!_made.TryGetValue(drain, out var made)) continue;
            for (var i = drain.PlacesAtEnd; i < _history.Order.Places.Count; i++)
            {
                var (writeId, position) = _history.Order.Places[i];
                if (_history.WriterOf(writeId) is { } write && write.SentVersions[^1] < made.Version)
                    throw Broken($"{write} took effect at {position}, after {drain} was answered, which made version {made.Version}");
            }
        }
    }

    private void CheckReports(SessionRecord session)
    {
        foreach (var code in session.Reports.Select(report => report.Code).Concat(_told.Select(told => told.Code)).Append(AdditionalSense.PowerOnResetOrBusDeviceReset).Distinct())
        {
            var reports = session.Reports.Where(report => report.Code == code).ToList();
            var due = _told.Where(told => told.Code == code && told.Version > session.JoinedVersion && (told.Nexus ?? session.Nexus) == session.Nexus).Select(told => (told.Version, At: session.LearntAt(told.Version))).ToList();

            // Every session begins with it.
            if (code == AdditionalSense.PowerOnResetOrBusDeviceReset) due.Insert(0, (session.JoinedVersion, 0));
            for (var i = 0; i < reports.Count; i++)
            {
                var since = i == 0 ? -1 : reports[i - 1].StartedAt;
                if (!due.Exists(one => one.At > since && one.At <= reports[i].EndedAt)) throw Broken($"{Name(session)} hears of {code} at {reports[i].EndedAt}, after {since}, though nothing is new");
            }

            if (!session.IsDrained) continue;
            foreach (var (version, at) in due)
            {
                if (reports.Exists(report => report.EndedAt >= at) || IsCoveredByPowerLoss(session, version, at)) continue;
                throw Broken($"{Name(session)} never heard of {code} that came with version {version} and that it learnt at {at}");
            }
        }
    }

    /// <summary>What a gateway had not heard of before power was lost, nobody knows: POWER ON says that anything may have been.</summary>
    private bool IsCoveredByPowerLoss(SessionRecord session, long version, long at) =>
        _history.Versions.Exists(one => one.Version >= version && one.Version > 1 && one.Unit.Passing.Length == 0 && session.LearntAt(one.Version) == at);

    private static string Name(SessionRecord session) => $"session of {ScsiRecord.NameOf(session.Nexus)} from version {session.JoinedVersion}";

    private static UnitPromiseBrokenException Broken(string what) => new($"{what}.");
}
