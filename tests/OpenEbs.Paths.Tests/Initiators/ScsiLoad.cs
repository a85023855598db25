using OpenEbs.Iscsi.Scsi.Reservations;
using OpenEbs.Iscsi.Scsi.Shared;
using OpenEbs.Paths.Tests.Gateways;
using OpenEbs.Paths.Tests.Histories;
using OpenEbs.Paths.Tests.Models;
using OpenEbs.Simulation;
using OpenEbs.Simulation.Histories;
using OpenEbs.Simulation.Scheduling;

namespace OpenEbs.Paths.Tests.Initiators;

/// <summary>What initiators do: reads and writes, and reservations of every kind, most of them such that they can be carried out.</summary>
internal sealed class ScsiLoad(World world, UnitHistory history, SeededRandom random, int[] ports, Func<NexusId> pickNexus)
{
    private const int SectorsPerPort = 640;
    private static readonly byte[] Types = [1, 3, 5, 6, 7, 8];
    private readonly double _reserveRate = random.Pick<double>([0.15, 0.35, 0.6]);
    private readonly double _abortRate = random.Chance(0.5) ? 0.06 : 0;
    private readonly double _resetRate = random.Chance(0.5) ? 0.02 : 0;
    private readonly double _logOutRate = random.Chance(0.5) ? 0.03 : 0;
    private readonly TimeSpan _thinkTime = TimeSpan.FromMilliseconds(random.Pick<int>([1, 10, 60]));
    private readonly int[] _nextSector = new int[ports.Length];

    /// <summary>One command after the other in a session, until <paramref name="another"/> says that there are no more. A session that logs out comes back.</summary>
    public async Task RunAsync(SimulatedPortal portal, string initiator, ulong isid, Func<bool> another)
    {
        var session = await portal.LogInAsync(initiator, isid);
        var lanes = new Task[1 + random.Next(2)];
        var isLoggingOut = false;
        while (true)
        {
            isLoggingOut = false;
            for (var i = 0; i < lanes.Length; i++) lanes[i] = RunLaneAsync(session);
            await Task.WhenAll(lanes);
            if (!isLoggingOut) return;
            await portal.LogOutAsync(session);
            session = await portal.LogInAsync(initiator, isid);
        }

        async Task RunLaneAsync(ScsiSession here)
        {
            while (!isLoggingOut && another())
            {
                await IssueAsync(here);
                if (random.Chance(_logOutRate)) isLoggingOut = true;
                if (random.Chance(0.7)) await Task.Delay(random.Exponential(_thinkTime), portal.Time);
            }
        }
    }

    private async Task IssueAsync(ScsiSession session)
    {
        TimeSpan? abort = random.Chance(_abortRate) ? random.Exponential(TimeSpan.FromMilliseconds(3)) : null;
        if (random.Chance(_resetRate)) await session.ResetAsync(New(session, ScsiKind.Reset));
        else if (random.Chance(_reserveRate)) await ReserveAsync(session, abort);
        else if (random.Chance(0.1)) await session.ExecuteAsync(New(session, ScsiKind.TestUnitReady), new byte[6], [], 0, abort);
        else if (random.Chance(0.1)) await session.ExecuteAsync(New(session, ScsiKind.ReadKeys), [0x5e, 0, 0, 0, 0, 0, 0, 1, 0, 0], [], 256, abort);
        else if (random.Chance(0.6)) await WriteAsync(session, abort);
        else await ReadAsync(session, abort);
    }

    private ScsiRecord New(ScsiSession session, ScsiKind kind, ReserveOutCall? call = null, long writeId = 0) =>
        new() { Id = history.NextId(), Nexus = session.Nexus.Id, Kind = kind, Call = call, WriteId = writeId };

    /// <summary>Each port writes to a part of its own, never twice to the same place while there is room: what overlaps waits in the gateway, which has tests of its own.</summary>
    private Task<ScsiRecord> WriteAsync(ScsiSession session, TimeSpan? abort)
    {
        var unit = world.Settings.SectorsPerLogicalBlock;
        var count = unit == 8 ? 8 : 1 + random.Next(8);
        var port = Array.IndexOf(ports, session.Portal.Tag);
        if (_nextSector[port] + count > SectorsPerPort) _nextSector[port] = 0;
        var first = (port * SectorsPerPort) + _nextSector[port];
        _nextSector[port] += 8;
        var record = New(session, ScsiKind.Write, writeId: world.NextWriteId());
        var data = new byte[count * SectorStamp.SectorBytes];
        SectorStamp.Fill(data, first, record.WriteId);
        return session.ExecuteAsync(record, Cdb(0x2a, first, count), data, 0, abort);
    }

    private Task<ScsiRecord> ReadAsync(ScsiSession session, TimeSpan? abort)
    {
        var own = Array.IndexOf(ports, session.Portal.Tag);
        var port = (own + 1 + random.Next(ports.Length - 1)) % ports.Length;
        var first = (port * SectorsPerPort) + (8 * random.Next(SectorsPerPort / 8));
        return session.ExecuteAsync(New(session, ScsiKind.Read), Cdb(0x28, first, 8), [], 8 * SectorStamp.SectorBytes, abort);
    }

    private byte[] Cdb(byte operation, int firstSector, int sectorCount)
    {
        var unit = world.Settings.SectorsPerLogicalBlock;
        var (lba, count) = (firstSector / unit, sectorCount / unit);
        return [operation, 0, (byte)(lba >> 24), (byte)(lba >> 16), (byte)(lba >> 8), (byte)lba, 0, (byte)(count >> 8), (byte)count, 0];
    }

    private Task<ScsiRecord> ReserveAsync(ScsiSession session, TimeSpan? abort)
    {
        var call = Draw(session);
        var (cdb, list) = call.Encode();
        return session.ExecuteAsync(New(session, ScsiKind.ReserveOut, call), cdb, list, 0, abort);
    }

    /// <summary>Mostly by the keys that are right as far as the gateway knows.</summary>
    private ReserveOutCall Draw(ScsiSession session)
    {
        var known = UnitState.Decode(session.Nexus.Store.Shared).Reservations;
        var key = random.Chance(0.92) ? known.KeyOf(session.Nexus.Id) ?? 0 : (ulong)random.Next(4);
        var someKey = random.Chance(0.8) && known.Registrations.Length > 0 ? random.Pick(known.Registrations).Key : (ulong)random.Next(4);
        var type = known.IsReserved && random.Chance(0.6) ? (byte)known.Type : random.Pick(Types);
        var newKey = (ulong)(random.Chance(0.15) ? 0 : 1 + random.Next(6));
        var dice = random.NextDouble();
        if (key == 0) dice = random.Chance(0.8) ? dice * 0.35 : dice;
        return dice switch
        {
            < 0.25 => new ReserveOutCall(ReserveOutAction.Register, key, newKey) { AllPorts = random.Chance(0.15), Survives = random.Chance(0.3) },
            < 0.35 => new ReserveOutCall(ReserveOutAction.RegisterAndIgnoreExistingKey, (ulong)random.Next(9), newKey) { AllPorts = random.Chance(0.15), Survives = random.Chance(0.3) },
            < 0.6 => new ReserveOutCall(ReserveOutAction.Reserve, key, 0) { Type = type },
            < 0.7 => new ReserveOutCall(ReserveOutAction.Release, key, 0) { Type = type },
            < 0.74 => new ReserveOutCall(ReserveOutAction.Clear, key, 0),
            < 0.82 => new ReserveOutCall(ReserveOutAction.Preempt, key, someKey) { Type = type },
            < 0.94 => new ReserveOutCall(ReserveOutAction.PreemptAndAbort, key, someKey) { Type = type },
            _ => new ReserveOutCall(ReserveOutAction.RegisterAndMove, key, newKey) { Destination = pickNexus(), Unregisters = random.Chance(0.5), Survives = random.Chance(0.3) },
        };
    }
}
