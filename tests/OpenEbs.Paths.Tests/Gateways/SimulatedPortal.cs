using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using OpenEbs.Grains.Gateways;
using OpenEbs.Iscsi.Access;
using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Iscsi.Scsi;
using OpenEbs.Iscsi.Scsi.Reservations;
using OpenEbs.Paths.Tests.Histories;
using OpenEbs.Paths.Tests.Initiators;
using OpenEbs.Server.Portals;
using OpenEbs.Server.Telemetry;
using OpenEbs.Simulation;
using OpenEbs.Simulation.Hosts;
using OpenEbs.Simulation.Scheduling;
using Orleans.Runtime;

namespace OpenEbs.Paths.Tests.Gateways;

/// <summary>One life of a gateway: the product's connection to the volume, its logical unit and its sessions, in a simulated process.</summary>
internal sealed class SimulatedPortal : IUnitDirectory
{
    private readonly World _world;
    private readonly UnitHistory _history;
    private readonly VolumeCalls _calls;
    private readonly SimulatedHost _host;
    private readonly int[] _ports;
    private readonly LogicalUnit _unit;
    private readonly TaskCompletionSource _ended = new();
    private VolumeConnection? _connection;

    public SimulatedPortal(World world, UnitHistory history, PathVariant variant, SeededRandom random, SimulatedHost host, int tag, int[] ports)
    {
        (_world, _history, _host, _ports, Tag) = (world, history, host, ports, tag);
        _calls = new VolumeCalls(world, history, variant, random);
        _unit = new LogicalUnit("iqn.2016-09.com.openebs.orleans:volume", tag, this);
        Process = world.CreateProcess($"portal-{tag}", host);
        Process.Killed = () =>
        {
            // Nobody answers what was under way.
            foreach (var session in Sessions) session.Lose();
            _ended.TrySetResult();
        };
    }

    public int Tag { get; }

    public SimulatedProcess Process { get; }

    public List<ScsiSession> Sessions { get; } = [];

    /// <summary>Its work is done, or it is dead.</summary>
    public bool HasEnded => _ended.Task.IsCompleted;

    public TimeProvider Time => _host.Time;

    /// <summary>Runs the portal's work; completes when that is done, or the portal was killed.</summary>
    public Task RunAsync(Func<SimulatedPortal, Task> work)
    {
        Process.Start(async () =>
        {
            await AttachAsync();
            await work(this);
            _ended.TrySetResult();
        });
        return _ended.Task;
    }

    /// <summary>Begins a session, as the volume catalog and the login phase do: with the present state.</summary>
    public async Task<ScsiSession> LogInAsync(string initiator, ulong isid)
    {
        while (!await _connection!.Unit.RefreshAsync(TimeSpan.FromSeconds(5), CancellationToken.None))
        {
        }

        var id = new NexusId(initiator, isid, Tag);
        var record = new SessionRecord(id);
        var plain = new VolumeUnit(_connection, new VolumeInstruments(NoMeters.Instance).Of("volume"));
        var nexus = new Nexus(_unit, new ObservedUnit(plain, record, _history), id);
        record.JoinedVersion = nexus.RefreshState().Version;
        _unit.Join(nexus);
        _history.Sessions.Add(record);
        var session = new ScsiSession(_world, _history, nexus, plain, record, this);
        Sessions.Add(session);
        return session;
    }

    public async Task LogOutAsync(ScsiSession session)
    {
        session.AbortAll();
        await session.WhenIdleAsync();
        _unit.Leave(session.Nexus);
        Sessions.Remove(session);
    }

    public ValueTask<IReadOnlyList<int>> ListPortsAsync(string targetName, CancellationToken cancellationToken) => ValueTask.FromResult<IReadOnlyList<int>>(_ports);

    public ValueTask<ILogicalUnitStore?> FindUnitAsync(ReadOnlyMemory<byte> designator, LoginIdentity initiator, CancellationToken cancellationToken) => ValueTask.FromResult<ILogicalUnitStore?>(null);

    private async Task AttachAsync()
    {
        var attaching = new VolumeAttaching(SiloAddress.New(IPAddress.Loopback, Tag, 0), new VolumeConnectionOptions());
        while (true)
        {
            var (_, attachment) = await attaching.TryAttachAsync(_calls, forSession: false);
            if (attachment is not null)
            {
                _connection = new VolumeConnection(_calls, attaching, attachment, Time, NullLogger.Instance);
                return;
            }

            await Task.Delay(TimeSpan.FromMilliseconds(50), Time);
        }
    }
}
