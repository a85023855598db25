using System.Buffers;
using OpenEbs.Buffers;
using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Iscsi.Portals;
using OpenEbs.Iscsi.Scsi;
using OpenEbs.Iscsi.Scsi.Sense;
using OpenEbs.Iscsi.Scsi.Shared;
using OpenEbs.Paths.Tests.Gateways;
using OpenEbs.Paths.Tests.Histories;
using OpenEbs.Simulation;

namespace OpenEbs.Paths.Tests.Initiators;

/// <summary>A session: runs commands through the product's device server, and aborts them as the product's task manager does.</summary>
internal sealed class ScsiSession : IDataInSink
{
    private readonly World _world;
    private readonly UnitHistory _history;
    private readonly ILogicalUnitStore _store;
    private readonly SessionRecord _record;
    private readonly SimulatedPortal _portal;
    private readonly List<RunningCommand> _running = [];
    private bool _isLost;

    public ScsiSession(World world, UnitHistory history, Nexus nexus, ILogicalUnitStore store, SessionRecord record, SimulatedPortal portal)
    {
        (_world, _history, Nexus, _store, _record, _portal) = (world, history, nexus, store, record, portal);
        nexus.AbortEarlier = version => Abort(running => running.Command.HasBegun && running.Command.StateVersion < version);
    }

    public Nexus Nexus { get; }

    public SimulatedPortal Portal => _portal;

    /// <summary>Its portal died.</summary>
    public void Lose()
    {
        _isLost = true;
        foreach (var running in _running) _history.Complete(running.Record, ScsiEnd.Unknown);
        _running.Clear();
    }

    public void AbortAll() => Abort(static _ => true);

    public async Task WhenIdleAsync()
    {
        while (_running.Count > 0) await Task.Delay(TimeSpan.FromMilliseconds(1), _portal.Time);
    }

    public async Task<ScsiRecord> ExecuteAsync(ScsiRecord record, byte[] cdb, byte[] dataOut, int dataInBytes, TimeSpan? abortAfter = null)
    {
        var command = new ScsiCommand { Pool = IoBufferPool.Shared, Sink = this };
        var padded = new byte[16];
        cdb.CopyTo(padded, 0);
        command.SetCdb(padded, []);
        command.DataInRoomBytes = dataInBytes;
        var running = new RunningCommand(command, record, new CancellationTokenSource());
        _running.Add(running);
        _history.Begin(record);
        _history.Current.Value = record;
        if (abortAfter is { } delay) _ = AbortLaterAsync(running, delay);
        try
        {
            if (DeviceServer.Prepare(command, Nexus) == CommandPlan.Execute)
            {
                TakeData(command, dataOut);
                command.Aborted = running.Abort.Token;
                await DeviceServer.ExecuteAsync(command, Nexus);
            }

            if (running.Abort.IsCancellationRequested) EndAborted(running);
            else End(running);
        }
        catch (OperationCanceledException) when (running.Abort.IsCancellationRequested)
        {
            EndAborted(running);
        }
        finally
        {
            if (!_isLost) command.Reset();
        }

        return record;
    }

    /// <summary>LOGICAL UNIT RESET, as the task manager carries it out.</summary>
    public async Task ResetAsync(ScsiRecord record)
    {
        _history.Begin(record);
        _history.Current.Value = record;
        foreach (var session in _portal.Sessions.ToArray()) session.AbortAll();
        var status = await UnitChanges.ApplyAsync(_store, state => state.Reset(AdditionalSense.BusDeviceResetFunctionOccurred), drains: true, IscsiLimits.ChangePatience, CancellationToken.None);
        foreach (var session in _portal.Sessions.ToArray()) await session.WhenIdleAsync();
        if (!_isLost) _history.Complete(record, status == StoreIoStatus.Ok ? ScsiEnd.Good : ScsiEnd.Unknown);
    }

    /// <summary>At the end of a run: hears what there is still to hear.</summary>
    public async Task DrainAsync()
    {
        for (var good = 0; good < 2;)
        {
            var record = new ScsiRecord { Id = _history.NextId(), Nexus = Nexus.Id, Kind = ScsiKind.TestUnitReady };
            good = (await ExecuteAsync(record, new byte[6], [], 0)).End == ScsiEnd.Good ? good + 1 : 0;
        }

        _record.IsDrained = true;
    }

    public ValueTask PushDataInAsync(ScsiCommand command, IMemoryOwner<byte> data, int lengthBytes)
    {
        data.Dispose();
        return ValueTask.CompletedTask;
    }

    private static void TakeData(ScsiCommand command, byte[] dataOut)
    {
        if (command.DataOutLengthBytes == 0) return;
        var buffer = IoBufferPool.Shared.RentBuffer(dataOut.Length);
        dataOut.CopyTo(buffer.Span);
        command.DataOut = buffer;
        command.TransferLengthBytes = command.PieceLengthBytes = dataOut.Length;
    }

    private void End(RunningCommand running)
    {
        _running.Remove(running);
        var (command, record) = (running.Command, running.Record);
        record.Sense = command.Sense.Code;
        if (command.DataIn is { } data && record.Kind == ScsiKind.ReadKeys) record.Data = data.Memory.Span[..command.DataInLengthBytes].ToArray();
        var end = command.Status switch
        {
            ScsiStatus.Good => ScsiEnd.Good,
            ScsiStatus.ReservationConflict => ScsiEnd.Conflict,
            _ when command.Sense.Key == SenseKey.UnitAttention => ScsiEnd.Attention,
            _ when command.Sense.Key == SenseKey.IllegalRequest => ScsiEnd.Refused,

            // ABORTED COMMAND: the volume could not be reached in time, or nothing is known of the outcome.
            _ => ScsiEnd.Unknown,
        };
        _history.Complete(record, end);
        if (end == ScsiEnd.Attention) _record.Reports.Add((record.Sense, record.StartedAt, record.EndedAt));
        if (_world.Scheduler.Trace.KeepsText) _world.Log($"{record}");
    }

    private void EndAborted(RunningCommand running)
    {
        _running.Remove(running);
        Nexus.TakeBack(running.Command);
        _history.Complete(running.Record, ScsiEnd.Unknown);
        if (_world.Scheduler.Trace.KeepsText) _world.Log($"aborted {running.Record}");
    }

    private async Task AbortLaterAsync(RunningCommand running, TimeSpan delay)
    {
        await Task.Delay(delay, _portal.Time);
        Abort(other => other == running);
    }

    private void Abort(Func<RunningCommand, bool> selects)
    {
        foreach (var running in _running.Where(selects).ToArray()) running.Abort.Cancel();
    }

    private sealed record RunningCommand(ScsiCommand Command, ScsiRecord Record, CancellationTokenSource Abort);
}
